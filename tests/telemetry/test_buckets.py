"""From a time to its cell, and from cells to both kinds of buckets, against plain comparison."""

import os

from hypothesis import given, settings
from hypothesis import strategies as st

from lb.telemetry.buckets import (
    CELLS,
    CELLS_US,
    CLASSIC_ENDS,
    CLASSIC_US,
    FIRST,
    LAST,
    NATIVE_ENDS,
    cell_of,
)
from lb.telemetry.cells import Cells
from lb.telemetry.ledger import create_cells_file

TIMES = st.one_of(
    st.integers(0, 2**62 - 1),
    st.integers(0, 2 * 10**9),
    st.sampled_from(CELLS_US).flatmap(lambda bound: st.integers(bound - 1, bound + 1)),
)


@given(TIMES)
def test_a_time_is_in_the_first_cell_whose_bound_it_is_not_above(us):
    cell = cell_of(us)
    assert cell == CELLS - 1 or us <= CELLS_US[cell]
    assert cell == 0 or us > CELLS_US[cell - 1]


@settings(deadline=None)  # ten thousand comparisons an example
@given(st.lists(TIMES, max_size=50))
def test_both_kinds_of_buckets_are_exact(times):
    cells = Cells(-1, 0, 2, 5 + CELLS)
    for us in times:
        cells.add(5 + cell_of(us), 1)
    below, found = 0, cells.grouped(5, CLASSIC_ENDS)
    for bound, count in zip(CLASSIC_US, found, strict=False):
        below += count
        assert below == sum(us <= bound for us in times)
    assert sum(found) == len(times)
    below, found = 0, cells.grouped(5, NATIVE_ENDS)
    for at, count in zip(range(FIRST, LAST + 1), found, strict=False):
        below += count
        assert below == sum(us <= 2 ** (at / 8) * 1e6 for us in times)
    assert (sum(found), len(found)) == (len(times), LAST - FIRST + 2)


def test_groups_and_summaries_are_sums_over_workers():
    fd = create_cells_file(2, 8)
    cells, other = (Cells(fd, worker, 2, 8) for worker in range(2))
    os.close(fd)
    for at in range(8):
        cells.add(at, at)
        other.add(at, 10 * at)
    assert cells.grouped(2, (1, 1, 4)) == [22, 0, 33 + 44 + 55]
    assert cells.summary(1, 2, (2, 3)) == [11, 22, 33 + 44, 55]
