"""Rates, errors and quantiles of the last seconds, and the rings of the last hour."""

from __future__ import annotations

from array import array

import pytest

from lb.telemetry.layout import BUCKETS
from lb.telemetry.series import SECONDS, TENS, Figures, Series, added, counts_of, quantile


def counts(requests=0, errors=0, in_flight=0, bucket=2):
    buckets = [0] * BUCKETS
    buckets[bucket] = requests
    return array("q", [requests, errors, in_flight, *buckets])


def test_figures_are_those_of_the_last_five_seconds():
    series = Series(0, counts(100))
    for tick in range(1, 7):
        assert not series.take(tick, counts(100 + 10 * tick, tick, 3))
    assert series.figures == Figures(10.0, 1.0, 0.00175, 0.002485, 3)
    for tick in range(7, 12):
        series.take(tick, counts(160, 6, 3))
    assert series.figures == Figures(0.0, 0.0, None, None, 3)


def test_a_tick_that_was_missed_does_not_make_a_rate_higher():
    series = Series(0, counts(0))
    series.take(4, counts(40))
    assert series.figures.rate == 10.0


def test_counters_that_went_back_begin_anew():
    series = Series(0, counts(1000))
    series.take(1, counts(1010))
    series.take(2, counts(5))
    assert series.figures.rate == 0.0
    series.take(3, counts(7))
    assert series.figures.rate == 1.0
    assert min(series.seconds(3).rate) >= 0


def test_a_bucket_that_went_back_begins_anew():
    series = Series(0, counts(0))
    series.take(1, counts(400, bucket=5))
    series.take(2, counts(410, bucket=2))
    assert series.figures.rate == 0.0
    series.take(3, counts(413, in_flight=7))
    series.take(4, counts(416, in_flight=2))
    assert series.figures.rate == 2.0, "what is in flight may fall"
    assert series.seconds(4).rate[-4:] == [400.0, 0.0, 3.0, 3.0]


def test_what_nothing_happens_to_has_no_ring_and_plain_zeros():
    series = Series(0, counts(5))
    for tick in range(1, 100):
        assert series.take(tick, counts(5)), "it is at rest"
    assert not series.remembers
    assert series.hour(99).rate == [0.0] * TENS


def test_after_a_rest_the_rate_is_that_of_the_last_seconds():
    series, tick = Series(0, counts(0)), 1
    series.take(1, counts(10))
    while not series.take(tick := tick + 1, counts(10)):
        pass
    assert tick < 20
    assert series.figures == Figures()
    series.take(100, counts(20))  # nobody told it of the ticks between
    assert series.figures.rate == 2.0
    series.take(101, counts(30))
    assert series.figures.rate == 4.0
    assert [place for place, rate in enumerate(series.seconds(101).rate) if rate] == [19, 118, 119]


def test_the_rings_remember_through_silence():
    series = Series(0, counts(0))
    series.take(1, counts(50, 5))
    for tick in range(2, 31):
        series.take(tick, counts(50, 5))
    seconds, hour = series.seconds(30), series.hour(30)
    assert len(seconds.rate) == SECONDS
    assert [(-place, rate) for place, rate in enumerate(reversed(seconds.rate)) if rate] == [(-29, 50.0)]
    assert hour.rate[-3:] == [5.0, 0.0, 0.0]
    assert hour.errors[-3:] == [0.5, 0.0, 0.0]
    assert hour.p50[-2:] == [None, None]
    assert sum(series.hour(30 + 10 * TENS).rate) == 0, "an hour later it is forgotten"


def test_without_room_there_are_figures_and_no_ring():
    series = Series(0, counts(0))
    series.take(1, counts(5), room=False)
    assert series.figures.rate == 5.0
    assert not series.remembers


def test_counts_of_a_block():
    block = [3, 0, 7, 0, 0, 2, 4, *([1] * BUCKETS)]
    assert counts_of(block, 0, 6, 0, 7).tolist()[:3] == [13, 6, 3]
    assert counts_of(block, 0, -1, 0, 7).tolist()[:3] == [9, 2, 3]
    assert added(counts(1, 2, 3), counts(4, 5, 6)).tolist()[:3] == [5, 7, 9]


@pytest.mark.parametrize(
    ("place", "share", "us"), [(0, 0.5, 250), (2, 0.99, 2485), (BUCKETS - 1, 0.5, 60_000_000)]
)
def test_quantiles(place, share, us):
    buckets = [0] * BUCKETS
    buckets[place] = 100
    assert quantile(buckets, share) == us
    assert quantile([0] * BUCKETS, share) == 0
