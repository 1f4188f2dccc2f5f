"""Round robin, smooth and by deadline."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from lb.balancing.deadline import DeadlineRoundRobin
from lb.balancing.round_robin import SmoothRoundRobin
from lb.decisions import Select
from tests.balancing.cases import Clock, Server, servers

BOTH = pytest.mark.parametrize("kind", [SmoothRoundRobin, DeadlineRoundRobin])


def turns(kind, members, count, seed=1):
    balancer = kind(Random(seed), Clock(), {})
    balancer.rebuild(members)
    return [balancer.pick(b"", ()) for _ in range(count)]


def test_smooth_sequence_of_weights_5_1_1():
    members = [Server("a", 5), Server("b", 1), Server("c", 1)]
    unshifted = next(seed for seed in range(100) if Random(seed).random() < 1 / 7)
    assert [m.identity for m in turns(SmoothRoundRobin, members, 14, unshifted)] == list("aabacaa" * 2)


def test_smooth_sequence_starts_anywhere_in_its_round():
    members = [Server("a", 5), Server("b", 1), Server("c", 1)]
    rotations = {"aabacaa"[i:] + "aabacaa"[:i] for i in range(7)}
    seen = {"".join(m.identity for m in turns(SmoothRoundRobin, members, 7, seed)) for seed in range(200)}
    assert seen == rotations


@BOTH
def test_workers_begin_with_different_servers(kind):
    members = servers(40)
    firsts = Counter(turns(kind, members, 1, seed)[0].identity for seed in range(400))
    assert len(firsts) > 35
    assert max(firsts.values()) < 40


@BOTH
@pytest.mark.parametrize("count", [1, 2, 7, 50, 200])
def test_equal_weights_take_strict_turns(kind, count):
    members = servers(count)
    picked = turns(kind, members, 3 * count)
    for start in range(0, 3 * count, count):
        assert set(picked[start : start + count]) == set(members)


@BOTH
@pytest.mark.parametrize("weights", [(5, 1, 1), (3, 2), (1, 2, 3, 4, 5), (0.1, 0.25, 1)])
@pytest.mark.parametrize("count", [5, 60])
def test_every_prefix_has_its_share(kind, weights, count):
    """The spread is even: nobody is ever more than a few turns ahead of or behind its share."""
    members = servers(count, *weights)
    total = sum(m.weight for m in members)
    picked = Counter()
    for n, member in enumerate(turns(kind, members, 5000), 1):
        picked[member] += 1
        if n % 97 == 0:
            for m in members:
                assert abs(picked[m] - n * m.weight / total) <= 3


@BOTH
def test_heavy_members_do_not_come_in_a_burst(kind):
    """9 of 18 turns: two in a row at most where the start allows it, never the nine of plain weighting."""
    members = [Server("heavy", 9), *(Server(f"light{i}", 1) for i in range(9))]
    picked = "".join("h" if m.identity == "heavy" else "l" for m in turns(kind, members, 180))
    assert "hhh" not in picked
    assert abs(picked.count("h") - 90) <= 1


@BOTH
def test_a_tried_member_keeps_its_turn(kind):
    members = servers(5)
    balancer = kind(Random(3), Clock(), {})
    balancer.rebuild(members)
    picks = Counter()
    for _ in range(1000):
        first = balancer.pick(b"", ())
        second = balancer.pick(b"", (first,))
        assert second is not first
        picks[first] += 1
        picks[second] += 1
    assert balancer.reason == Select.TURN
    assert all(abs(picks[m] - 400) < 60 for m in members)


@pytest.mark.parametrize("weights", [(1,), (1, 3)])
def test_a_large_heap_stays_in_order(weights):
    """Against the definition: the earliest deadline, found by a scan."""
    members = servers(300, *weights)
    rng = Random(8)
    phases = [rng.random() for _ in members]
    deadlines = {m: phase / m.weight for m, phase in zip(members, phases, strict=True)}
    balancer = DeadlineRoundRobin(Random(8), Clock(), {})
    balancer.rebuild(members)
    for _ in range(3000):
        expected = min(deadlines, key=deadlines.__getitem__)
        deadlines[expected] += 1 / expected.weight
        assert balancer.pick(b"", ()) is expected
