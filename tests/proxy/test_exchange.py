"""The exchange's phases, driven by players in place of connections: every way to an end, and that each
leaves every gauge at 0 and the exchange ready for the next request."""

from __future__ import annotations

import pytest

from lb.outcomes import TABLE, Outcome
from lb.plan import (
    HeaderEditsPlan,
    LimitsPlan,
    RedirectPlan,
    RespondPlan,
    RetryPlan,
    ServerPlan,
)
from lb.telemetry import layout
from tests.proxy.playing import GET, PUT, ROUTE, SERVERS, SWITCH, UPGRADE, House, plan

KIB64 = 64 * 1024


def warm(house: House, count: int = 1) -> None:
    """Leave `count` idle connections."""
    askers = [house.ask() for _ in range(count)]
    for side in house.opened[-count:]:
        side.connect()
    for side in house.opened[-count:]:
        side.answer()
    house.clean(*askers)


def test_a_request_and_its_response():
    house = House()
    asker = house.ask()
    (side,) = house.opened
    assert house.gauges() == {"exchanges": 1, "route": 1, "IN_FLIGHT": 1, "BUSY": 1, "busy": 1}
    side.connect()
    assert side.starts[0].startswith(b"GET / HTTP/1.1\r\n")
    side.answer()
    assert asker.said == [("respond", 200, b"ok", True)]
    house.clean(asker)
    assert house.idle() == 1 and house.outcomes() == {Outcome.DONE: 1}
    assert house.cells.get(ROUTE + layout.ROUTE_CLASS + 2) == 1
    assert house.lines[0].startswith(b"200 -- a:1:200:")


def test_an_exchange_and_a_connection_are_used_again():
    house = House(plan(servers=("a:1",)))
    warm(house)
    asker = house.ask()
    assert len(house.opened) == len(house.exchanges) == 1
    house.opened[0].answer()
    house.clean(asker)
    assert house.cells.get(SERVERS + layout.SERVER_REUSED) == 1


def test_a_body_both_ways_with_trailers():
    house = House()
    asker = house.ask(PUT, b"on", False)
    side = house.opened[0]
    side.connect()
    asker.exchange.take_body(b"e", False, b"")
    side.answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"a", False)
    asker.exchange.take_body(b"", True, b"x: y\r\n")
    side.more(b"b", True, b"t: u\r\n")
    assert side.out.endswith(b"\r\n\r\n2\r\non\r\n1\r\ne\r\n0\r\nx: y\r\n\r\n")
    assert asker.said == [("respond", 200, b"a", False), ("send", b"b", True, b"t: u\r\n")]
    house.clean(asker)
    assert house.idle() == 1


def test_a_response_before_the_request_ended_closes_the_connection():
    house = House()
    asker = house.ask(PUT, b"a", False)
    house.opened[0].connect()
    house.opened[0].answer()
    house.clean(asker)
    assert house.idle() == 0 and house.opened[0].at == "closed"


def test_a_refused_connection_goes_to_another_server():
    house = House()
    asker = house.ask(PUT, b"body", True)
    first, *_ = house.opened
    first.refuse()
    second = house.opened[1]
    assert second.pool is not first.pool
    second.connect()
    assert second.starts[0].endswith(b"4\r\nbody\r\n0\r\n\r\n")
    second.answer()
    assert asker.answer == 200
    house.clean(asker)
    assert house.cells.get(ROUTE + layout.ROUTE_RETRIES) == 1
    assert house.lines[0].index(b"a:1:0:") < house.lines[0].index(b":SC,b:1:200:")


def test_attempts_end_where_the_route_says():
    house = House(plan(retry=RetryPlan(attempts=2)))
    asker = house.ask()
    for at in range(3):
        house.opened[at].refuse()
        for timer in house.timers:
            timer.fire()
    assert len(house.opened) == 3 and asker.answer == 502
    house.clean(asker)
    assert house.outcomes() == {Outcome.CONNECT_FAILED: 1}


def test_a_stale_connection_is_replaced_by_a_fresh_one_that_is_no_retry():
    house = House(plan(servers=("a:1",), retry=RetryPlan(attempts=0)))
    warm(house)
    asker = house.ask()
    house.opened[0].lose()
    fresh = house.opened[1]
    fresh.connect()
    fresh.answer()
    assert asker.answer == 200
    house.clean(asker)
    assert house.cells.get(ROUTE + layout.ROUTE_RETRIES) == 0
    # both attempts stand in the log, the failed one first
    assert house.lines[-1].index(b"SR") < house.lines[-1].index(b"--", 7)


def test_a_post_on_a_stale_connection_is_not_sent_twice():
    house = House(plan(servers=("a:1",)))
    warm(house)
    asker = house.ask(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n", b"x", True)
    house.opened[0].lose()
    assert asker.answer == 502 and len(house.opened) == 1
    house.clean(asker)


def test_nothing_is_tried_again_after_response_bytes():
    house = House(plan(retry=RetryPlan(attempts=5)))
    asker = house.ask()
    house.opened[0].connect()
    house.opened[0].answer(piece=b"o", last=False)
    house.opened[0].lose()
    assert asker.said == [("respond", 200, b"o", False), ("break",)]
    assert len(house.opened) == 1 and house.outcomes() == {Outcome.SERVER_BROKE_OFF: 1}
    house.clean(asker)


def test_a_status_is_tried_again_and_every_attempt_is_logged():
    house = House(plan(retry=RetryPlan(attempts=1, on=("503",), backoff=0.0)))
    asker = house.ask()
    house.opened[0].connect()
    house.opened[0].answer(b"HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\n")
    house.opened[1].connect()
    house.opened[1].answer()
    assert asker.answer == 200
    house.clean(asker)
    assert house.lines[0].index(b"a:1:503:") < house.lines[0].index(b",b:1:200:")


@pytest.mark.parametrize(("size", "again"), [(KIB64 - 5, True), (KIB64 + 1, False)])
def test_a_body_is_sent_again_up_to_64_kib(size, again):
    head = b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (size + 1)
    house = House()
    asker = house.ask(head, b"x" * size, False)
    house.opened[0].connect()
    asker.exchange.take_body(b"y", True, b"")
    house.opened[0].lose()
    assert (len(house.opened) == 2) is again
    if again:
        house.opened[1].connect()
        assert house.opened[1].out.endswith(b"\r\n\r\n" + b"x" * size + b"y")
        house.opened[1].answer()
    assert asker.answer == (200 if again else 502)
    house.clean(asker)


def test_a_body_that_comes_before_the_connection_is_held_at_64_kib_and_may_go_elsewhere():
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n"
    house = House()
    asker = house.ask(head, b"x" * (KIB64 + 1), False)
    assert asker.held()
    house.opened[0].refuse()  # nothing was sent yet
    house.opened[1].connect()
    assert not asker.held() and house.opened[1].out.endswith(b"x" * (KIB64 + 1))
    house.opened[1].lose()
    assert asker.answer == 502 and len(house.opened) == 2
    house.clean(asker)


def test_a_retry_lets_a_client_go_that_was_held_for_the_lost_server():
    house = House()
    asker = house.ask(PUT, b"x", False)
    house.opened[0].connect()
    asker.exchange.server_full()
    assert asker.held()
    house.opened[0].lose()
    assert not asker.held(), "nobody would ever let it go"
    house.opened[1].connect()
    asker.exchange.take_body(b"", True, b"")
    house.opened[1].answer()
    house.clean(asker)


def test_a_connection_is_not_given_back_held():
    house = House(plan(servers=("a:1",)))
    asker = house.ask()
    side = house.opened[0]
    side.connect()
    side.answer(piece=b"o", last=False)
    asker.full = True
    asker.exchange.client_full()
    assert side.held
    side.more(b"k")  # it had been read already
    house.clean(asker)
    assert house.idle() == 1 and not side.held
    again = house.ask()
    side.answer()
    house.clean(again)


def test_flow_control_reaches_the_other_side():
    house = House()
    asker = house.ask()
    side = house.opened[0]
    side.connect()
    asker.full = True
    side.answer(piece=b"o", last=False)
    assert side.held
    asker.full = False
    asker.exchange.client_ready()
    assert not side.held
    asker.exchange.server_full()
    assert asker.held()
    asker.exchange.server_ready()
    assert not asker.held()
    side.more(b"k")
    house.clean(asker)


def test_a_tunnel_closes_one_direction_at_a_time():
    house = House()
    asker = house.ask(UPGRADE)
    exchange, side = asker.exchange, house.opened[0]
    side.connect()
    side.answer(SWITCH)
    exchange.tunnel_from_client(b"ping", False)
    exchange.tunnel_from_server(b"pong", False)
    exchange.tunnel_from_client(b"", True)
    assert side.client_ended and asker.times_done == 0
    exchange.tunnel_from_server(b"last", True)
    assert side.out.endswith(b"ping") and side.at == "closed"
    assert asker.said == [("tunnel", 101), ("raw", b"pong", False), ("raw", b"last", True)]
    house.clean(asker)
    assert house.outcomes() == {Outcome.DONE: 1}


def test_no_route_no_server_and_too_large_a_body():
    house = House(plan(servers=(ServerPlan("a:1", weight=0, slot=SERVERS),)))
    asker = house.ask()
    house.clean(asker)
    house.publish(plan(limits=LimitsPlan(max_body=3), generation=2))
    declared = house.ask(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n", b"", False)
    counted = house.ask(PUT, b"1234", False)
    house.core.table.anywhere.__init__()
    lost = house.ask()
    assert [a.answer for a in (asker, declared, counted, lost)] == [503, 413, 413, 404]
    house.clean(declared, counted, lost)


EDITS = HeaderEditsPlan(
    set=(("x-kind", "edited"), ("location", "/edited")), add=(("x-more", "1"),), remove=("x-gone",)
)


def test_edits_apply_to_what_lb_answers_itself():
    respond = RespondPlan(body="hi", headers=(("x-kind", "mine"), ("x-gone", "1"), ("x-more", "0")))
    house = House(plan(respond=respond, response_headers=EDITS))
    asker = house.ask()
    _, status, lines, body, _ = asker.said[0]
    names = [line.partition(b":")[0] for line in lines.splitlines()]
    assert (status, body) == (200, b"hi") and names.count(b"x-kind") == 1 and b"x-gone" not in names
    assert b"x-kind: edited\r\n" in lines and names.count(b"x-more") == 2 and b"content-type" in names
    house.clean(asker)
    house.publish(plan(redirect=RedirectPlan("/there"), response_headers=EDITS, generation=2))
    asker = house.ask()
    assert asker.said[0][2].lower().count(b"location:") == 1 and b"/edited" in asker.said[0][2]
    house.clean(asker)


def test_a_status_class_is_one_of_five_for_every_outcome():
    for outcome, row in TABLE.items():
        assert outcome == Outcome.DONE or 1 <= row.status // 100 <= 5
        house = House()
        asker = house.ask(GET)
        if outcome != Outcome.DONE:
            asker.exchange.fail(outcome)
            house.clean(asker)
            assert sum(house.cells.get(ROUTE + layout.ROUTE_CLASS + n) for n in range(1, 6)) == 1
