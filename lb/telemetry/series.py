"""One measured thing over time: its rate, errors and latency now, and its last hour.

Lives here: from growing counters to figures, and the ring that remembers them. Must not live here: whose
counters they are (lb.control.live), where they lie (lb.telemetry.layout).

Ticks are whole seconds that only grow. A series that nothing happens to for a while is at rest and costs
nothing: it is not told of ticks until its counters move again. It has a ring only from its first request on:
9.6 KiB.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Sequence
from operator import add, sub
from typing import NamedTuple

from lb.telemetry.layout import BOUNDS_US, BUCKETS

WINDOW = 5  # seconds that the figures are made of
SECONDS = 120  # points of one second each
STEP = 10  # seconds of a point of the hour
TENS = 360

FIELDS = 5  # of a point: requests, errors, p50 and p99 in microseconds, in flight
REQUESTS, ERRORS, IN_FLIGHT, FIRST_BUCKET = 0, 1, 2, 3  # in counts
NOTHING = array("q", [0]) * (FIRST_BUCKET + BUCKETS)


class Figures(NamedTuple):
    """`rate`, `errors`: a second; `p50`, `p99`: seconds, None where no request ended in the window."""

    rate: float = 0.0
    errors: float = 0.0
    p50: float | None = None
    p99: float | None = None
    in_flight: int = 0


class Points(NamedTuple):
    """Columns, the oldest first; the last ends at the tick that was asked for, or up to `step` - 1 before.
    `step`: seconds; otherwise as Figures."""

    step: int
    rate: list[float]
    errors: list[float]
    p50: list[float | None]
    p99: list[float | None]
    in_flight: list[int]


class Series:
    """`figures` are those of the last tick that it was told of."""

    __slots__ = ("_at", "_figures", "_same", "_seconds", "_ten", "_tens", "_window")

    def __init__(self, tick: int, counts: array[int]) -> None:
        """`counts`: requests, errors, in flight, and the buckets of durations, as they stand."""
        self._figures: Figures | None = None
        self._window: deque[tuple[int, array[int]]] = deque([(tick, counts)], WINDOW + 1)
        self._ten = counts
        self._at = tick  # the last that is in the rings
        self._same = STEP
        self._seconds: array[int] | None = None
        self._tens: array[int] | None = None

    @property
    def remembers(self) -> bool:
        """Whether it has a ring."""
        return self._seconds is not None

    @property
    def figures(self) -> Figures:
        if self._figures is None:
            self._figures = _figures(self._window)
        return self._figures

    def take(self, tick: int, counts: array[int], room: bool = True) -> bool:
        """Take in how the counters stand at `tick`; `room`: there is memory for a ring. Returns whether it is
        at rest: then it need not be told of ticks before they change. Counters that went back begin anew."""
        last = self._window[-1][1]
        more = NOTHING
        if counts == last:
            if self._same > STEP:
                return True
            self._same += 1
        else:
            more = grown(counts, last)
            if self._same > STEP:  # ticks of which nobody told it, because nothing happened
                self._window.extend((tick - back, last) for back in range(WINDOW, 0, -1))
            self._same = 0
            if more[REQUESTS] < 0 or more[ERRORS] < 0 or min(more[FIRST_BUCKET:]) < 0:
                self._window.clear()
                self._window.append((tick - 1, counts))
                self._ten, last, more = counts, counts, NOTHING
        self._window.append((tick, counts))
        if self._seconds is None and room and not self._same:
            self._seconds = array("I", [0]) * (SECONDS * FIELDS)
            self._tens = array("I", [0]) * (TENS * FIELDS)
            self._at = tick - 1
        if self._seconds is not None and self._tens is not None:
            self._fill(tick - 1, last[IN_FLIGHT])
            _put(self._seconds, tick % SECONDS, more, counts[IN_FLIGHT])
            if tick % STEP == 0:
                _put(self._tens, tick // STEP % TENS, grown(counts, self._ten), counts[IN_FLIGHT])
                self._ten = counts
            self._at = tick
        self._figures = None
        return self._same > STEP

    def seconds(self, tick: int) -> Points:
        """The last two minutes."""
        tick = max(tick, self._at)  # while others are looked at, it may be a second ahead
        self._fill(tick, self.figures.in_flight)
        return _points(self._seconds, tick + 1, SECONDS, 1)

    def hour(self, tick: int) -> Points:
        tick = max(tick, self._at)
        self._fill(tick, self.figures.in_flight)
        return _points(self._tens, tick // STEP + 1, TENS, STEP)

    def _fill(self, tick: int, in_flight: int) -> None:
        """Nothing ended since the last point."""
        if self._seconds is None or self._tens is None or tick <= self._at:
            return
        quiet = array("I", [0, 0, 0, 0, in_flight])
        for one in range(max(self._at + 1, tick - SECONDS + 1), tick + 1):
            _set(self._seconds, one % SECONDS, quiet)
        for one in range(max(self._at // STEP + 1, tick // STEP - TENS + 1), tick // STEP + 1):
            _set(self._tens, one % TENS, quiet)
        self._at = tick


def counts_of(block: Sequence[int], classes: int, failures: int, in_flight: int, buckets: int) -> array[int]:
    """The counts of a block of cells. `classes`, `in_flight`, `buckets`: offsets; `failures`: that of
    attempts that failed, or -1: such an attempt is an error and mostly has no status."""
    failed = block[failures] if failures >= 0 else 0
    requests = sum(block[classes + 1 : classes + 6]) + failed
    taken = block[buckets : buckets + BUCKETS]
    return array("q", [requests, block[classes + 5] + failed, block[in_flight], *taken])


def added(one: array[int], other: array[int]) -> array[int]:
    return array("q", map(add, one, other))


def grown(late: array[int], early: array[int]) -> array[int]:
    return array("q", map(sub, late, early))


def quantile(buckets: Sequence[int], share: float) -> int:
    """Microseconds within which this share of the requests ended, interpolated in a bucket as Prometheus
    does; the last bucket counts as its lower bound. 0 where there are none."""
    rank, before, lower = share * sum(buckets), 0, 0
    for count, upper in zip(buckets, BOUNDS_US, strict=False):
        if count and before + count >= rank:
            return round(lower + (upper - lower) * (rank - before) / count)
        before, lower = before + count, upper
    return lower if rank else 0


def _figures(window: deque[tuple[int, array[int]]]) -> Figures:
    (since, early), (tick, late) = window[0], window[-1]
    if early == late:
        return Figures(in_flight=late[IN_FLIGHT])
    ends = grown(late, early)[FIRST_BUCKET:]
    passed, ended = tick - since, sum(ends)
    return Figures(
        round((late[REQUESTS] - early[REQUESTS]) / passed, 2),
        round((late[ERRORS] - early[ERRORS]) / passed, 2),
        quantile(ends, 0.5) / 1e6 if ended else None,
        quantile(ends, 0.99) / 1e6 if ended else None,
        late[IN_FLIGHT],
    )


def _put(ring: array[int], place: int, more: array[int], in_flight: int) -> None:
    """`more`: what the counts grew by."""
    if not more[REQUESTS]:
        _set(ring, place, array("I", [0, 0, 0, 0, in_flight]))
        return
    ends = more[FIRST_BUCKET:]
    point = [more[REQUESTS], more[ERRORS], quantile(ends, 0.5), quantile(ends, 0.99), in_flight]
    _set(ring, place, array("I", point))


def _set(ring: array[int], place: int, point: array[int]) -> None:
    ring[place * FIELDS : (place + 1) * FIELDS] = point


def _points(ring: array[int] | None, after: int, size: int, step: int) -> Points:
    if ring is None:
        ring = array("I", [0]) * (size * FIELDS)
    cut = after % size * FIELDS
    found = ring[cut:] + ring[:cut]
    requests, errors, p50, p99, in_flight = (found[i::FIELDS].tolist() for i in range(FIELDS))
    return Points(
        step,
        [round(n / step, 2) for n in requests],
        [round(n / step, 2) for n in errors],
        [us / 1e6 if n else None for us, n in zip(p50, requests, strict=True)],
        [us / 1e6 if n else None for us, n in zip(p99, requests, strict=True)],
        in_flight,
    )
