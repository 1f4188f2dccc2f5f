"""Prometheus text for thousands of counter blocks, by filling prepared lines.

Lives here: BlockText, which renders the families of all blocks of one kind. Must not live here: the
other families (lb.telemetry.metrics), what the families are (lb.telemetry.traffic), reading
(lb.telemetry.rows).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import accumulate

from lb.telemetry import layout, traffic
from lb.telemetry.buckets import CLASSIC_ENDS
from lb.telemetry.cells import Cells
from lb.telemetry.exemplars import Exemplar
from lb.telemetry.family import Family
from lb.telemetry.rows import BlockKind, Identity, Row

_BOUNDS = [bound / 1e6 for bound in layout.BOUNDS_US]
_LE = [*map(repr, _BOUNDS), "+Inf"]


class BlockText:
    """Renders the families of one kind of block. Prepared lines are kept from scrape to scrape."""

    def __init__(self, kind: BlockKind) -> None:
        self._kind = kind
        self._histograms: dict[Identity, dict[str, str]] = {}  # by identity and family

    def render(
        self,
        parts: list[str],
        cells: Cells,
        rows: Sequence[Row],
        openmetrics: bool,
        exemplars: Mapping[Identity, Exemplar],
    ) -> None:
        """Append the text of all families to `parts`; the exemplars are those of the histograms of routes."""
        labelled = [(row, self._labels(row.identity)) for row in rows]
        self._forget({row.identity for row in rows})
        for family in self._kind.families:
            total = "_total" if family.type == "counter" else ""
            named = family.name if openmetrics else family.name + total
            parts.append(f"# HELP {named} {family.text}\n# TYPE {named} {family.type}\n")
            name, at = family.name + total, family.at
            if family.type == "histogram":
                known = exemplars if openmetrics and family is traffic.EXEMPLARY else {}
                self._histogram(parts, family, labelled, cells, known)
            elif "code" in family.labels:
                _by_class(parts, name, at, labelled)
            elif words := traffic.WORDS.get(family.labels[-1]):
                for word, place in words:
                    parts += [
                        f'{name}{{{labels},{family.labels[-1]}="{word}"}} {row.plain[place]}\n'
                        for row, labels in labelled
                    ]
            else:
                parts += [f"{name}{{{labels}}} {row.plain[at]}\n" for row, labels in labelled]

    def _labels(self, identity: Identity) -> str:
        first, second = self._kind.labels
        return f'{first}="{_escape(identity[0])}",{second}="{_escape(identity[1])}"'

    def _histogram(
        self,
        parts: list[str],
        family: Family,
        labelled: Sequence[tuple[Row, str]],
        cells: Cells,
        exemplars: Mapping[Identity, Exemplar],
    ) -> None:
        for row, labels in labelled:
            buckets = tuple(accumulate(row.grouped(cells, family.at, CLASSIC_ENDS)))
            if not buckets[-1]:
                continue
            texts = self._histograms.setdefault(row.identity, {})
            text = texts.get(family.name)
            if text is None:
                text = texts[family.name] = _histogram_text(family.name, labels)
            filled = text % (*buckets, buckets[-1], row.plain[family.sum] / 1e6)
            exemplar = exemplars.get(row.identity)
            parts.append(filled if exemplar is None else _marked(filled, exemplar))

    def _forget(self, present: set[Identity]) -> None:
        """Drop prepared lines of blocks that are no more."""
        for identity in self._histograms.keys() - present:
            del self._histograms[identity]


def _by_class(parts: list[str], name: str, at: int, labelled: Sequence[tuple[Row, str]]) -> None:
    for row, labels in labelled:
        plain = row.plain
        parts += [
            f'{name}{{{labels},code="{digit}xx"}} {plain[at + digit]}\n'
            for digit in range(1, 6)
            if plain[at + digit]
        ]


def _histogram_text(name: str, labels: str) -> str:
    """The lines of one histogram with a %d for each bucket and the count, and a %r for the sum."""
    labels = labels.replace("%", "%%")
    lines = [f'{name}_bucket{{{labels},le="{bound}"}} %d\n' for bound in _LE]
    return "".join(lines) + f"{name}_count{{{labels}}} %d\n{name}_sum{{{labels}}} %r\n"


def _marked(text: str, exemplar: Exemplar) -> str:
    """The lines of one histogram with the exemplar at its bucket."""
    lines = text.split("\n")
    at = bisect_left(_BOUNDS, exemplar.seconds)
    lines[at] += f' # {{trace_id="{exemplar.trace_id}"}} {exemplar.seconds!r} {exemplar.at!r}'
    return "\n".join(lines)


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
