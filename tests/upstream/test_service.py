"""Who is eligible, how groups share the requests, and that nobody who was tried is picked while somebody else
is left."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lb.balancing.contract import Balancer
from lb.balancing.registry import ALGORITHMS
from lb.decisions import Select
from lb.message import Client
from lb.upstream.server import Server
from lb.upstream.service import Service
from tests.routing.making import request
from tests.upstream.making import DOWN, DRAINING, MAINTENANCE, NOW, names, say, service, state

PICKS = 10_000


def shares(made: Service, picks: int = PICKS) -> dict[str, float]:
    """Measured, of servers by name; every key another one."""
    found = Counter(names(made.select(b"k%d" % n, []) for n in range(picks)))
    return {name: count / picks for name, count in found.items()}


def close(found: dict[str, float], wanted: dict[str, float], within: float = 0.02) -> bool:
    return set(found) == set(wanted) and all(abs(found[n] - wanted[n]) < within for n in wanted)


# ------------------------------------------------------------------------------------------ one group


def test_nobody_is_eligible():
    made = service("a x0", "b x0 backup")
    assert made.select(b"", []) is None and made.reason == Select.NOT_ELIGIBLE
    assert service().select(b"", []) is None


def test_the_only_one_needs_no_algorithm():
    made = service("a", "b x0")
    assert made.select(b"", []) is made.servers[0] and made.reason == Select.ONLY_ONE


@pytest.mark.parametrize("gone", [DOWN, DRAINING, MAINTENANCE, state(draining=True), state(weight=0.0)])
def test_control_takes_a_server_out_and_brings_it_back(gone):
    made = service("a", "b")
    say(made, b=gone)
    assert names(made.eligible) == ["a"] and {made.select(b"", []).address for _ in range(9)} == {"a:1"}
    say(made, a=gone)
    assert made.select(b"", []) is None and made.reason == Select.NOT_ELIGIBLE
    say(made, a=None, b=None)
    assert names(made.eligible) == ["a", "b"] and len(shares(made, 10)) == 2


def test_the_factor_multiplies_the_weight():
    made = service("a x2", "b x2", algorithm="weighted_random")
    say(made, b=state(weight=0.5))
    assert [s.weight for s in made.servers] == [2.0, 1.0]
    assert close(shares(made), {"a": 2 / 3, "b": 1 / 3})


def test_what_an_older_generation_divides_by_is_never_0():
    made = service("a x2", "b")
    say(made, a=state(weight=0.0))
    assert made.servers[0].weight == 2.0 and names(made.eligible) == ["b"]


def test_a_refresh_that_changes_nothing_rebuilds_nothing():
    made = service("a", "b", "c p1")
    built = []
    for group in made.groups:
        group.balancer = Counting(built)
    say(made, a=state(why="another reason"))
    assert built == []
    say(made, a=DOWN)
    assert built == [["b"]]
    say(made, c=state(weight=0.5))
    assert built == [["b"], ["c"]]


class Counting(Balancer):
    """Writes down what it is told, and asks nobody."""

    def __init__(self, built: list[list[str]]) -> None:
        super().__init__(Random(1), lambda: NOW, {})
        self.built = built

    def rebuild(self, members):
        self.built.append(names(members))


def test_the_key_is_asked_for_only_where_one_is_needed():
    head, client = request("/a?user=7"), Client("192.0.2.1", "web")
    assert service("a").key_of(head, client) == b""
    hashed = service("a", "b", algorithm="consistent_hash")
    key = hashed.key_of(head, client)
    assert key == b"/a" and len({hashed.select(key, []).address for _ in range(9)}) == 1


# ------------------------------------------------------------------------------------------- backups


def test_a_backup_serves_where_no_other_is_eligible():
    made = service("a", "b backup", "c backup")
    assert names(made.eligible) == ["a"]
    say(made, a=DOWN)
    assert {made.select(b"", []).address for _ in range(4)} == {"b:1", "c:1"}
    assert made.reason == Select.BACKUP
    say(made, a=None)
    assert made.select(b"", []) is made.servers[0] and made.reason == Select.ONLY_ONE


def test_a_backup_is_not_asked_because_some_of_the_others_failed():
    made = service("a", "b", "c", "d", "e backup")
    say(made, a=DOWN, b=DOWN, c=DOWN)
    assert shares(made, 100) == {"d": 1.0}


def test_a_backup_comes_before_a_second_try():
    made = service("a", "b backup")
    main, backup = made.servers
    assert made.select(b"", [main]) is backup and made.reason == Select.BACKUP
    assert made.select(b"", [main, backup]) is main and made.reason == Select.ALL_TRIED


# ---------------------------------------------------------------------------------------- priorities


def test_the_first_priority_gets_everything_while_five_of_seven_work():
    made = service(*[f"a{n}" for n in range(7)], "z p1")
    say(made, a0=DOWN, a1=DOWN)
    found = shares(made, 100)
    assert "z" not in found and not made.spill and made.reason == Select.TURN
    say(made, a2=DOWN)
    assert made.spill and close(shares(made), {**{f"a{n}": 0.2 for n in (3, 4, 5, 6)}, "z": 0.2})


def test_the_rest_spills_over_to_the_next_and_says_so():
    made = service("a", "b", "c", "d", "y p1", "z p2")
    say(made, a=DOWN, b=DOWN)
    assert close(shares(made), {"c": 0.35, "d": 0.35, "y": 0.3})
    while made.select(b"", []).address != "y:1":
        assert made.reason == Select.TURN
    assert made.reason == Select.SPILL
    say(made, y=DOWN)
    assert close(shares(made), {"c": 0.35, "d": 0.35, "z": 0.3})


def test_where_all_together_cannot_take_everything_they_share_in_proportion():
    made = service("a", "b", "c", "d", "w p3", "x p3", "y p3", "z p3")
    say(made, a=DOWN, b=DOWN, c=DOWN, w=DOWN, x=DOWN, y=DOWN)
    assert close(shares(made), {"d": 0.5, "z": 0.5})


def test_those_that_drain_take_nothing_either():
    made = service("a", "b", "z p1")
    say(made, a=DRAINING)
    assert close(shares(made), {"b": 0.7, "z": 0.3})


def test_a_retry_goes_to_the_next_priority_before_a_second_try():
    made = service("a", "z p1", "y p2 backup")
    a, z, y = made.servers
    assert made.select(b"", []) is a
    assert made.select(b"", [a]) is z and made.reason == Select.SPILL
    assert made.select(b"", [a, z]) is y and made.reason == Select.BACKUP
    assert made.select(b"", [a, z, y]) is a and made.reason == Select.ALL_TRIED


GROUPS = st.lists(st.tuples(st.integers(0, 7), st.integers(1, 7)), min_size=1, max_size=4)


@given(groups=GROUPS)
@settings(max_examples=60, deadline=None)
def test_the_shares_are_those_of_the_rule(groups):
    """(how many are down, of how many) in each priority, against the rule written down once more."""
    specs = [f"g{p}s{n} p{p}" for p, (_, size) in enumerate(groups) for n in range(size)]
    made = service(*specs)
    down = {f"g{p}s{n}": DOWN for p, (gone, size) in enumerate(groups) for n in range(min(gone, size))}
    say(made, **down)
    can = [min(1.0, 1.4 * max(0, size - gone) / size) for gone, size in groups]
    wanted, left = [], 1.0
    for each in can:
        wanted.append(min(left, each if sum(can) >= 1 else each / sum(can)) if sum(can) else 0.0)
        left -= wanted[-1]
    assert [g.share for g in made.groups] == pytest.approx(wanted, abs=1e-6)
    if not sum(can):
        assert made.select(b"", []) is None
        return
    found = shares(made, 2000)
    for p, share in enumerate(wanted):
        mine = sum(each for name, each in found.items() if name.startswith(f"g{p}s"))
        assert mine == pytest.approx(share, abs=0.06)
        assert share > 1e-6 or not mine


# --------------------------------------------------------------------------------------------- panic


def test_too_few_usable_so_that_all_are_used():
    made = service("a", "b", "c", "d", panic_threshold=0.5)
    say(made, a=DOWN, b=DOWN)
    assert len(shares(made, 100)) == 2 and made.reason == Select.TURN
    say(made, c=DOWN)
    assert len(shares(made, 100)) == 4 and made.reason == Select.PANIC
    say(made, d=DOWN)
    assert len(shares(made, 100)) == 4 and made.reason == Select.PANIC
    say(made, a=None, b=None)
    assert sorted(shares(made, 100)) == ["a", "b"] and made.reason == Select.TURN


def test_panic_leaves_out_what_an_operator_took_out():
    made = service("a", "b", "c", "d x0", "e", panic_threshold=0.6)
    say(made, a=DRAINING, b=MAINTENANCE)
    assert made.select(b"", []) and made.reason == Select.TURN, "nobody failed"
    say(made, c=DOWN)
    assert sorted(shares(made, 100)) == ["c", "e"] and made.reason == Select.PANIC


def test_no_panic_while_others_can_take_everything():
    made = service("a", "b", "y p1", "z p1", panic_threshold=0.6)
    say(made, a=DOWN)
    assert close(shares(made), {"b": 0.7, "y": 0.15, "z": 0.15}) and made.reason != Select.PANIC
    say(made, y=DOWN)
    assert set(shares(made)) == {"a", "b", "y", "z"} and made.reason == Select.PANIC


def test_backups_come_before_panic():
    made = service("a", "b", "c", "z backup", panic_threshold=0.5)
    say(made, a=DOWN, b=DOWN)
    assert close(shares(made), {"c": 1.4 / 3, "z": 1 - 1.4 / 3})
    say(made, c=DOWN)
    assert shares(made, 100) == {"z": 1.0} and made.reason == Select.BACKUP
    say(made, z=DOWN)
    assert set(shares(made, 100)) == {"a", "b", "c"} and made.reason == Select.PANIC


# ---------------------------------------------------------------------------------------- invariants

WORDS = [None, DOWN, DRAINING, MAINTENANCE, state(weight=0.5), state(warm_from=NOW - 5)]
MEMBER = st.tuples(st.integers(0, 3), st.integers(0, 2), st.booleans(), st.sampled_from(WORDS))


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
@given(members=st.lists(MEMBER, max_size=6), panic=st.sampled_from([0.0, 0.5, 1.0]), data=st.data())
@settings(max_examples=60, deadline=None)
def test_never_one_that_was_tried_while_another_is_left(algorithm, members, panic, data):
    specs = [f"s{n} x{w} p{p}{' backup' if b else ''}" for n, (w, p, b, _) in enumerate(members)]
    made = service(*specs, algorithm=algorithm, panic_threshold=panic, slow_start=10.0)
    say(made, **{f"s{n}": word for n, (_, _, _, word) in enumerate(members)})
    usable = [s for group in made.groups for s in group.eligible]
    assert all(s.configured * s.factor > 0 and not s.draining for s in usable)
    assert all(s.usable for s in usable) or any(group.panic for group in made.groups)
    tried: list[Server] = []
    for _ in range(len(members) + 2):
        found = made.select(data.draw(st.binary(max_size=3)), tried)
        left = [s for s in usable if s not in tried]
        if not usable:
            assert found is None and made.reason == Select.NOT_ELIGIBLE
            return
        assert found in usable and (found in left or not left)
        if panic == 0.0 and any(not s.backup for s in left):
            assert not found.backup, "a backup while another is left"
        assert (made.reason == Select.ALL_TRIED) is (not left)
        if found not in tried:
            tried.append(found)
