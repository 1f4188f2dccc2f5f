"""Consistent hashing: shares, keys that move, the load bound, requests without a key."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from lb.balancing.hashing import hash_bytes, mix64
from lb.balancing.registry import METHODS
from lb.decisions import Select
from tests.balancing.cases import Clock, Server, servers

KEYS = [b"user-%d" % i for i in range(2000)]
PINNED = {
    "rendezvous": [7, 3, 9, 9, 8, 2, 1, 7, 9, 7, 9, 2],
    "maglev": [4, 7, 6, 7, 1, 5, 3, 2, 9, 3, 2, 7],
    "ketama": [1, 2, 7, 7, 3, 0, 8, 3, 7, 2, 3, 3],
}
EVERY = pytest.mark.parametrize("method", METHODS)
EXACT = pytest.mark.parametrize("method", ["rendezvous", "ketama"])


def made(method, members, seed=1, **options):
    balancer = METHODS[method](Random(seed), Clock(), options)
    balancer.rebuild(members)
    return balancer


def owners(balancer, keys=KEYS):
    return {key: balancer.pick(key, ()) for key in keys}


def test_hash_values_are_for_ever():
    """Every worker, machine and release must agree. FNV-1a's own test vectors, mixed."""
    assert hash_bytes(b"") == mix64(0xCBF29CE484222325) == 0xF52A15E9A9B5E89B
    assert hash_bytes(b"a") == mix64(0xAF63DC4C8601EC8C)
    assert hash_bytes(b"foobar") == mix64(0x85944171F73967E8)
    assert mix64(0x9E3779B97F4A7C15) == 0xE220A8397B1DCDAF  # splitmix64's first output from seed 0
    assert mix64(0) == 0


def test_hash_spreads_similar_keys_over_all_bits():
    values = [hash_bytes(b"10.0.0.%d" % i) for i in range(2000)]
    for bit in range(64):
        ones = sum(value >> bit & 1 for value in values)
        assert 850 < ones < 1150


@EVERY
def test_pinned_owners(method):
    """A change of these moves users of a running cluster during an upgrade."""
    balancer = made(method, servers(10, 1, 2))
    assert [balancer.members.index(balancer.pick(key, ())) for key in KEYS[:12]] == PINNED[method]


@EVERY
@pytest.mark.parametrize(("count", "weights"), [(2, (1,)), (10, (1,)), (10, (1, 2, 5)), (10, (0.1, 0.3))])
def test_shares_follow_weights(method, count, weights):
    members = servers(count, *weights)
    total = sum(m.weight for m in members)
    keys = [b"%d" % i for i in range(10_000)]
    counts = Counter(owners(made(method, members), keys).values())
    for m in members:
        share = len(keys) * m.weight / total
        allowed = 4.5 * share**0.5  # what chance does to a sample
        if method == "ketama":  # and a ring is uneven by nature: 160 points deviate by 1 / sqrt(160)
            allowed += 3 * share / (160 * m.weight) ** 0.5
        assert abs(counts[m] - share) < allowed


@EVERY
def test_an_owner_depends_on_nothing_but_key_and_members(method):
    members = servers(10, 1, 2)
    shuffled = list(members)
    Random(5).shuffle(shuffled)
    assert owners(made(method, members, 1)) == owners(made(method, shuffled, 2))


@EXACT
@pytest.mark.parametrize("weights", [(1,), (1, 2, 3)])
@pytest.mark.parametrize("gone", [0, 4, 9])
def test_only_the_keys_of_a_server_that_left_move(method, weights, gone):
    members = servers(10, *weights)
    before = owners(made(method, members))
    after = owners(made(method, members[:gone] + members[gone + 1 :]))
    moved = {key for key in KEYS if before[key] is not after[key]}
    assert moved == {key for key in KEYS if before[key] is members[gone]}
    assert moved
    assert len({after[key] for key in moved}) == 9  # and they spread over all others


@pytest.mark.parametrize("count", [10, 100])
def test_maglev_moves_few_other_keys(count):
    keys = [b"%d" % i for i in range(20_000)]
    members = servers(count)
    before = owners(made("maglev", members), keys)
    for gone in (0, count // 2):
        after = owners(made("maglev", members[:gone] + members[gone + 1 :]), keys)
        moved = sum(before[key] is not after[key] for key in keys if before[key] is not members[gone])
        assert moved / len(keys) < 0.01


@EXACT
def test_a_changed_weight_moves_keys_only_to_or_from_that_server(method):
    members = servers(10)
    before = owners(made(method, members))
    members[3].weight = 2.0
    after = owners(made(method, members))
    moved = {key for key in KEYS if before[key] is not after[key]}
    assert moved
    assert {after[key] for key in moved} == {members[3]}


@EVERY
def test_the_lightest_has_keys_too(method):
    members = [*servers(50), Server("app/light", 0.01)]
    balancer = made(method, members)
    picked = Counter(balancer.pick(b"%d" % i, ()) for i in range(20_000))
    assert picked[members[-1]] > 0


@EVERY
def test_a_retry_goes_to_a_place_that_depends_on_the_key(method):
    members = servers(10)
    balancer = made(method, members)
    seconds = Counter()
    for key in KEYS:
        first = balancer.pick(key, ())
        second = balancer.pick(key, (first,))
        assert second is not first
        assert balancer.pick(key, (first,)) is second
        assert balancer.reason == Select.HASH
        seconds[second] += 1
    assert len(seconds) == 10
    assert max(seconds.values()) < 2 * len(KEYS) / 10


@EVERY
@pytest.mark.parametrize("bound", [1, 1.25, 2])
@pytest.mark.parametrize("weights", [(1,), (1, 2, 5)])
def test_nobody_is_above_the_load_bound(method, bound, weights):
    """A popular key and many others; requests end at random."""
    members = servers(12, *weights)
    total_weight = sum(m.weight for m in members)
    balancer = made(method, members, bounded_load=bound)
    rng = Random(9)
    running = []
    reasons = Counter()
    for _ in range(3000):
        key = b"popular" if rng.random() < 0.6 else rng.choice(KEYS)
        total = len(running) + 1
        picked = balancer.pick(key, ())
        reasons[balancer.reason] += 1
        cap = -(-round(bound * 100) * total * picked.weight // (100 * total_weight))  # ceil, exactly
        picked.load += 1
        assert picked.load <= max(1, cap)
        running.append(picked)
        while running and rng.random() < 0.49:
            running.pop(rng.randrange(len(running))).load -= 1
    assert set(reasons) == {Select.HASH, Select.HASH_BOUNDED}


@EVERY
def test_a_full_server_sheds_its_keys_over_all_others_and_gets_them_back(method):
    members = servers(10)
    balancer = made(method, members, bounded_load=1.25)
    before = owners(balancer)
    members[4].load = 100
    during = owners(balancer)
    for key in KEYS:
        assert during[key] is not members[4]
        assert during[key] is before[key] or before[key] is members[4]
    assert len({during[key] for key in KEYS if before[key] is members[4]}) == 9
    members[4].load = 0
    assert owners(balancer) == before


@EVERY
def test_when_all_with_room_were_tried_the_bound_gives_way(method):
    members = servers(3)
    members[0].load = 50
    balancer = made(method, members, bounded_load=1.0)
    assert balancer.pick(b"k", members[1:]) is members[0]


@EVERY
def test_no_key_is_random_by_weight(method):
    members = servers(4, 1, 3)
    balancer = made(method, members)
    counts = Counter(balancer.pick(b"", ()) for _ in range(8000))
    assert balancer.reason == Select.NO_KEY
    for m in members:
        assert counts[m] == pytest.approx(1000 * m.weight, rel=0.1)
    assert balancer.pick(b"", members[1:]) is members[0]
    assert balancer.reason == Select.NO_KEY
