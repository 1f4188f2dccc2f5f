"""haproxy.cfg as sections of lines of words.

Lives here: HAProxy's grammar: words, quotes, escapes, comments, sections (its manual, 2.2). It is written
here because no parser on PyPI is kept up (pyhaproxy's last release is of 2019).
Must not live here: what a keyword means.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from lb.importing.result import UnreadableError, read_text

SECTIONS = {
    *("global", "defaults", "frontend", "backend", "listen", "peers", "resolvers", "userlist", "mailers"),
    *(
        "cache",
        "program",
        "http-errors",
        "ring",
        "log-forward",
        "fcgi-app",
        "crt-store",
        "traces",
        "log-profile",
    ),
}
ESCAPES = {"n": "\n", "r": "\r", "t": "\t", **{char: char for char in " #\\'\""}}


@dataclass(eq=False, slots=True)
class Line:
    """One line: its words, never none. `used`: something came of it, or was said of it."""

    words: tuple[str, ...]
    file: str
    line: int
    used: bool = False

    @property
    def place(self) -> tuple[str, int]:
        return self.file, self.line

    def __str__(self) -> str:
        return " ".join(self.words)


class Section(NamedTuple):
    kind: str
    name: str
    head: Line
    lines: list[Line]


def read(path: Path) -> list[Section]:
    """The sections of a file, in order. Raises UnreadableError."""
    found: list[Section] = []
    for number, text in enumerate(read_text(path).splitlines(), 1):
        words = words_of(text, f"{path}:{number}")
        if not words:
            continue
        line = Line(tuple(words), str(path), number)
        if words[0] in SECTIONS:
            found.append(Section(words[0], words[1] if len(words) > 1 else "", line, []))
        elif found:
            found[-1].lines.append(line)
        elif not words[0].startswith("."):
            raise UnreadableError(f"{path}:{number}: {words[0]} stands in no section; haproxy -c says more")
    if not found:
        raise UnreadableError(f"{path}: no section of HAProxy in it; is it an haproxy.cfg?")
    return found


def words_of(text: str, place: str) -> list[str]:
    """The words of one line, without quotes, escapes and comment. Raises UnreadableError."""
    words: list[str] = []
    word: list[str] | None = None
    quote = ""
    at = 0
    while at < len(text):
        char = text[at]
        at += 1
        if quote == "'" and char != "'":
            word = [*(word or []), char]
        elif char == quote:
            quote = ""
        elif char == "\\":
            word = [*(word or []), *_escaped(text, at, quote)]
            at += 3 if text[at : at + 1] == "x" and not quote else 1
        elif quote:
            word = [*(word or []), char]
        elif char in "'\"":
            quote, word = char, word or []
        elif char == "#":
            break
        elif char in " \t":
            if word is not None:
                words.append("".join(word))
            word = None
        else:
            word = [*(word or []), char]
    if quote:
        raise UnreadableError(f"{place}: the quote {quote} is not closed")
    return words if word is None else [*words, "".join(word)]


def _escaped(text: str, at: int, quote: str) -> str:
    """What a backslash and the character at `at` stand for. In double quotes it escapes only the quote, the
    dollar and itself."""
    char = text[at : at + 1]
    if quote:
        return char if char in '"$\\' else f"\\{char}"
    if char == "x":
        try:
            return chr(int(text[at + 1 : at + 3], 16))
        except ValueError:
            return ""
    return ESCAPES.get(char, f"\\{char}")  # \. of a regular expression stays
