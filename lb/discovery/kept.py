"""Kept: the last good word on every service, on disk, for a start while the registry is away.

Lives here: the file and what it holds. Must not live here: when it is written (lb.control.discovering), and
whether what it holds is still to be believed (it is, until the first answer).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from lb.discovery.contract import Member

FILE = "discovery.json"
_LAST = 253_402_300_799  # the end of the year 9999, unix seconds


class KeptWord(msgspec.Struct, frozen=True):
    """`source`: for people; `at`: unix seconds; `digest`: tells one source from another, "" for none (a file
    of an older lb)."""

    source: str
    at: float
    members: tuple[Member, ...]
    digest: str = ""


class _File(msgspec.Struct):
    services: dict[str, KeptWord]


def encoded(words: Mapping[str, KeptWord]) -> bytes:
    return msgspec.json.format(msgspec.json.encode(_File(dict(sorted(words.items())))), indent=1) + b"\n"


def read(path: Path, set_aside: Callable[[Exception], None]) -> dict[str, KeptWord]:
    """What the file holds; nothing where there is none, or it makes no sense: then `set_aside` is told."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=_File).services
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        set_aside(error)
        return {}
    return {name: word for name, word in found.items() if 0 <= word.at <= _LAST}
