"""How long something took, as one of the cells of a histogram, and what two kinds of histograms make of them.

Lives here: the bounds, from a time to its cell (data plane), which cells make classic and which native
buckets (whoever reads). Must not live here: where the cells lie (lb.telemetry.layout), rendering.

A histogram is shown with the classic bounds, which people and rules know, and as a native histogram of
Prometheus, whose bounds are powers of 2^(1/8), nine per cent apart. Cells are cut by both kinds of bounds, so
that either is an exact sum of the same cells and the data plane counts once. Times are whole microseconds.
"""

from __future__ import annotations

from bisect import bisect_left

import cython

# Upper bounds of the classic buckets, microseconds; the last bucket has none.
CLASSIC_US: tuple[int, ...] = (
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 5_000_000, 10_000_000, 30_000_000, 60_000_000,
)  # fmt: skip

# Native buckets: number i ends at 2^(i/8) seconds. From 61 µs, below which all is one (the zero bucket), to
# 17 minutes: what took longer, as tunnels do, counts as just above.
SCHEMA = 3
FIRST = -14 * 8
LAST = 10 * 8
ZERO_THRESHOLD = 2.0 ** (FIRST / 8)  # seconds
_NATIVE_US = [int(2.0 ** (i / 8) * 1e6) for i in range(FIRST, LAST + 1)]

# Upper bounds of the cells; the last cell has none.
CELLS_US: tuple[int, ...] = tuple(sorted({*CLASSIC_US, *_NATIVE_US}))
CELLS: int = len(CELLS_US) + 1

# Where each classic bucket ends, and each native one: the zero bucket, then those with the numbers from
# FIRST + 1 to LAST + 1. For Cells.grouped.
CLASSIC_ENDS: tuple[int, ...] = (*(CELLS_US.index(bound) + 1 for bound in CLASSIC_US), CELLS)
NATIVE_ENDS: tuple[int, ...] = (*(CELLS_US.index(bound) + 1 for bound in _NATIVE_US), CELLS)

# The first cell that a time can be in, by its five highest bits and their place: seldom more than one or
# two cells below the right one.
_STEPS = 16
_BOUNDS: list[int] = list(CELLS_US)  # as C ints in the compiled build
_TOP: cython.int = len(CELLS_US)
_FROM: bytes = bytes(
    bisect_left(CELLS_US, place if place < 2 * _STEPS else (place % _STEPS + _STEPS) << (place // _STEPS - 1))
    for place in range(_STEPS * 60)
)


@cython.ccall
@cython.exceptval(check=False)
@cython.wraparound(False)
@cython.boundscheck(False)  # `high` has at most 63 bits, so that `place` is below 16 * 60
def cell_of(us: cython.longlong) -> cython.int:
    """The cell of a time, which is not negative; 0 ≤ cell < CELLS."""
    high: cython.longlong = us
    place: cython.int = 0
    found: cython.int
    bound: cython.longlong
    while high >= 32:
        high >>= 1
        place += 16
    found = _FROM[place + high]
    while found < _TOP:
        bound = _BOUNDS[found]
        if us <= bound:
            break
        found += 1
    return found
