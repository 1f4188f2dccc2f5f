"""Colours on a terminal, none elsewhere; and the place for complaints.

Lives here: the one decision whether to colour. NO_COLOR (no-color.org) is respected.
"""

from __future__ import annotations

import os
import sys
from typing import IO

CODES = {"bold": 1, "dim": 2, "red": 31, "green": 32, "yellow": 33, "cyan": 36}


def coloured(stream: IO[str]) -> bool:
    return stream.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


def paint(text: str, colour: str, stream: IO[str] | None = None) -> str:
    """`text` in a colour of CODES where `stream` (stdout) is a terminal."""
    return f"\x1b[{CODES[colour]}m{text}\x1b[0m" if coloured(stream or sys.stdout) else text


def say(text: str = "") -> None:
    """A line on stdout."""
    sys.stdout.write(f"{text}\n")


def complain(text: str) -> None:
    """A line on stderr, for what went wrong."""
    sys.stderr.write(f"{paint('error', 'red', sys.stderr)}: {text}\n")
