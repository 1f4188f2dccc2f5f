"""haproxy.cfg as a draft."""

from __future__ import annotations

from pathlib import Path

from lb.importing.haproxylines import SECTIONS, words_of
from lb.importing.result import Draft, UnreadableError, read_text


def is_haproxy(path: Path) -> bool:
    """Whether its first word is a section of HAProxy."""
    for text in read_text(path).splitlines():
        try:
            words = words_of(text, "")
        except UnreadableError:
            return False
        if words:
            return words[0] in SECTIONS
    return False


def import_haproxy(path: Path) -> Draft:
    raise UnreadableError(f"{path}: not yet")
