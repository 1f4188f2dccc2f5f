"""The index never goes to 0 by an answer that has none, and the pace has its bounds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lb.discovery.consul_index import BURST, LONGEST_PAUSE, Cursor, Pace


@given(st.lists(st.one_of(st.none(), st.integers(0, 2**64)), max_size=50))
def test_a_question_without_waiting_follows_only_a_lower_index(answers):
    cursor = Cursor()
    for given_ in answers:
        before = cursor.index
        cursor.advance(given_)
        if given_ and given_ < before:
            assert cursor.index == 0
        else:
            assert cursor.index == (given_ or 1)


@given(st.lists(st.tuples(st.floats(0, 60), st.booleans()), min_size=1, max_size=200))
def test_questions_are_bounded_whatever_comes(steps):
    """`steps`: how long an answer took, and whether it had news."""
    now = [0.0]
    pace = Pace(lambda: now[0])
    asked = []
    for took, news in steps:
        now[0] += took
        delay = pace.delay(news)
        assert 0 <= delay <= LONGEST_PAUSE + 1e-6
        now[0] += delay
        asked.append(now[0])
    for place, at in enumerate(asked):
        within = [other for other in asked[place:] if other < at + 0.25]
        assert len(within) <= BURST + 1


def test_after_a_quiet_time_nothing_waits():
    now = [0.0]
    pace = Pace(lambda: now[0])
    for _ in range(30):
        now[0] += pace.delay(True)
    assert pace.delay(True) > 10
    now[0] += 60
    assert [pace.delay(True), pace.delay(True)] == [0.0, 0.0]
    assert 0 < pace.delay(True) < 0.5


def test_ten_changes_in_ten_seconds_are_told_within_a_second():
    """A rolling deployment of ten is no churn."""
    now = [0.0]
    pace = Pace(lambda: now[0])
    for change in range(10):
        now[0] = max(now[0], float(change))
        now[0] += pace.delay(True)
        assert now[0] - change <= 1.0
