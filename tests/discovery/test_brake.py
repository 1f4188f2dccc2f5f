"""The brake: what takes away much is held, for a time; what adds is believed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.discovery.brake import Brake, BrakeSettings
from lb.discovery.contract import Member, Registered

UP, DRAIN, DOWN = Registered.UP, Registered.DRAIN, Registered.DOWN


def members(*numbers: int, state: Registered = UP) -> list[Member]:
    return [Member(f"10.0.0.{number}:80", state=state) for number in numbers]


def numbers(found: tuple[Member, ...]) -> list[int]:
    return [int(m.address.split(".")[3].split(":")[0]) for m in found if m.state is not DOWN]


def brake(*there: int, share: float = 0.5, grace: float = 60.0) -> Brake:
    made = Brake(BrakeSettings(share, grace))
    made.decide(members(*there), 0.0)
    return made


def test_the_first_answer_is_believed():
    assert numbers(Brake(BrakeSettings()).decide(members(1, 2), 0.0)) == [1, 2]
    assert Brake(BrakeSettings()).decide([], 0.0) == ()


def test_a_few_may_go_at_once():
    made = brake(1, 2, 3, 4)
    assert numbers(made.decide(members(1, 2), 1.0)) == [1, 2]
    assert not made.held and made.due == 0.0


def test_many_are_held_for_the_grace_and_go_then():
    made = brake(1, 2, 3, 4)
    assert numbers(made.decide(members(1), 10.0)) == [1, 2, 3, 4]
    assert [m.address for m in made.held] == ["10.0.0.2:80", "10.0.0.3:80", "10.0.0.4:80"]
    assert made.due == 70.0
    assert numbers(made.decide(members(1), 69.9)) == [1, 2, 3, 4]
    assert numbers(made.decide(members(1), 70.0)) == [1]
    assert not made.held


def test_each_is_held_for_a_grace_of_its_own():
    made = brake(*range(1, 11))
    first, last = members(1, 2, 3, 4), [5, 6, 7, 8, 9, 10]
    assert len(made.decide(first, 1.0)) == 10
    made.decide([], 60.9)
    assert made.due == 61.0, "the first grace that is over"
    assert numbers(made.decide([], 61.0)) == [1, 2, 3, 4]
    assert made.due == pytest.approx(120.9)
    assert numbers(made.decide([], 120.8)) == [1, 2, 3, 4]
    assert numbers(made.decide([], 121.0)) == [] and not made.held
    made = brake(*range(1, 11))
    made.decide(first, 1.0)
    made.decide(members(1, 2, 3, *last), 30.0)
    assert not made.held, "one of ten may go at once"
    made.decide([], 40.0)
    assert made.due == 100.0, "who was named again between begins anew"


def test_no_grace_holds_nothing():
    made = brake(1, 2, 3, 4, grace=0.0)
    assert made.decide([], 1.0) == () and not made.held


def test_all_are_held_whatever_the_share():
    made = brake(1, share=1.0)
    assert numbers(made.decide([], 1.0)) == [1]
    made = brake(1, 2, share=1.0)
    assert numbers(made.decide([], 1.0)) == [1, 2]


def test_what_is_added_and_weighed_anew_holds_at_once_beside_what_is_held():
    made = brake(1, 2, 3, 4)
    found = made.decide([Member("10.0.0.1:80", weight=7), *members(9)], 1.0)
    assert numbers(found) == [1, 2, 3, 4, 9]
    assert found[0].weight == 7


def test_an_answer_that_names_them_again_ends_the_hold():
    made = brake(1, 2, 3, 4)
    made.decide([], 1.0)
    assert numbers(made.decide(members(1, 2, 3), 2.0)) == [1, 2, 3]
    assert not made.held


def test_an_operator_may_believe_it():
    made = brake(1, 2, 3, 4)
    made.decide([], 1.0)
    made.accept()
    assert made.decide([], 2.0) == ()
    made = brake(1, 2)
    made.decide([], 1.0)
    assert made.held, "accepted once is not for ever"


def test_critical_counts_as_gone_but_for_the_only_one():
    made = brake(1, 2, 3)
    assert numbers(made.decide(members(1, 2, 3, state=DOWN), 1.0)) == [1, 2, 3]
    assert numbers(made.decide(members(1, 2, 3, state=DRAIN), 2.0)) == [1, 2, 3], "to drain is not to go"
    made = brake(1)
    assert numbers(made.decide(members(1, state=DOWN), 1.0)) == []


def test_who_is_down_is_not_missed():
    made = Brake(BrakeSettings())
    made.decide([*members(1), *members(2, 3, 4, state=DOWN)], 0.0)
    assert numbers(made.decide(members(1), 1.0)) == [1]
    assert not made.held


def test_an_earlier_life_is_the_measure_of_the_first_answer():
    made = Brake(BrakeSettings())
    made.begin_with(members(1, 2, 3))
    assert numbers(made.decide([], 5.0)) == [1, 2, 3]


states = st.sampled_from([UP, DRAIN, DOWN])
answers = st.lists(
    st.dictionaries(st.integers(1, 6), states, max_size=6).map(
        lambda found: [Member(f"10.0.0.{n}:80", state=state) for n, state in found.items()]
    ),
    max_size=12,
)


@given(answers, st.sampled_from([0.2, 0.5, 1.0]), st.lists(st.floats(0, 100), min_size=12, max_size=12))
def test_whatever_comes(words, share, steps):
    made = Brake(BrakeSettings(share, 60.0))
    now, before = 0.0, ()
    taken = {}  # since when each is held
    for word, step in zip(words, steps, strict=False):
        now += step
        over = {address for address, since in taken.items() if now >= since + 60.0}
        found = made.decide(word, now)
        assert len({m.address for m in found}) == len(found)
        held = {m.address for m in made.held}
        kept = [m for m in found if m.address not in held]
        assert {m.address: m for m in kept} == {m.address: m for m in word if m.address not in held}
        assert held <= {m.address for m in before}, "nobody is held who was not there"
        assert not held & over
        taken = {address: taken.get(address, now) for address in held}
        used = [m for m in before if m.state is not DOWN and m.address not in over]
        gone = [m for m in used if m.address not in {f.address for f in found}]
        assert len(gone) <= share * len(used)
        before = found
