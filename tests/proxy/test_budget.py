"""The retry budget: what an outage may be multiplied by, whatever the order of requests and failures."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.plan import RetryPlan, WeightedService
from lb.proxy.budget import Budget
from lb.telemetry import layout
from tests.proxy.playing import ROUTE, House, plan

NOW = 1000.0
COUNT = st.integers(0, 40)


def budget(share=0.2, floor=0.0, workers=1) -> Budget:
    made = Budget()
    made.configure(share, floor, workers)
    return made


def spent(made: Budget, now: float = NOW, wanted: int = 1000) -> int:
    return sum(bool(made.spend(now)) for _ in range(wanted))


@pytest.mark.parametrize(
    ("share", "floor", "workers", "requests", "retries"),
    [
        (0.2, 0.0, 1, 100, 20),
        (0.2, 0.0, 1, 4, 0),  # a fifth of a retry is none
        (0.2, 3.0, 1, 4, 30),  # three a second, in ten seconds
        (0.2, 3.0, 1, 400, 80),
        (0.2, 3.0, 4, 4, 7),  # a worker's part
        (0.0, 0.1, 64, 400, 1),  # at least one: a worker cannot have a fiftieth
        (1.0, 0.0, 1, 7, 7),
        (0.0, 0.0, 1, 1000, 0),
    ],
)
def test_how_much_there_is(share, floor, workers, requests, retries):
    made = budget(share, floor, workers)
    for _ in range(requests):
        made.count(NOW)
    assert spent(made) == retries


def test_what_is_older_than_ten_seconds_does_not_count():
    made = budget()
    for second in range(10):
        for _ in range(10):
            made.count(NOW + second)
    assert spent(made, NOW + 9.5) == 20
    assert spent(made, NOW + 10.5) == 0, "the retries of this second are still in the window"
    for _ in range(10):
        made.count(NOW + 19.0)
    assert (made.requests, made.retries) == (10, 0)
    assert spent(made, NOW + 19.0) == 2


@given(
    share=st.sampled_from([0.0, 0.05, 0.2, 1.0]),
    floor=st.sampled_from([0.0, 0.1, 3.0]),
    workers=st.integers(1, 8),
    steps=st.lists(
        st.tuples(
            st.sampled_from([0.0, 0.1, 0.9, 1.0, 3.7, 9.9, 10.0, 25.0]),
            st.integers(0, 40),
            st.integers(0, 40),
        ),
        max_size=60,
    ),
)
def test_attempts_are_never_more_than_the_budget_says(share, floor, workers, steps):
    made = budget(share, floor, workers)
    now, requests, retries = NOW, 0, 0
    for seconds, asked, wanted in steps:
        now += seconds
        for _ in range(asked):
            made.count(now)
        requests += asked
        retries += spent(made, now, wanted)
        assert made.requests >= 0 and made.retries >= 0
    windows = (now - NOW) // 10 + 1
    least = max(1.0, floor * 10 / workers) if floor else 0.0
    # a window may lie across two: each request pays for retries once, the floor once a window
    assert requests + retries <= (1 + share) * requests + least * (windows + 1) + 1e-6


@given(gaps=st.lists(st.floats(0.0, 15.0), max_size=50))
def test_the_window_is_the_last_nine_to_ten_seconds(gaps):
    made, now, times = budget(), NOW, []
    for gap in gaps:
        now += gap
        made.count(now)
        times.append(now)
        assert sum(t > now - 9 for t in times) <= made.requests <= sum(t > now - 10 for t in times)


def test_a_reload_changes_the_numbers_and_keeps_the_counts():
    house = House(plan(retry=RetryPlan(budget=0.5, budget_floor=0.0)))
    askers = [house.ask() for _ in range(4)]
    made = house.core.routes[0].budget
    assert (made.requests, made.share) == (4, 0.5)
    house.publish(plan(retry=RetryPlan(budget=0.25, budget_floor=0.0), generation=2))
    assert house.core.routes[0].budget is made and (made.requests, made.share) == (4, 0.25)
    for asker in askers:
        asker.exchange.client_gone()
    house.clean(*askers)


def test_a_failure_over_budget_goes_to_the_client_and_is_counted():
    house = House(plan(retry=RetryPlan(on=("connect", "503"), budget=0.0, budget_floor=0.0)))
    failed = house.ask()
    house.opened[0].connect()
    house.opened[0].answer(b"HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\n")
    assert (failed.answer, len(house.opened)) == (503, 1)
    assert failed.said == [("respond", 503, b"ok", True)], "the server's own answer"
    assert house.cells.get(ROUTE + layout.ROUTE_BUDGET_REFUSED) == 1
    assert house.cells.get(ROUTE + layout.ROUTE_RETRIES) == 0
    assert [line.endswith(b":budget") for line in house.lines] == [True]
    house.clean(failed)


def test_a_refused_connection_needs_no_budget():
    house = House(plan(retry=RetryPlan(on=("connect",), budget=0.0, budget_floor=0.0)))
    asker = house.ask()
    house.opened[0].refuse()
    house.opened[1].connect()
    house.opened[1].answer()
    assert (asker.answer, len(house.opened)) == (200, 2)
    assert house.cells.get(ROUTE + layout.ROUTE_BUDGET_REFUSED) == 0
    house.clean(asker)


def test_a_stale_connection_costs_nothing():
    house = House(plan(servers=("a:1",), retry=RetryPlan(budget=0.0, budget_floor=0.0)))
    first = house.ask()
    house.opened[0].connect()
    house.opened[0].answer()
    second = house.ask()
    house.opened[0].lose()
    house.opened[1].connect()
    house.opened[1].answer()
    assert second.answer == 200
    house.clean(first, second)


def gauges(house: House, slot: int = ROUTE) -> tuple[int, int]:
    return house.cells.get(slot + layout.ROUTE_BUDGET), house.cells.get(slot + layout.ROUTE_BUDGET_USED)


def test_the_gauges_say_what_is_allowed_and_used_and_forget_it():
    house = House(plan(retry=RetryPlan(on=("503",), budget=0.5, budget_floor=0.0)))
    house.core.show_budgets()
    assert gauges(house) == (0, 0)
    askers = [house.ask() for _ in range(5)]
    house.opened[0].connect()
    house.opened[0].answer(b"HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\n")
    house.core.show_budgets()
    assert gauges(house) == (2, 1)
    house.core.now += 11
    house.core.show_budgets()
    assert gauges(house) == (0, 0)
    for asker in askers:
        asker.exchange.client_gone()
    house.clean(*askers)


def test_a_route_that_changes_its_service_leaves_no_gauge_behind():
    house = House(plan(retry=RetryPlan(budget=0.5, budget_floor=0.0)))
    askers = [house.ask() for _ in range(4)]
    house.core.show_budgets()
    assert gauges(house) == (2, 0)
    house.publish(plan(retry=RetryPlan(budget=0.5, budget_floor=0.0), generation=2,
                       services=(WeightedService("app", 1, 600),)))  # fmt: skip
    assert gauges(house) == (0, 0), "its counters would never be free"
    house.core.show_budgets()
    assert gauges(house, 600) == (2, 0)
    for asker in askers:
        asker.exchange.client_gone()
    house.clean(*askers)
