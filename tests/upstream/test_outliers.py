"""Which servers did worse than the others: found when they did, and only then."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.telemetry.layout import BOUNDS_US, BUCKETS
from lb.upstream.outliers import Counts, failing, quantile, slow

MIN_REQUESTS, MIN_SERVERS = 50, 3


def bucketed(microseconds) -> tuple[int, ...]:
    buckets = [0] * BUCKETS
    for us in microseconds:
        buckets[next((i for i, bound in enumerate(BOUNDS_US) if us <= bound), BUCKETS - 1)] += 1
    return tuple(buckets)


def counts(requests: int, failures: int = 0, buckets: tuple[int, ...] = (0,) * BUCKETS) -> Counts:
    return Counts(requests, failures, buckets)


def at(milliseconds: float, requests: int = 100) -> Counts:
    return counts(requests, 0, bucketed([milliseconds * 1000] * requests))


def named(servers) -> dict[str, Counts]:
    return {f"s{number}:80": one for number, one in enumerate(servers)}


def failed(*servers: Counts, min_servers: int = MIN_SERVERS) -> list[str]:
    return [v.server for v in failing(named(servers), MIN_REQUESTS, min_servers)]


def slowed(*servers: Counts) -> list[str]:
    return [v.server for v in slow(named(servers), MIN_REQUESTS, MIN_SERVERS)]


COUNTS = st.integers(0, 500).flatmap(
    lambda requests: st.builds(
        Counts,
        st.just(requests),
        st.integers(0, requests),
        st.lists(st.integers(0, 60), min_size=BUCKETS, max_size=BUCKETS).map(tuple),
    )
)


# ------------------------------------------------------------------------------------- shares of failures


def test_one_of_three_that_fails_is_found_with_its_evidence():
    (verdict,) = failing(named([counts(100), counts(100, 60), counts(100, 2)]), MIN_REQUESTS, MIN_SERVERS)
    assert (verdict.server, verdict.kind, verdict.requests, verdict.failures) == (
        "s1:80", "success_rate", 100, 60,
    )  # fmt: skip
    assert (verdict.value, verdict.usual, verdict.servers) == (0.6, 0.02, 3)
    assert 0.07 < verdict.threshold < 0.6


@pytest.mark.parametrize(
    ("servers", "found"),
    [
        ([(1000, 0), (1000, 100), (1000, 5)], ["s1:80"]),
        ([(1000, 0), (1000, 40), (1000, 0)], []),  # below the floor of 5 %
        ([(50, 0), (50, 5), (50, 0)], []),  # above it, and still chance
        ([(50, 0), (50, 20), (50, 0)], ["s1:80"]),
        ([(100, 60), (100, 62), (100, 58)], []),  # all of them: an outage, no outlier
        ([(100, 0), (100, 90), (100, 90)], []),  # most of them: the odd one out is the good one
        ([(100, 0)] * 3 + [(100, 50)] * 2, ["s3:80", "s4:80"]),  # two do not hide each other
        ([(100, 0)] * 3 + [(100, 50), (100, 90)], ["s4:80", "s3:80"]),  # the worst first
        ([(100, 0), (49, 49), (100, 0), (100, 0)], []),  # too few requests
        ([(100, 0), (100, 99)], []),  # too few servers
        ([(100, 0), (100, 99), (49, 0)], []),  # too few that had enough requests
        ([(200, 0), (200, 20), (200, 45), (200, 70), (200, 90)], []),  # widely spread, all of them
    ],
)
def test_who_fails_more_than_usual(servers, found):
    assert failed(*(counts(*one) for one in servers)) == found


def test_min_servers_is_respected():
    servers = [counts(100)] * 3 + [counts(100, 90)]
    assert failed(*servers, min_servers=4) == ["s3:80"]
    assert failed(*servers, min_servers=5) == []


@pytest.mark.parametrize("rate", [0.001, 0.01, 0.05, 0.2, 0.5, 0.9])
@pytest.mark.parametrize("size", [3, 4, 5, 10])
def test_among_equals_chance_makes_no_outlier(rate, size):
    draw = Random(f"{rate} {size}")
    false = 0
    for requests in (50, 75, 100, 200) * 40:
        servers = [
            counts(n := draw.randint(requests, 2 * requests), _binomial(draw, n, rate)) for _ in range(size)
        ]
        false += len(failed(*servers))
    assert false == 0


@pytest.mark.parametrize("size", [3, 5, 10])
def test_a_server_that_fails_half_of_its_requests_is_always_found(size):
    draw = Random(size)
    for _ in range(200):
        servers = [counts(100, _binomial(draw, 100, 0.02)) for _ in range(size - 1)]
        assert failed(*servers, counts(100, _binomial(draw, 100, 0.5))) == [f"s{size - 1}:80"]


def _binomial(draw: Random, n: int, p: float) -> int:
    return sum(draw.random() < p for _ in range(n))


# --------------------------------------------------------------------------------------------- latency


@pytest.mark.parametrize(
    ("milliseconds", "found"),
    [
        ((1, 1, 3), []),  # a ratio that is nobody's business
        ((2, 2, 9), []),
        ((5, 5, 40), ["s2:80"]),
        ((40, 60, 400), ["s2:80"]),
        ((99, 101, 101), []),  # the same time on both sides of a bound
        ((9.9, 9.9, 10.1), []),
        ((100, 100, 240), []),  # not three times as long
        ((50, 200, 800), []),  # spread over everything: nothing is usual
        ((10, 10, 10, 900, 400), ["s3:80", "s4:80"]),
        ((5, 5, 90_000), ["s2:80"]),  # in the bucket that has no end
        ((5, 80, 80), []),
        ((5, 500), []),
    ],
)
def test_who_is_slower_than_usual(milliseconds, found):
    assert slowed(*(at(ms) for ms in milliseconds)) == found


def test_a_slow_server_comes_with_its_evidence():
    (verdict,) = slow(named([at(8), at(8), at(800)]), MIN_REQUESTS, MIN_SERVERS)
    assert (verdict.kind, verdict.servers, verdict.requests) == ("latency", 3, 100)
    assert verdict.usual == pytest.approx(0.0075)
    assert verdict.threshold == pytest.approx(0.0225)
    assert 0.5 <= verdict.value <= 1.0


def test_chance_between_hits_and_misses_of_a_cache_makes_no_outlier():
    draw = Random(5)
    for _ in range(300):
        servers = [
            counts(60, 0, bucketed(800 if draw.random() < 0.5 else 120_000 for _ in range(60)))
            for _ in range(4)
        ]
        assert slowed(*servers) == []


@pytest.mark.parametrize("size", [3, 5, 10])
def test_among_equals_with_a_long_tail_nobody_is_slow(size):
    draw = Random(size)
    for _ in range(100):
        servers = [
            counts(60, 0, bucketed(draw.lognormvariate(9, 1.5) for _ in range(60))) for _ in range(size)
        ]
        assert slowed(*servers) == []


def test_quantile_is_within_the_bucket():
    assert quantile((0,) * BUCKETS, 0.5) == 0.0
    assert quantile(bucketed([700] * 4), 0.5) == pytest.approx(0.00075)
    assert quantile(bucketed([70_000_000]), 0.5) == 60.0
    assert quantile(bucketed([400, 400, 400, 9000]), 1.0) == pytest.approx(0.01)


@given(st.lists(st.integers(0, 90_000_000), min_size=1, max_size=100), st.floats(0, 1))
def test_quantile_grows_and_lies_in_a_bucket_that_was_met(values, share):
    buckets = bucketed(values)
    found = quantile(buckets, share) * 1e6
    edges = [0, *BOUNDS_US]
    met = [(edges[i], edges[min(i + 1, len(edges) - 1)]) for i, n in enumerate(buckets) if n]
    assert any(low - 1e-3 <= found <= high + 1e-3 for low, high in met)
    assert found <= quantile(buckets, 1.0) * 1e6 + 1e-3


# ---------------------------------------------------------------------------------------------- for both


@given(st.lists(COUNTS, max_size=12), st.randoms(use_true_random=False))
def test_the_order_of_servers_decides_nothing(servers, draw):
    ordered = named(servers)
    shuffled = list(ordered.items())
    draw.shuffle(shuffled)
    for judge in (failing, slow):
        assert judge(ordered, MIN_REQUESTS, MIN_SERVERS) == judge(dict(shuffled), MIN_REQUESTS, MIN_SERVERS)


@given(st.lists(COUNTS, max_size=12))
def test_always_fewer_than_half_and_only_with_reason(servers):
    for judge in (failing, slow):
        found = judge(named(servers), MIN_REQUESTS, MIN_SERVERS)
        assert len(found) * 2 < max(1, len(servers))
        assert len({verdict.server for verdict in found}) == len(found)
        for verdict in found:
            assert verdict.value > verdict.threshold > verdict.usual


@given(COUNTS, st.integers(3, 10))
def test_servers_with_the_same_counts_are_equals(one, size):
    assert failed(*[one] * size) == slowed(*[one] * size) == []
