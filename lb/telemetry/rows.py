"""What is read of thousands of counter blocks for one scrape.

Lives here: the kinds of blocks with their families, reading them, and the cap: how many label sets a family
has at most. Must not live here: the formats (lb.telemetry.blocks, lb.telemetry.protobuf), what the families
are (lb.telemetry.traffic).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from lb.telemetry import layout, traffic
from lb.telemetry.cells import Cells
from lb.telemetry.family import Family
from lb.telemetry.ledger import OTHER

# Label sets of a family; `code`, `state`, `difference` and buckets are not counted. What there is more is one
# more label set, in which each label is OTHER.
MOST = 10_000

Identity = tuple[str, str]


class BlockKind(NamedTuple):
    """One kind of block: its families, the names of the two labels that identify a block, and how many cells
    to read before those of its histograms."""

    families: tuple[Family, ...]
    labels: tuple[str, str]
    plain: int


ROUTE_BLOCKS = BlockKind(traffic.ROUTE, ("route", "service"), layout.ROUTE_DURATION_CELLS)
MIRROR_BLOCKS = BlockKind(traffic.MIRROR, ("route", "service"), layout.MIRROR_SIZE)
SERVER_BLOCKS = BlockKind(traffic.SERVER, ("service", "server"), layout.SERVER_DURATION_CELLS)

KINDS = (ROUTE_BLOCKS, MIRROR_BLOCKS, SERVER_BLOCKS)


class Row(NamedTuple):
    """One label set: the slots of its blocks (several for OTHER alone), and the sums of their plain cells."""

    identity: Identity
    slots: tuple[int, ...]
    plain: list[int]

    def grouped(self, cells: Cells, at: int, ends: tuple[int, ...]) -> list[int]:
        """Those of a histogram, in groups (Cells.grouped)."""
        found = cells.grouped(self.slots[0] + at, ends)
        for slot in self.slots[1:]:
            more = cells.grouped(slot + at, ends)
            found = [one + other for one, other in zip(found, more, strict=True)]
        return found

    def filled(self, cells: Cells, at: int, ends: tuple[int, ...]) -> list[tuple[int, int]]:
        """The groups that are not empty, with their numbers (Cells.filled)."""
        if len(self.slots) == 1:
            return cells.filled(self.slots[0] + at, ends)
        return [(number, count) for number, count in enumerate(self.grouped(cells, at, ends)) if count]


def read(cells: Cells, kind: BlockKind, blocks: Sequence[tuple[Identity, int]]) -> list[Row]:
    """A row for each block, in this order, up to MOST; OTHER last, where there is any."""
    other = (OTHER, OTHER)
    own = [(identity, slot) for identity, slot in blocks if identity != other][:MOST]
    rows = [Row(identity, (slot,), cells.totals(slot, kind.plain)) for identity, slot in own]
    if len(own) < len(blocks):
        kept = {slot for _, slot in own}
        slots = tuple(slot for _, slot in blocks if slot not in kept)
        plain = [
            sum(column) for column in zip(*(cells.totals(slot, kind.plain) for slot in slots), strict=True)
        ]
        rows.append(Row(other, slots, plain))
    return rows
