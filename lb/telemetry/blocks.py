"""Prometheus text for thousands of counter blocks, by filling prepared lines.

Lives here: BlockText, which renders the families of all blocks of one kind. Must not live here: the
other families (lb.telemetry.metrics) and what the families are (lb.telemetry.families).
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate
from typing import NamedTuple

from lb.telemetry import families as f
from lb.telemetry import layout
from lb.telemetry.buckets import CELLS, classic
from lb.telemetry.cells import Cells
from lb.telemetry.family import Family

_LE = [*(repr(bound / 1e6) for bound in layout.BOUNDS_US), "+Inf"]


class BlockKind(NamedTuple):
    """One kind of block: its families, the names of the two labels that identify a block, its size in
    cells."""

    families: tuple[Family, ...]
    labels: tuple[str, str]
    size: int


ROUTE_BLOCKS = BlockKind(f.ROUTE, ("route", "service"), layout.ROUTE_SIZE)
MIRROR_BLOCKS = BlockKind(f.MIRROR, ("route", "service"), layout.MIRROR_SIZE)
SERVER_BLOCKS = BlockKind(f.SERVER, ("service", "server"), layout.SERVER_SIZE)


class BlockText:
    """Renders the families of one kind of block. Prepared lines are kept from scrape to scrape."""

    def __init__(self, kind: BlockKind) -> None:
        self._kind = kind
        self._histograms: dict[tuple[str, str], dict[str, str]] = {}  # by identity and family

    def render(
        self, parts: list[str], cells: Cells, blocks: Iterable[tuple[tuple[str, str], int]], openmetrics: bool
    ) -> None:
        """Append the text of all families to `parts`."""
        size = self._kind.size
        rows = [(identity, self._labels(identity), cells.totals(slot, size)) for identity, slot in blocks]
        self._forget({identity for identity, _, _ in rows})
        for family in self._kind.families:
            total = "_total" if family.type == "counter" else ""
            named = family.name if openmetrics else family.name + total
            parts.append(f"# HELP {named} {family.text}\n# TYPE {named} {family.type}\n")
            if family.type == "histogram":
                self._histogram(parts, family, rows)
            elif "code" in family.labels:
                _by_class(parts, family.name + total, family.at, rows)
            elif "state" in family.labels:
                _by_word(parts, family.name + total, "state", f.CONNECTION_STATES, rows)
            elif "difference" in family.labels:
                _by_word(parts, family.name + total, "difference", f.DIFFERENCES, rows)
            else:
                at = family.at
                name = family.name + total
                parts += [f"{name}{{{labels}}} {block[at]}\n" for _, labels, block in rows]

    def _labels(self, identity: tuple[str, str]) -> str:
        first, second = self._kind.labels
        return f'{first}="{_escape(identity[0])}",{second}="{_escape(identity[1])}"'

    def _histogram(
        self, parts: list[str], family: Family, rows: list[tuple[tuple[str, str], str, list[int]]]
    ) -> None:
        first = family.at
        for identity, labels, block in rows:
            cells = block[first : first + CELLS]
            if not any(cells):
                continue
            texts = self._histograms.setdefault(identity, {})
            text = texts.get(family.name)
            if text is None:
                text = texts[family.name] = _histogram_text(family.name, labels)
            buckets = tuple(accumulate(classic(cells)))
            parts.append(text % (*buckets, buckets[-1], block[family.sum] / 1e6))

    def _forget(self, present: set[tuple[str, str]]) -> None:
        """Drop prepared lines of blocks that are no more."""
        for identity in self._histograms.keys() - present:
            del self._histograms[identity]


def _by_class(
    parts: list[str], name: str, at: int, rows: list[tuple[tuple[str, str], str, list[int]]]
) -> None:
    for _, labels, block in rows:
        parts += [
            f'{name}{{{labels},code="{digit}xx"}} {block[at + digit]}\n'
            for digit in range(1, 6)
            if block[at + digit]
        ]


def _by_word(
    parts: list[str],
    name: str,
    label: str,
    words: tuple[tuple[str, int], ...],
    rows: list[tuple[tuple[str, str], str, list[int]]],
) -> None:
    for word, at in words:
        parts += [f'{name}{{{labels},{label}="{word}"}} {block[at]}\n' for _, labels, block in rows]


def _histogram_text(name: str, labels: str) -> str:
    """The lines of one histogram with a %d for each bucket and the count, and a %r for the sum."""
    labels = labels.replace("%", "%%")
    lines = [f'{name}_bucket{{{labels},le="{bound}"}} %d\n' for bound in _LE]
    return "".join(lines) + f"{name}_count{{{labels}}} %d\n{name}_sum{{{labels}}} %r\n"


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
