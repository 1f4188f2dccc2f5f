"""Which blocks changed: each change is seen, once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.telemetry.cells import Cells
from lb.telemetry.stirred import Stirred

COUNT, SIZE, BLOCKS = 5, 8, 6


def made() -> tuple[Cells, Stirred, list[int]]:
    cells = Cells(-1, 1, 2, 100)
    slots = [SIZE * (1 + number) for number in range(BLOCKS)]
    return cells, Stirred(cells, slots, COUNT), slots


def test_what_counts_less_and_more_by_as_much_has_changed():
    cells, stirred, slots = made()
    assert stirred.look(0, BLOCKS) == []
    cells.put(slots[2], 1)  # in flight
    assert stirred.look(0, BLOCKS) == [2]
    cells.put(slots[2], 0)
    cells.put(slots[2] + 3, 1)  # ended
    assert stirred.look(0, BLOCKS) == [2]
    assert stirred.look(0, BLOCKS) == []


@pytest.mark.parametrize(("begin", "end", "found"), [(0, 2, [1]), (2, 99, [5]), (2, 5, [])])
def test_a_part_of_them(begin, end, found):
    cells, stirred, slots = made()
    cells.put(slots[1], 1)
    cells.put(slots[5], -1)
    assert stirred.look(begin, end) == found


@given(
    steps=st.lists(
        st.tuples(st.integers(0, BLOCKS - 1), st.integers(0, SIZE - 1), st.integers(-3, 3)), max_size=30
    )
)
def test_no_change_is_missed_and_none_is_made_up(steps):
    cells, stirred, slots = made()
    for number, cell, value in steps:
        before = cells.get(slots[number] + cell)
        cells.put(slots[number] + cell, value)
        assert stirred.look(0, BLOCKS) == ([number] if value != before and cell < COUNT else [])
