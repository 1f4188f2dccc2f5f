"""How an exchange ends that waits too long or whose client goes away: queue, time-outs, cancelling."""

from __future__ import annotations

import pytest

from lb.outcomes import Outcome
from lb.plan import (
    ConnectionsPlan,
    LimitsPlan,
    RetryPlan,
    TimeoutPlan,
)
from lb.telemetry import layout
from tests.proxy.playing import PUT, ROUTE, SWITCH, UPGRADE, House, plan

ONE = ConnectionsPlan(max_per_server=1, queue=1, queue_timeout=3.0)


def test_the_queue_is_first_come_first_served_and_full_after_its_length():
    house = House(plan(servers=("a:1",), connections=ConnectionsPlan(max_per_server=1, queue=2)))
    first, second, third, fourth = (house.ask() for _ in range(4))
    assert fourth.answer == 503 and house.outcomes() == {Outcome.QUEUE_FULL: 1}
    (side,) = house.opened
    side.connect()
    side.answer()
    assert second.exchange.side is side and third.exchange.phase == 1  # at once, on the same connection
    side.answer()
    side.answer()
    house.clean(first, second, third, fourth)


def test_a_full_queue_sends_the_request_to_another_server():
    # which costs no server anything, and so no budget
    retry = RetryPlan(budget=0.0, budget_floor=0.0)
    house = House(plan(connections=ConnectionsPlan(max_per_server=1, queue=0), retry=retry))
    askers = [house.ask() for _ in range(3)]
    assert [a.answer for a in askers] == [0, 0, 503]
    for side in house.opened:
        side.connect()
        side.answer()
    house.clean(*askers)


def test_waiting_too_long_in_the_queue():
    house = House(plan(servers=("a:1",), connections=ONE))
    first, second = house.ask(), house.ask()
    house.later(2.5, second)
    assert second.answer == 0
    house.later(0.5, second)
    assert second.answer == 503 and house.outcomes() == {Outcome.QUEUE_TIMEOUT: 1}
    house.opened[0].connect()
    house.opened[0].answer()
    house.clean(first, second)


@pytest.mark.parametrize(
    ("timeout", "outcome"),
    [
        (TimeoutPlan(connect=1.0), Outcome.CONNECT_TIMEOUT),
        (TimeoutPlan(connect=0.0, total=1.0), Outcome.TOTAL_TIMEOUT),
    ],
)
def test_a_connection_that_does_not_open(timeout, outcome):
    house = House(plan(timeout=timeout, retry=RetryPlan(attempts=0)))
    asker = house.ask()
    house.later(0.5, asker)
    assert asker.answer == 0
    house.later(0.5, asker)
    assert asker.answer == 504 and house.outcomes() == {outcome: 1}
    assert house.opened[0].at == "closed"
    house.clean(asker)


def test_a_server_that_does_not_answer():
    house = House(plan(timeout=TimeoutPlan(response=2.0)))
    asker = house.ask(PUT, b"", False)
    house.opened[0].connect()
    house.later(10.0, asker)
    assert asker.answer == 0, "the time begins when the request has been sent"
    asker.exchange.take_body(b"", True, b"")
    house.later(2.0, asker)
    assert asker.answer == 504 and house.outcomes() == {Outcome.RESPONSE_TIMEOUT: 1}
    house.clean(asker)


def test_a_client_that_sends_no_more_of_its_body():
    house = House(plan(limits=LimitsPlan(body_timeout=5.0)))
    asker = house.ask(PUT, b"", False)
    house.opened[0].connect()
    asker.exchange.server_full()
    house.later(5.0, asker)
    assert asker.answer == 0, "the server is the slow one"
    asker.exchange.server_ready()
    house.later(5.0, asker)
    assert (
        asker.answer == 408 and asker.said[-1][-1] is True and house.outcomes() == {Outcome.BODY_TIMEOUT: 1}
    )
    house.clean(asker)


@pytest.mark.parametrize(("full", "outcome"), [(False, Outcome.IDLE_TIMEOUT), (True, Outcome.CLIENT_STALLED)])
@pytest.mark.parametrize("tunnel", [False, True])
def test_an_exchange_that_stands_still(full, outcome, tunnel):
    house = House(plan(timeout=TimeoutPlan(idle=4.0)))
    asker = house.ask(UPGRADE)
    house.opened[0].connect()
    house.opened[0].answer(*([SWITCH] if tunnel else []), piece=b"", last=False)
    asker.full = full
    house.later(3.0, asker)
    assert asker.said[-1] != ("break",)
    house.later(1.0, asker)
    assert asker.said[-1] == ("break",) and house.outcomes() == {outcome: 1}
    house.clean(asker)


@pytest.mark.parametrize("phase", ["queued", "connecting", "waiting", "streaming", "tunnel"])
def test_a_client_that_goes_away_cancels_at_the_server(phase):
    house = House(plan(servers=("a:1",), connections=ONE))
    busy = [house.ask()] if phase == "queued" else []
    asker = house.ask(UPGRADE)
    side = house.opened[0]
    if phase in ("waiting", "streaming", "tunnel"):
        side.connect()
    if phase in ("streaming", "tunnel"):
        side.answer(*([SWITCH] if phase == "tunnel" else []), piece=b"o", last=False)
    asker.exchange.client_gone()
    assert (side.at == "closed") is (phase != "queued")
    for other in busy:
        other.exchange.client_gone()
    house.clean(asker, *busy)
    assert house.outcomes() == {Outcome.CLIENT_GONE: 1 + len(busy)}
    shown = {"streaming": b"200", "tunnel": b"101"}.get(phase, b"499")
    assert house.lines[0].startswith(shown + b" CD")
    assert house.cells.get(ROUTE + layout.ROUTE_CLASS + int(shown[:1])) == 1 + len(busy)
