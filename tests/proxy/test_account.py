"""What is counted and logged of attempts and exchanges."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.outcomes import TABLE, Outcome
from lb.plan import RespondPlan, RetryPlan
from lb.proxy.account import record_refusal
from lb.telemetry import layout
from lb.telemetry.buckets import CELLS
from tests.proxy.playing import GET, LISTENER, PUT, ROUTE, SERVERS, House, plan


def block(house: House, slot: int, name: str, of: str = "SERVER") -> int:
    return house.cells.get(slot + getattr(layout, f"{of}_{name}"))


def test_bytes_and_durations_of_one_exchange():
    house = House(plan(servers=("a:1",)))
    asker = house.ask(PUT, b"12345", True)
    side = house.opened[0]
    side.connect()
    side.answer(piece=b"ok")
    house.clean(asker)
    assert block(house, SERVERS, "BYTES_OUT") == len(side.out)
    assert block(house, SERVERS, "BYTES_IN") == 2
    assert (block(house, ROUTE, "BYTES_IN", "ROUTE"), block(house, ROUTE, "BYTES_OUT", "ROUTE")) == (5, 2)
    assert block(house, SERVERS, "CLASS") == 0 and house.cells.get(SERVERS + layout.SERVER_CLASS + 2) == 1
    for slot, at in (
        (SERVERS, layout.SERVER_DURATION_CELLS),
        (SERVERS, layout.SERVER_CONNECT_CELLS),
        (ROUTE, layout.ROUTE_DURATION_CELLS),
    ):
        assert sum(house.cells.totals(slot + at, CELLS)) == 1
    assert sum(house.cells.totals(SERVERS + layout.SERVER_QUEUE_CELLS, CELLS)) == 0
    assert house.cells.get(LISTENER + layout.LISTENER_REQUESTS) == 1


def test_a_connection_that_serves_again_is_not_observed_again():
    house = House(plan(servers=("a:1",)))
    house.ask()
    house.opened[0].connect()
    house.opened[0].answer()
    house.ask()
    house.opened[0].answer()
    assert len(house.opened) == 1 and block(house, SERVERS, "REUSED") == 1
    assert sum(house.cells.totals(SERVERS + layout.SERVER_DURATION_CELLS, CELLS)) == 2
    assert sum(house.cells.totals(SERVERS + layout.SERVER_CONNECT_CELLS, CELLS)) == 1
    house.clean()


def test_failures_count_against_the_server_only_where_it_failed():
    house = House(plan(servers=("a:1",), retry=RetryPlan(attempts=0)))
    house.ask().exchange.client_gone()
    assert block(house, SERVERS, "FAILURES") == 0
    house.ask()
    house.opened[1].refuse()
    assert (block(house, SERVERS, "FAILURES"), block(house, SERVERS, "CONNECT_FAILURES")) == (1, 1)
    house.ask()
    house.opened[2].connect()
    house.opened[2].lose()
    assert (block(house, SERVERS, "FAILURES"), block(house, SERVERS, "CONNECT_FAILURES")) == (2, 1)
    house.clean()


@pytest.mark.parametrize(("status", "dearer"), [(200, False), (404, False), (500, True), (429, True)])
def test_a_failing_answer_makes_a_server_dearer_than_a_good_one(status, dearer):
    house = House(plan(servers=("a:1",)))
    (server,) = house.servers
    house.ask()
    house.opened[0].connect()
    house.opened[0].answer(b"HTTP/1.1 %d X\r\nContent-Length: 2\r\n\r\n" % status)
    assert (server.cost(house.core.now) > 0.5) is dearer, server.cost(house.core.now)


def test_a_tunnel_says_nothing_about_latency():
    house = House(plan(servers=("a:1",)))
    asker = house.ask(GET.replace(b"\r\n\r\n", b"\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"))
    house.opened[0].connect()
    house.opened[0].answer(b"HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
    asker.exchange.client_gone()
    (server,) = house.servers
    assert server.cost(house.core.now) == 0.0
    house.clean(asker)


def test_a_fixed_response_counts_on_its_route_and_on_no_server():
    house = House(plan(respond=RespondPlan(503, "closed")))
    asker = house.ask()
    house.clean(asker)
    assert house.cells.get(ROUTE + layout.ROUTE_CLASS + 5) == 1
    assert block(house, ROUTE, "BYTES_OUT", "ROUTE") == len("closed")
    assert house.cells.totals(SERVERS, layout.SERVER_SIZE) == [0] * layout.SERVER_SIZE


@given(outcome=st.sampled_from([o for o in TABLE if o != Outcome.DONE]))
def test_a_refusal_is_counted_and_logged(outcome):
    house = House()
    status = TABLE[outcome].status
    record_refusal(house.core, house.core.listeners["web"], "192.0.2.9", outcome, status)
    assert house.outcomes() == {outcome: 1}
    assert house.lines == [f"{status} {TABLE[outcome].flag} -".encode()]
    house.core.line = None
    record_refusal(house.core, house.core.listeners["web"], "192.0.2.9", outcome, status)
    assert len(house.lines) == 1
