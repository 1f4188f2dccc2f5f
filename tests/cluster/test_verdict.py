"""Whether a staged revision goes on: what is too many, what is too slow, what is chance."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.cluster.records import Progress, Stage, Traffic
from lb.cluster.verdict import Way, judge, quantile, shown
from lb.telemetry.layout import BOUNDS_US, BUCKETS

NONE = Traffic()
STAGE = Stage(first=["a"], stable=1, watch=60.0)
ANY = Stage(first=["a"], stable=1, watch=60.0, requests=0)
OVER, YET = 60.0, 10.0


def traffic(requests, failures=0, bucket=3):
    buckets = [0] * BUCKETS
    buckets[bucket] = requests
    return Traffic(requests=requests, failures=failures, buckets=buckets)


def verdict(watched, first, others=NONE, stage=STAGE):
    return judge(stage, Progress(revision=2, watched=watched, first=first, others=others))


def test_beside_nobody_nothing_is_slow():
    """Where no request need be seen, there may be none of the others."""
    assert verdict(YET, traffic(1000, bucket=7), stage=ANY).way is Way.WAIT
    assert verdict(OVER, traffic(1000, bucket=7), stage=ANY).way is Way.ON
    assert verdict(OVER, NONE, stage=ANY).way is Way.ON
    assert verdict(OVER, traffic(1, bucket=7), traffic(1, bucket=4), ANY).way is Way.BACK


@pytest.mark.parametrize(
    ("watched", "first", "others", "way"),
    [
        (YET, traffic(1000), traffic(1000), Way.WAIT),
        (OVER, traffic(1000), traffic(1000), Way.ON),
        # as bad as the others is not worse than the others
        (OVER, traffic(1000, 300), traffic(1000, 300), Way.ON),
        (OVER, traffic(1000, 309), traffic(1000, 300), Way.ON),
        (OVER, traffic(1000, 320), traffic(1000, 300), Way.BACK),
        # nobody waits for the end where it is plain
        (YET, traffic(5, 5), traffic(1000), Way.BACK),
        (YET, traffic(1000, 100), traffic(1000, 10), Way.BACK),
        # and chance is not plain
        (YET, traffic(4, 4), traffic(1000), Way.WAIT),
        (YET, traffic(300, 6), traffic(300, 2), Way.WAIT),
        (OVER, traffic(300, 9), traffic(300, 2), Way.BACK),
        (OVER, traffic(100, 2), traffic(1000, 0), Way.BACK),
        # too few prove nothing, however long
        (OVER * 9, traffic(99), traffic(1000), Way.WAIT),
        (OVER * 9, Traffic(), Traffic(), Way.WAIT),
        (OVER, traffic(6, 6), Traffic(), Way.BACK),
        # with nobody to compare with, failures count as they are
        (OVER, traffic(1000, 5), Traffic(), Way.ON),
        (OVER, traffic(1000, 50), Traffic(), Way.BACK),
        # times
        (OVER, traffic(1000, bucket=7), traffic(1000, bucket=4), Way.BACK),
        (YET, traffic(1000, bucket=7), traffic(1000, bucket=4), Way.BACK),
        (OVER, traffic(1000, bucket=4), traffic(1000, bucket=7), Way.ON),
        (YET, traffic(50, bucket=7), traffic(1000, bucket=4), Way.WAIT),
        (OVER, traffic(1000, bucket=7), traffic(50, bucket=4), Way.ON),
        (OVER, traffic(1000, bucket=3), traffic(1000, bucket=0), Way.ON),  # milliseconds: within the slack
    ],
)
def test_what_becomes_of_it(watched, first, others, way):
    found = verdict(watched, first, others)
    assert found.way is way, found.text


def test_a_trial_without_a_least_number_goes_on_without_requests():
    stage = Stage(first=["a"], watch=60.0, requests=0)
    assert verdict(OVER, Traffic(), Traffic(), stage).way is Way.ON


def test_words():
    assert "nothing is decided before 100" in verdict(OVER, traffic(12)).text
    assert (
        "too many of its requests fail: 1,000 requests, 50.00% failed"
        in verdict(OVER, traffic(1000, 500)).text
    )
    assert "take too long" in verdict(OVER, traffic(1000, bucket=9), traffic(1000)).text
    assert shown(traffic(1)) == "1 request, 0.00% failed, nine in ten within 4.75ms"
    assert shown(Traffic()) == "no requests yet"


def test_chance_seldom_ends_a_trial_of_equals():
    """Both fail in one of fifty; looked at 150 times each: what is the share of false alarms?"""
    random, alarms = Random(1), 0
    for _ in range(200):
        ones = [0, 0]
        for step in range(1, 151):
            for side in (0, 1):
                ones[side] += sum(random.random() < 0.02 for _ in range(10))
            first, others = traffic(step * 10, ones[0]), traffic(step * 10, ones[1])
            if verdict(YET, first, others).way is Way.BACK:
                alarms += 1
                break
    assert alarms <= 8, alarms  # 4 %


@given(st.lists(st.integers(0, 10**6), min_size=BUCKETS, max_size=BUCKETS))
def test_a_quantile_is_within_the_bucket_of_its_rank(buckets):
    found, total, before = quantile(buckets) * 1e6, sum(buckets), 0
    if not total:
        assert found == 0
        return
    for at, count in enumerate(buckets):
        before += count
        if before >= 0.9 * total and count:
            upper = BOUNDS_US[at] if at < len(BOUNDS_US) else BOUNDS_US[-1]
            lower = BOUNDS_US[at - 1] if at else 0
            assert lower * 0.999 <= found <= upper * 1.001
            return
