"""Breaker: opens on a share of failures, tries carefully, closes again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lb.plan import BreakerPlan
from lb.upstream.breaker import Breaker

PLAN = BreakerPlan(failures=0.5, min_requests=10, window=10.0, open=5.0)


def opened() -> Breaker:
    breaker = Breaker(PLAN)
    changes = [breaker.observe(False, 1.0) for _ in range(10)]
    assert changes == [False] * 9 + [True]
    return breaker


def test_few_failures_say_nothing() -> None:
    breaker = Breaker(PLAN)
    for _ in range(9):
        breaker.observe(False, 1.0)
    assert breaker.allows(1.0) and repr(breaker) == "<Breaker closed 9/9>"


def test_it_opens_at_its_share_and_not_before() -> None:
    breaker = Breaker(PLAN)
    for _ in range(11):
        breaker.observe(True, 1.0)
    for _ in range(10):
        assert not breaker.observe(False, 1.0)
    assert breaker.observe(False, 1.0)  # 11 of 22
    assert not breaker.allows(1.0) and not breaker.allows(5.9)
    assert breaker.wait(2.0) == 4.0


def test_half_open_lets_one_at_a_time_pass_and_closes_after_three() -> None:
    breaker = opened()
    for _ in range(3):
        assert breaker.allows(6.0)
        assert not breaker.allows(6.0), "one at a time"
        breaker.observe(True, 6.1)
    assert breaker.allows(6.2) and breaker.allows(6.2)
    assert repr(breaker) == "<Breaker closed 0/0>"


def test_a_failed_trial_opens_it_again() -> None:
    breaker = opened()
    assert breaker.allows(6.0)
    assert breaker.observe(False, 7.0)
    assert not breaker.allows(11.9) and breaker.allows(12.0)


def test_a_trial_that_never_ends_is_forgiven() -> None:
    breaker = opened()
    assert breaker.allows(6.0) and not breaker.allows(10.9) and breaker.allows(11.0)


def test_what_had_begun_before_it_opened_changes_nothing() -> None:
    breaker = opened()
    assert not breaker.observe(True, 2.0) and not breaker.observe(False, 2.0)
    assert not breaker.allows(5.9) and breaker.allows(6.0)


def test_failures_of_long_ago_do_not_count() -> None:
    breaker = Breaker(PLAN)
    for _ in range(9):
        breaker.observe(False, 1.0)
    assert not breaker.observe(False, 30.0)
    assert breaker.allows(30.0)


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 0.2)), max_size=300))
def test_while_most_succeed_it_stays_closed(steps: list[tuple[bool, float]]) -> None:
    breaker = Breaker(PLAN)
    now = 0.0
    for ok, wait in steps:
        now += wait
        breaker.observe(True, now)
        breaker.observe(True, now)
        breaker.observe(ok, now)
        assert breaker.allows(now)
