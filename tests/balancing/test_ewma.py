"""Peak-EWMA: the number a server carries, and what it does to traffic."""

from __future__ import annotations

import heapq
from collections import Counter
from math import exp
from random import Random

import pytest

from lb.balancing.latency import PeakEwma
from lb.decisions import Select
from lb.plan import AlgorithmPlan
from tests.balancing.cases import Case, Clock, servers


def test_nothing_is_known_of_a_new_server():
    assert PeakEwma().value(0.0) == 0.0
    assert PeakEwma().value(1e9) == 0.0


def test_a_peak_counts_at_once_and_an_improvement_slowly():
    latency = PeakEwma()
    latency.observe(0.1, True, 100.0)
    assert latency.value(100.0) == pytest.approx(0.1)
    latency.observe(2.0, True, 101.0)
    assert latency.value(101.0) == pytest.approx(2.0)
    latency.observe(0.1, True, 111.0)
    assert latency.value(111.0) == pytest.approx(2.0 * exp(-1) + 0.1 * (1 - exp(-1)))


def test_the_cost_decays_while_nobody_looks_and_is_forgotten_after_a_minute():
    latency = PeakEwma()
    latency.observe(0.1, True, 100.0)
    assert latency.value(110.0) == pytest.approx(0.1 / exp(1))
    assert latency.value(159.0) > 0
    assert latency.value(160.1) == 0.0


def test_a_failure_costs_five_seconds_or_what_it_asks_for():
    for retry_after, cost in ((0.0, 5.0), (30.0, 30.0), (86400.0, 300.0), (1.0, 1.0)):
        latency = PeakEwma()
        latency.observe(0.001, False, 50.0, retry_after)
        assert latency.value(50.0) == pytest.approx(cost)
    slow = PeakEwma()
    slow.observe(20.0, False, 50.0)
    assert slow.value(50.0) == pytest.approx(20.0)


def test_a_clock_that_stands_still_or_an_instant_answer_do_no_harm():
    latency = PeakEwma()
    latency.observe(0.0, True, 10.0)
    assert 0 < latency.value(10.0) < 1e-5
    latency.observe(1.0, True, 10.0)
    latency.observe(0.1, True, 10.0)
    assert latency.value(9.0) == pytest.approx(1.0)


def simulate(name, count=10, concurrency=50, seconds=15.0, seed=2, bad=0, bad_latency=0.001, start=None):
    """A closed loop of `concurrency` clients. Good servers answer in 20-60 ms; the server `bad` fails
    after `bad_latency`. Returns the requests each server got."""
    rng, clock = Random(seed), Clock()
    members = servers(count)
    balancer = Case(name, AlgorithmPlan(name), count).make(seed, clock)
    balancer.rebuild(members)
    if start is not None:
        start(members, clock)
    began = clock.now
    events: list[tuple[float, int, float, int]] = []
    counts = Counter()

    def send(n):
        picked = balancer.pick(b"", ())
        at = members.index(picked)
        picked.load += 1
        counts[at] += 1
        took = bad_latency if at == bad else rng.uniform(0.02, 0.06)
        heapq.heappush(events, (clock.now + took, n, took, at))

    for n in range(concurrency):
        send(n)
    while events:
        clock.now, n, took, at = heapq.heappop(events)
        if clock.now - began > seconds:
            break
        members[at].load -= 1
        members[at].latency.observe(took, at != bad, clock.now)
        send(n)
    return [counts[i] for i in range(count)]


def test_a_server_that_fails_fast_does_not_attract_traffic():
    counts = simulate("ewma")
    assert counts[0] / sum(counts) < 0.02
    assert counts[0] > 0
    # and the others share alike
    for got in counts[1:]:
        assert got / sum(counts) == pytest.approx(1 / 9, rel=0.15)


def test_without_penalty_it_would():
    """What the simulation shows of the other algorithms, so that the test above is not empty."""
    counts = simulate("least_connections", seconds=1.0)
    assert counts[0] / sum(counts) > 0.4


def test_equal_servers_share_alike():
    counts = simulate("ewma", bad=-1, seconds=5.0)
    for got in counts:
        assert got / sum(counts) == pytest.approx(1 / 10, rel=0.15)


def known(members, clock):
    for member in members[1:]:
        member.latency.observe(0.04, True, clock.now)


def test_a_new_server_gets_its_share_soon():
    counts = simulate("ewma", bad=-1, seconds=2.0, start=known)
    assert counts[0] / sum(counts) == pytest.approx(0.1, rel=0.4)


def test_a_new_server_that_hangs_is_not_flooded():
    counts = simulate("ewma", bad_latency=30.0, seconds=2.0, start=known)
    assert 1 <= counts[0] <= 10  # of 50 in flight; an even share would be 5


def test_a_faster_server_gets_more():
    counts = simulate_one_slow()
    assert counts[0] < 0.5 * min(counts[1:])


def simulate_one_slow():
    """Server 0 answers in 200 ms, the others in 20-60 ms."""
    rng, clock = Random(3), Clock()
    members = servers(10)
    balancer = Case("ewma", AlgorithmPlan("ewma"), 10).make(3, clock)
    balancer.rebuild(members)
    events, counts = [], Counter()
    for n in range(20):
        heapq.heappush(events, (clock.now, n, 0.0, -1))
    end = clock.now + 5
    while events[0][0] < end:
        clock.now, n, took, at = heapq.heappop(events)
        if at >= 0:
            members[at].load -= 1
            members[at].latency.observe(took, True, clock.now)
        picked = balancer.pick(b"", ())
        picked.load += 1
        at = members.index(picked)
        counts[at] += 1
        took = 0.2 if at == 0 else rng.uniform(0.02, 0.06)
        heapq.heappush(events, (clock.now + took, n, took, at))
    return [counts[i] for i in range(10)]


def test_two_without_history_are_compared_by_load():
    members = servers(2)
    members[0].load = 2
    balancer = Case("ewma", AlgorithmPlan("ewma"), 2).make()
    balancer.rebuild(members)
    assert {balancer.pick(b"", ()) for _ in range(50)} == {members[1]}
    assert balancer.reason == Select.LOWEST_COST
