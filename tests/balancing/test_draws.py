"""Random, weighted random, power of two choices, least connections, first."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from lb.balancing.sampling import Sampler
from lb.decisions import Select
from lb.plan import AlgorithmPlan
from tests.balancing.cases import Case, servers

PICKS = 10_000


def made(name, members, seed=1):
    balancer = Case(name, AlgorithmPlan(name), len(members)).make(seed)
    balancer.rebuild(members)
    return balancer


def chi_square(counts, expected):
    return sum((counts[m] - share) ** 2 / share for m, share in expected.items())


def limit(degrees):
    """The 99.99 % point of the chi-square distribution (Wilson–Hilferty)."""
    a = 2 / (9 * degrees)
    return degrees * (1 - a + 3.719 * a**0.5) ** 3


@pytest.mark.parametrize("count", [2, 10, 100])
def test_random_is_uniform_whatever_the_weights(count):
    members = servers(count, 1, 5)
    balancer = made("random", members)
    counts = Counter(balancer.pick(b"", ()) for _ in range(PICKS))
    assert chi_square(counts, dict.fromkeys(members, PICKS / count)) < limit(count - 1)
    assert balancer.reason == Select.RANDOM


@pytest.mark.parametrize("weights", [(1,), (1, 2, 3), (0.1, 7, 1.5)])
@pytest.mark.parametrize("count", [2, 10, 100])
def test_weighted_random_follows_weights(count, weights):
    members = servers(count, *weights)
    total = sum(m.weight for m in members)
    balancer = made("weighted_random", members)
    counts = Counter(balancer.pick(b"", ()) for _ in range(PICKS))
    assert chi_square(counts, {m: PICKS * m.weight / total for m in members}) < limit(count - 1)


def test_weighted_random_follows_weights_among_those_left():
    members = servers(4, 1, 2, 3, 4)
    balancer = made("weighted_random", members)
    counts = Counter(balancer.pick(b"", members[3:]) for _ in range(PICKS))
    assert chi_square(counts, {m: PICKS * m.weight / 6 for m in members[:3]}) < limit(2)


@pytest.mark.parametrize("weights", [(1, 1, 1, 1), (1, 2, 3, 4), (1000, 1, 1, 0.001)])
def test_the_second_draw_differs_and_follows_weights(weights):
    members = servers(4, *weights)
    sampler = Sampler(Random(7), members)
    for first in range(4):
        counts = Counter(sampler.other(first) for _ in range(PICKS))
        assert counts[first] == 0
        rest = sum(weights) - weights[first]
        expected = {i: PICKS * weights[i] / rest for i in range(4) if i != first}
        likely = {i: share for i, share in expected.items() if share > 5}
        assert chi_square(counts, likely) < limit(3)


def fill(balancer, requests):
    """Requests that stay: the load each member ends up with."""
    for _ in range(requests):
        balancer.pick(b"", ()).load += 1
    return [member.load for member in balancer.members]


def test_power_of_two_keeps_the_longest_queue_short():
    """A ball per bin, 2,000 of them: one random choice makes a longest queue of 6 or so, two make 3."""
    one = max(fill(made("random", servers(2000)), 2000))
    two = max(fill(made("power_of_two", servers(2000)), 2000))
    assert two <= 4
    assert two < one


def test_power_of_two_of_two_members_always_takes_the_less_loaded():
    members = servers(2)
    members[0].load = 3
    balancer = made("power_of_two", members)
    assert {balancer.pick(b"", ()) for _ in range(100)} == {members[1]}
    assert balancer.reason == Select.FEWER_OF_TWO


@pytest.mark.parametrize("name", ["power_of_two", "least_connections"])
def test_loads_follow_weights(name):
    members = servers(20, 1, 2, 5)
    total = sum(m.weight for m in members)
    loads = fill(made(name, members), 4000)
    for member, load in zip(members, loads, strict=True):
        assert load == pytest.approx(4000 * member.weight / total, rel=0.12, abs=2)


def test_least_connections_is_exact():
    rng = Random(4)
    members = servers(500, 1, 2, 4)
    for member in members:
        member.load = rng.randrange(50)
    balancer = made("least_connections", members)
    for _ in range(200):
        picked = balancer.pick(b"", ())
        assert (picked.load + 1) / picked.weight == min((m.load + 1) / m.weight for m in members)
        picked.load += 1
        rng.choice(members).load = rng.randrange(50)
    assert balancer.reason == Select.FEWEST_IN_FLIGHT


@pytest.mark.parametrize("equals", [[0, 1, 2, 3, 4], [0, 4], [1, 2], [3]])
@pytest.mark.parametrize("idle", [0, 2])
def test_least_connections_gives_equals_equal_turns(equals, idle):
    members = servers(5)
    for i, member in enumerate(members):
        member.load = idle if i in equals else 9
    balancer = made("least_connections", members)
    counts = Counter(members.index(balancer.pick(b"", ())) for _ in range(60))
    assert counts == {i: 60 / len(equals) for i in equals}


def test_first_stays_with_the_first():
    members = servers(3)
    members[0].load = 1000
    balancer = made("first", members)
    assert {balancer.pick(b"", ()) for _ in range(10)} == {members[0]}
    assert balancer.reason == Select.FIRST
    assert balancer.pick(b"", members[:1]) is members[1]
