"""What an import makes: a draft of a configuration, and what of the source is not in it.

Lives here: the draft, its text, and the check that `lb check` would make of it. Must not live here: any
format.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from lb.config import ConfigError, Problem, loads

MAX_BYTES = 16 * 2**20  # of one source file


class UnreadableError(ValueError):
    """The source is none of its format, or cannot be read. The text says where and what to do."""


class MissingPackageError(Exception):
    """What an extra brings is not installed. The text says which."""


class Gap(NamedTuple):
    """A directive without (`lost`) or with a slightly different counterpart. `line` 0: the whole file."""

    file: str
    line: int
    directive: str
    why: str
    instead: str
    lost: bool = True

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        instead = f"; {self.instead}" if self.instead else ""
        return printable(f"{place}: {self.directive}: {self.why}{instead}")


class Draft:
    """A configuration in the making."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.top: dict[str, Any] = {}
        self.listeners: list[dict[str, Any]] = []
        self.services: dict[str, Any] = {}
        self.routes: list[dict[str, Any]] = []
        self.gaps: list[Gap] = []
        self.left_out: list[str] = []

    def gap(self, place: tuple[str, int], directive: str, why: str, instead: str = "") -> None:
        """`directive` is not in the draft."""
        self._say(Gap(*place, one_line(directive), why, instead))

    def note(self, place: tuple[str, int], directive: str, why: str, instead: str = "") -> None:
        """`directive` is in the draft, and does not mean the same to the last bit."""
        self._say(Gap(*place, one_line(directive), why, instead, lost=False))

    def needless(self, place: tuple[str, int], directive: str) -> None:
        """`directive` is not in the draft, and nothing is lost: lb always does it, or it is about the insides
        of the other one."""
        said = printable(f"{place[0]}:{place[1]}: {one_line(directive)}")
        if said not in self.left_out:
            self.left_out.append(said)

    def _say(self, gap: Gap) -> None:
        if gap not in self.gaps:
            self.gaps.append(gap)

    @property
    def lost(self) -> list[Gap]:
        return [gap for gap in self.gaps if gap.lost]

    @property
    def notes(self) -> list[Gap]:
        return [gap for gap in self.gaps if not gap.lost]

    def add_route(self, name: str, route: Mapping[str, Any]) -> None:
        """Under `name`, made one that is legal and not taken."""
        self.routes.append({"name": free_name(name, {one["name"] for one in self.routes}), **route})

    def document(self) -> dict[str, Any]:
        parts = {"listeners": self.listeners, "routes": self.routes, "services": self.services}
        return {**self.top, **{key: part for key, part in parts.items() if part}}

    def text(self) -> str:
        """The YAML, below comments that list what is not in it."""
        lines = [f"# Made by `lb import {printable(self.source)}`. Read it, then: lb check, lb explain."]
        for title, gaps in (("Not mapped:", self.lost), ("Mapped, with a difference:", self.notes)):
            if gaps:
                lines += ["#", f"# {title}", *(f"# - {gap}" for gap in gaps)]
        if self.left_out:
            lines += ["#", "# Left out, as lb has no need of it:", *(f"# - {one}" for one in self.left_out)]
        return "\n".join(lines) + "\n\n" + _dumped(self.document())

    def problems(self) -> list[Problem]:
        """What `lb check` would refuse."""
        try:
            loads(self.text(), "the result")
        except ConfigError as error:
            return error.problems
        return []


def read_text(path: Path) -> str:
    """The whole of a source. Raises UnreadableError."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise UnreadableError(f"{path}: larger than {MAX_BYTES // 2**20} MiB; is it a configuration?")
        return content.decode()
    except OSError as error:
        raise UnreadableError(f"{path}: cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise UnreadableError(f"{path}:{line}: not UTF-8 text; save the file as UTF-8") from None


def free_name(wanted: str, taken: Iterable[str]) -> str:
    """`wanted` as a name that lb allows and that is not in `taken`."""
    plain = re.sub(r"[^\w.:/*-]+", "-", wanted, flags=re.ASCII).strip("-")[:100] or "route"
    names, number = set(taken), 2
    name = plain
    while name in names:
        name, number = f"{plain}-{number}", number + 1
    return name


def printable(text: str) -> str:
    """`text` with spaces for what would break a comment or a terminal."""
    return "".join(char if char.isprintable() else " " for char in text)


def one_line(text: str) -> str:
    """A directive as it is shown: no longer than 160 characters."""
    plain = printable(text)
    return plain if len(plain) <= 160 else f"{plain[:157]}..."


def _dumped(document: Mapping[str, Any]) -> str:
    parts = []
    for key, part in document.items():
        parts.append(
            yaml.dump(
                {key: part},
                Dumper=_Dumper,
                sort_keys=False,
                width=110,
                default_flow_style=None if isinstance(part, (dict, list)) else False,
                allow_unicode=True,
            )
        )
    return "\n".join(parts)


class _Dumper(yaml.SafeDumper):
    """Without anchors: a value that is shared is written twice."""

    def ignore_aliases(self, data: Any) -> bool:
        return True
