"""Values of nginx: directives, times, sizes, and texts with variables.

Lives here: the grammar of values. Must not live here: what a directive means.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lb.importing.values import UnmappableError, milliseconds

_TIME = re.compile(r"(?:(\d+)(ms|[smhdwMy]?))+\Z")
_TIME_PART = re.compile(r"(\d+)(ms|[smhdwMy]?)")
_MILLISECONDS = {
    "ms": 1,
    "": 1000,
    "s": 1000,
    "m": 60_000,
    "h": 3_600_000,
    "d": 86_400_000,
    "w": 604_800_000,
    "M": 2_592_000_000,
    "y": 31_536_000_000,
}
_SIZE = re.compile(r"(\d+)([kKmMgG]?)\Z")
_ESCAPE = re.compile(r"\\([\"'\\trn])")
_ESCAPES = {"t": "\t", "r": "\r", "n": "\n"}
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")

# What lb calls the same thing.
FIELDS = {
    "host": "${host}",
    "http_host": "${host}",
    "request_uri": "${uri}",
    "uri": "${path}",
    "document_uri": "${path}",
    "scheme": "${scheme}",
    "args": "${query}",
    "query_string": "${query}",
    "remote_addr": "${client_ip}",
    "request_id": "${request_id}",
}
IN_HEADERS = {"host", "http_host", "uri", "document_uri", "scheme", "remote_addr", "request_id"}
IN_REDIRECTS = {"host", "http_host", "request_uri", "uri", "document_uri", "scheme", "args", "query_string"}


@dataclass(eq=False, slots=True)
class Directive:
    """One directive, with the directives of its block where it has one. `used`: somebody asked for it."""

    name: str
    args: tuple[str, ...]
    file: str
    line: int
    block: tuple[Directive, ...] = ()
    used: bool = False

    @property
    def place(self) -> tuple[str, int]:
        return self.file, self.line

    def __str__(self) -> str:
        return " ".join((self.name, *self.args))


class Settings(dict[str, list[Directive]]):
    """Directives by name. Those that are asked for are used."""

    def found(self, name: str) -> list[Directive]:
        """All of that name, none if there are none."""
        found = self.get(name, [])
        for one in found:
            one.used = True
        return found


def directive_of(found: Mapping[str, Any], file: str) -> Directive:
    """Out of what crossplane gives."""
    name, where = found["directive"], found.get("file", file)
    block = tuple(directive_of(inner, where) for inner in found.get("block", ()))
    return Directive(name, tuple(map(_unescaped, found["args"])), where, found["line"], block)


def _unescaped(arg: str) -> str:
    """crossplane leaves most escapes; nginx knows these and keeps the backslash of others."""
    return _ESCAPE.sub(lambda found: _ESCAPES.get(found[1], found[1]), arg)


def settings_of(directives: Iterable[Directive], outer: Settings | None = None) -> Settings:
    """Directives by name; those of an inner block replace all of that name of the outer ones, as in nginx.
    allow and deny are one list, "access"."""
    own: dict[str, list[Directive]] = {}
    for one in directives:
        own.setdefault("access" if one.name in ("allow", "deny") else one.name, []).append(one)
    return Settings({**(outer or {}), **own})


def duration(value: str) -> str | int:
    """A time of nginx as lb writes it; "0" is 0. Raises UnmappableError."""
    if not _TIME.match(value):
        raise UnmappableError(f"{value} is no time")
    total = sum(int(number) * _MILLISECONDS[unit] for number, unit in _TIME_PART.findall(value))
    return milliseconds(total)


def size(value: str) -> int:
    """Bytes. Raises UnmappableError."""
    found = _SIZE.match(value)
    if not found:
        raise UnmappableError(f"{value} is no size")
    return int(found[1]) << {"": 0, "k": 10, "m": 20, "g": 30}[found[2].lower()]


def size_text(total: int) -> str | int:
    """A number of bytes as lb writes sizes; 0 is no limit."""
    for unit, shift in (("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if total and total % (1 << shift) == 0:
            return f"{total >> shift}{unit}"
    return f"{total}B" if total else 0


def translated(value: str, allowed: set[str], names: Mapping[str, str]) -> str:
    """`value` with lb's fields for nginx' variables; `names` are variables of a known text. Raises
    UnmappableError for a variable that lb has not."""

    def put(found: re.Match[str]) -> str:
        name = found[1] or found[2]
        if name in names:
            return names[name]
        if name not in allowed:
            raise UnmappableError(f"lb has no counterpart of ${name} here")
        return FIELDS[name]

    return _VARIABLE.sub(put, value.replace("$is_args$args", "?$args"))


def has_variable(value: str) -> bool:
    return "$" in value
