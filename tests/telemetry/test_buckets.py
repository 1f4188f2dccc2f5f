"""From a time to its cell, and from cells to both kinds of buckets, against plain comparison."""

from hypothesis import given, settings
from hypothesis import strategies as st

from lb.telemetry.buckets import CELLS, CELLS_US, CLASSIC_US, FIRST, LAST, cell_of, classic, native

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
    cells = [0] * CELLS
    for us in times:
        cells[cell_of(us)] += 1
    below, found = 0, classic(cells)
    for bound, count in zip(CLASSIC_US, found, strict=False):
        below += count
        assert below == sum(us <= bound for us in times)
    assert sum(found) == len(times)
    below, found = 0, native(cells)
    for at, count in zip(range(FIRST, LAST + 1), found, strict=False):
        below += count
        assert below == sum(us <= 2 ** (at / 8) * 1e6 for us in times)
    assert (sum(found), len(found)) == (len(times), LAST - FIRST + 2)
