"""The health machine: consecutive results, and what breaks a run."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lb.upstream.health import Health
from lb.upstream.status import Active

limits = st.integers(1, 5)
results = st.lists(st.booleans(), max_size=60)


def model(observed: list[bool], rise: int, fall: int) -> Active:
    """The state by its definition: the last place where enough equal results ended, or the first result."""
    state = Active.UNKNOWN
    for size in range(1, len(observed) + 1):
        ok = observed[size - 1]
        needed = 1 if state is Active.UNKNOWN else (rise if ok else fall)
        if size >= needed and set(observed[size - needed : size]) == {ok}:
            state = Active.UP if ok else Active.DOWN
    return state


@given(results, limits, limits)
def test_it_is_what_the_last_long_enough_run_says(observed, rise, fall):
    machine = Health(rise, fall)
    for ok in observed:
        machine.observe(ok)
    assert machine.state is model(observed, rise, fall)


@given(results, limits, limits)
def test_a_change_is_told_when_and_only_when_the_state_changes(observed, rise, fall):
    machine = Health(rise, fall)
    for ok in observed:
        before = machine.state
        change = machine.observe(ok)
        assert change is (None if machine.state is before else machine.state)
        assert change is None or not machine.changing


@given(results, limits, limits)
def test_a_run_is_under_way_after_a_result_against_the_state_and_ends_with_one_for_it(observed, rise, fall):
    machine = Health(rise, fall)
    for ok in observed:
        change = machine.observe(ok)
        agrees = machine.state is (Active.UP if ok else Active.DOWN)
        assert machine.changing is (not agrees)
        assert change is None or agrees
        assert machine.run < max(rise, fall)


@given(st.booleans())
def test_the_first_result_decides_at_once(ok):
    machine = Health(5, 5)
    assert machine.state is Active.UNKNOWN and not machine.changing
    assert machine.observe(ok) is (Active.UP if ok else Active.DOWN)


def test_limits_may_change_while_it_runs():
    machine = Health(2, 5)
    machine.observe(True)
    for _ in range(3):
        assert machine.observe(False) is None
    machine.fall = 2
    assert machine.observe(False) is Active.DOWN


def test_repr_says_how_far_it_is():
    machine = Health(2, 3)
    assert repr(machine) == "<Health unknown>"
    machine.observe(True)
    machine.observe(False)
    assert repr(machine) == "<Health up, 1 of 3 to down>"
    machine.observe(False)
    machine.observe(False)
    machine.observe(True)
    assert repr(machine) == "<Health down, 1 of 2 to up>"
