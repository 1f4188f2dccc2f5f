"""Hedged requests: whoever answers first, the client gets one answer and every gauge goes back to 0."""

from __future__ import annotations

import pytest

from lb.decisions import Select
from lb.outcomes import Outcome
from lb.plan import ConnectionsPlan, RetryPlan, TimeoutPlan
from lb.telemetry import layout
from tests.proxy.playing import GET, PUT, ROUTE, SERVERS, UPGRADE, House, plan

POST = b"POST / HTTP/1.1\r\nHost: a\r\n\r\n"
BUSY = b"HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\n"
OTHER = b"HTTP/1.1 201 Made\r\nContent-Length: 2\r\n\r\n"


def hedged(raw=GET, piece=b"", timeout=None, **retry) -> tuple[House, object]:
    """A request that waits for its first server, and was hedged."""
    retry = {"hedge": 0.5, "backoff": 0.0, "on": ("connect", "reset", "503")} | retry
    house = House(plan(timeout=timeout or TimeoutPlan(), retry=RetryPlan(**retry)))
    asker = house.ask(raw, piece, True)
    house.opened[0].connect()
    house.later(0.3, asker)
    assert len(house.opened) == 1
    house.later(0.2, asker)
    return house, asker


def count(house: House, name: str) -> int:
    return house.cells.get(ROUTE + getattr(layout, f"ROUTE_{name}"))


def failures(house: House) -> list[int]:
    return [house.cells.get(SERVERS + 100 * n + layout.SERVER_FAILURES) for n in range(2)]


def finish(house: House, asker, status: int) -> None:
    assert asker.answer == status
    house.clean(asker)
    assert count(house, "HEDGES") == 1
    assert house.core.hedges[0].first is None


def test_the_second_server_answers_first():
    house, asker = hedged(PUT, b"body")
    first, second = house.opened
    assert second.pool is not first.pool and house.gauges()["IN_FLIGHT"] == 2
    second.connect()
    assert second.starts[0].endswith(b"4\r\nbody\r\n0\r\n\r\n")
    second.answer(OTHER)
    assert first.at == "closed"
    finish(house, asker, 201)
    assert failures(house) == [0, 0] and house.idle() == 1
    assert count(house, "RETRIES") == 1
    first_word, second_word = house.lines[0].split(b" ")[2].split(b",")
    assert first_word.endswith(b":--:cancelled") and second_word.endswith(b":--:hedge")


def test_the_first_server_answers_after_all():
    house, asker = hedged()
    first, second = house.opened
    second.connect()
    first.answer()
    assert second.at == "closed"
    finish(house, asker, 200)
    assert failures(house) == [0, 0] and house.idle() == 1
    assert house.lines[0].index(b"b:1:0:") < house.lines[0].index(b":--:cancelled,a:1:200:")


@pytest.mark.parametrize("connected", [False, True])
def test_the_first_server_fails_and_the_second_takes_over(connected):
    house, asker = hedged(attempts=1)
    first, second = house.opened
    if connected:
        second.connect()
    first.lose()
    assert asker.answer == 0 and len(house.opened) == 2, "no third attempt"
    if not connected:
        second.connect()
    second.answer(piece=b"o", last=False)
    second.more(b"k")
    assert asker.said == [("respond", 200, b"o", False), ("send", b"k", True, b"")]
    finish(house, asker, 200)
    assert failures(house) == [1, 0]


def test_the_second_server_fails_and_the_first_goes_on():
    house, asker = hedged()
    first, second = house.opened
    second.refuse()
    house.later(1.0, asker)
    assert len(house.opened) == 2, "one hedge an exchange"
    first.answer()
    finish(house, asker, 200)
    assert failures(house) == [0, 1]


def test_a_status_that_is_tried_again_does_not_win():
    house, asker = hedged()
    first, second = house.opened
    second.connect()
    second.answer(BUSY)
    assert asker.answer == 0
    first.answer()
    finish(house, asker, 200)
    house, asker = hedged()
    first, second = house.opened
    first.answer(BUSY)
    assert asker.answer == 0 and len(house.opened) == 2
    second.connect()
    second.answer()
    finish(house, asker, 200)


def test_both_fail():
    house, asker = hedged(attempts=1)
    first, second = house.opened
    second.refuse()
    first.lose()
    finish(house, asker, 502)
    house, asker = hedged(attempts=2)
    first, second = house.opened
    second.connect()
    first.lose()
    second.lose()
    house.opened[2].connect()
    house.opened[2].answer()
    finish(house, asker, 200)


def test_both_hang():
    house, asker = hedged(timeout=TimeoutPlan(connect=5.0, response=4.0), attempts=1)
    house.later(6.0, asker)
    finish(house, asker, 504)
    assert failures(house) == [1, 1]
    house, asker = hedged(timeout=TimeoutPlan(total=2.0))
    house.later(2.0, asker)
    finish(house, asker, 504)
    assert house.outcomes() == {Outcome.TOTAL_TIMEOUT: 1}


def test_the_client_goes_away():
    house, asker = hedged()
    asker.exchange.client_gone()
    assert {side.at for side in house.opened} == {"closed"}
    finish(house, asker, 0)
    assert failures(house) == [0, 0]


def test_a_queue_moves_on_when_a_hedge_ends():
    house, asker = hedged()
    house.publish(plan(connections=ConnectionsPlan(max_per_server=1), generation=2))
    waiting = [house.ask(), house.ask()]
    house.opened[0].answer()
    assert len(house.opened) == 3, "a connection to the hedge's server for the next one"
    house.opened[0].answer()
    house.opened[2].connect()
    house.opened[2].answer()
    house.clean(asker, *waiting)


def test_what_the_first_server_said_before_stays_apart():
    """An interim response of the first reached the client; one of the second does not."""
    house, asker = hedged()
    first, second = house.opened
    first.answer(b"HTTP/1.1 103 Early\r\n\r\n")
    second.connect()
    second.answer(b"HTTP/1.1 103 Early\r\n\r\n")
    second.answer(OTHER)
    assert asker.said == [("interim", 103), ("respond", 201, b"ok", True)]
    finish(house, asker, 201)


@pytest.mark.parametrize(
    ("raw", "retry"),
    [
        (POST, {}),
        (UPGRADE, {}),
        (GET, {"hedge": 0.0}),
        (GET, {"attempts": 0}),
        (GET, {"budget": 0.0, "budget_floor": 0.0}),
    ],
)
def test_no_hedge(raw, retry):
    house, asker = hedged(raw, **retry)
    house.later(5.0, asker)
    assert len(house.opened) == 1 and count(house, "HEDGES") == 0
    assert count(house, "BUDGET_REFUSED") == (1 if "budget" in retry else 0)
    house.opened[0].answer()
    house.clean(asker)


def test_no_hedge_where_there_is_one_server_or_the_body_is_too_large():
    house = House(plan(servers=("a:1",), retry=RetryPlan(hedge=0.5)))
    asker = house.ask()
    house.later(1.0, asker)
    assert len(house.opened) == 1
    house.opened[0].connect()
    house.opened[0].answer()
    house.clean(asker)
    house = House(plan(retry=RetryPlan(hedge=0.5, replay=3)))
    asker = house.ask(PUT, b"12345", True)
    house.opened[0].connect()
    house.later(1.0, asker)
    assert len(house.opened) == 1
    house.opened[0].answer()
    house.clean(asker)


def test_a_session_stays_where_its_cookie_says():
    house = House(plan(retry=RetryPlan(hedge=0.5)))
    asker = house.ask()
    asker.exchange.reason = Select.STICKY
    house.opened[0].connect()
    house.later(1.0, asker)
    assert len(house.opened) == 1
    house.opened[0].answer()
    house.clean(asker)


def test_a_hedge_is_used_again():
    house, asker = hedged()
    house.opened[0].answer()
    finish(house, asker, 200)
    again = house.ask()
    house.later(0.5, again)
    house.opened[-1].connect()
    house.opened[-1].answer(OTHER)
    assert again.answer == 201 and len(house.core.hedges) == 1
    house.clean(asker, again)
