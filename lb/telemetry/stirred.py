"""Which of thousands of counter blocks changed since the last look: most of them did not.

Lives here: a mark of each block, and comparing. Must not live here: what the counters say
(lb.telemetry.series).
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence

import cython

from lb.telemetry.cells import Cells

_MASK: cython.ulonglong = 0xFFFF_FFFF_FFFF_FFFF
_FACTOR: cython.ulonglong = 0x9E37_79B9_7F4A_7C15


@cython.cclass
class Stirred:
    """Blocks of one kind. A mark is a hash of the first `count` cells of a block in all regions: in a sum, a
    gauge that falls could hide what a counter grew. What is all zero has not changed at the first look."""

    cells: Cells
    count: cython.Py_ssize_t

    def __init__(self, cells: Cells, slots: Sequence[int], count: int) -> None:
        self.cells = cells
        self.slots = array("q", slots)
        self.marks = array("Q", bytes(8 * len(slots)))
        self.count = count

    def look(self, begin: cython.Py_ssize_t, end: cython.Py_ssize_t) -> list[int]:
        """The numbers of the blocks that changed, of those from `begin` on before `end`."""
        found: list[int] = []
        number: cython.Py_ssize_t
        mark: cython.ulonglong
        for number in range(begin, min(end, len(self.slots))):
            mark = self._mark(self.slots[number])
            if mark != self.marks[number]:
                self.marks[number] = mark
                found.append(number)
        return found

    @cython.cfunc
    @cython.exceptval(check=False)
    @cython.wraparound(False)
    def _mark(self, slot: cython.Py_ssize_t) -> cython.ulonglong:
        mark: cython.ulonglong = 0
        i: cython.Py_ssize_t
        w: cython.int
        for w in range(self.cells.workers):
            slot_of: cython.Py_ssize_t = w * self.cells.size + slot
            for i in range(slot_of, slot_of + self.count):
                mark = ((mark ^ (self.cells.view[i] & _MASK)) * _FACTOR) & _MASK
        return mark
