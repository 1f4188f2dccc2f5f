"""Mirroring between players: what is copied and when, that the client never notices, that nothing leaks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.outcomes import Outcome
from lb.plan import (
    ConnectionsPlan,
    HeaderEditsPlan,
    MirrorPlan,
    RespondPlan,
    RetryPlan,
    RewritePlan,
    ServerPlan,
    ServicePlan,
    StatePlan,
    TimeoutPlan,
)
from lb.proxy.copies import MOST
from lb.telemetry import layout
from tests.proxy.playing import GET, PUT, ROUTE, SERVERS, UPGRADE, House, plan

MIRROR, NEXT = 400, SERVERS + 500  # slots
OTHER = b"HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\n"
HEAD = b"HEAD /a/b?secret=1 HTTP/1.1\r\nHost: a\r\nX-Request-Id: 77\r\n\r\n"
LENGTH = b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"


def mirrored(connections=None, queue=None, next_servers=1, **more) -> House:
    """A route of the service "app" of one server, mirrored by "next"."""
    mirror = more.pop("mirror", {})
    members = tuple(ServerPlan(f"n{at}:1", slot=NEXT + 100 * at) for at in range(next_servers))
    service = ServicePlan("next", servers=members, connections=queue or ConnectionsPlan())
    house = House(
        plan(
            servers=("a:1",),
            connections=connections,
            more=(service,),
            mirror=MirrorPlan("next", **{"slot": MIRROR, **mirror}),
            **more,
        )
    )
    house.told = []
    house.copies.tell = lambda *said: house.told.append(said)
    return house


def counted(house: House) -> dict[str, int]:
    """The counters of copies that are not 0."""
    places = {
        "sent": layout.MIRROR_REQUESTS,
        "status": layout.MIRROR_DIFFERENT,
        "header": layout.MIRROR_DIFFERENT + 1,
        "body": layout.MIRROR_DIFFERENT + 2,
        "failed": layout.MIRROR_FAILED,
        "skipped": layout.MIRROR_SKIPPED,
        "in flight": layout.MIRROR_IN_FLIGHT,
    }
    return {name: n for name, at in places.items() if (n := house.cells.get(MIRROR + at))}


def served(house: House, *request, raw=None, **answer):
    """A request and its answer; the asker and the server's side of the copy, None where there is none."""
    before = len(house.opened)
    asker = house.ask(*request)
    if len(house.opened) > before:
        house.opened[-1].connect()
    side = asker.exchange.side
    side.answer(**({"raw": raw} if raw else {}), **answer)
    assert asker.answer and asker.times_done == 1
    copies = list(house.copies.active)
    return asker, copies[-1].side if copies else None


def finish(house: House, *askers) -> None:
    house.clean(*askers)
    assert counted(house).get("in flight", 0) == 0
    assert not house.copies.active
    assert all(copy.original is None and copy.answer is None for copy in house.copies.spare)


def test_the_copy_goes_out_when_the_client_was_served():
    house = mirrored()
    asker = house.ask()
    house.opened[0].connect()
    house.opened[0].answer(piece=b"o", last=False)
    assert len(house.opened) == 1 and counted(house) == {"in flight": 1}
    house.opened[0].more(b"k")
    assert asker.times_done == 1 and asker.said == [("respond", 200, b"o", False), ("send", b"k", True, b"")]
    copy = house.opened[1]
    assert copy.pool.address == "n0:1"
    copy.connect()
    assert copy.starts == [
        b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: http\r\n"
        b"X-Forwarded-Host: a\r\nVia: 1.1 lb\r\nX-Request-Id: %b\r\nx-mirror: 1\r\n\r\n"
        % house.opened[0].starts[0].partition(b"X-Request-Id: ")[2][:20]
    ]
    assert b"mirror" not in house.opened[0].starts[0]
    copy.answer(piece=b"ok")
    assert counted(house) == {"sent": 1} and house.told == []
    finish(house, asker)
    assert house.idle() == 2, "its connection is kept too"


def test_it_counts_at_its_server_and_at_no_route_or_listener():
    house = mirrored()
    _, copy = served(house)
    assert house.core.exchanges == 0, "a drain does not wait for it"
    assert house.gauges() == {"IN_FLIGHT": 1, "BUSY": 1, "busy": 1}
    copy.connect()
    copy.answer(OTHER)
    assert house.cells.get(NEXT + layout.SERVER_CLASS + 5) == 1
    assert house.cells.get(ROUTE + layout.ROUTE_CLASS + 2) == 1
    assert house.cells.get(ROUTE + layout.ROUTE_CLASS + 5) == 0
    assert house.cells.get(100 + layout.LISTENER_REQUESTS) == 1
    assert len(house.lines) == 1 and house.outcomes() == {Outcome.DONE: 1}
    finish(house)


@pytest.mark.parametrize(
    ("place", "raw", "piece"),
    [
        ("status", b"HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\n", b"ok"),
        ("header", b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 2\r\n\r\n", b"ok"),
        ("body", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", b"no"),
    ],
)
def test_a_difference_is_counted_and_told(place, raw, piece):
    house = mirrored()
    asker, copy = served(house, HEAD if piece == b"" else GET)
    copy.connect()
    copy.answer(raw, piece[:1], False)
    copy.more(piece[1:])
    assert counted(house) == {"sent": 1, place: 1}
    ((route, service, reason, _, request, identity),) = house.told
    assert (route, service, reason, request) == ("r", "next", place, "GET /") and len(identity) == 20
    finish(house, asker)


def test_differences_are_told_once_a_second_and_route():
    house = mirrored()
    for _ in range(5):
        _, copy = served(house, HEAD, piece=b"")
        if copy.at == "opening":
            copy.connect()
        copy.answer(OTHER, piece=b"")
    assert counted(house) == {"sent": 5, "status": 5}
    assert house.told == [
        ("r", "next", "status", "status: expected 200, came 500", "HEAD /a/b", "77"),
    ]
    house.core.now += 1.0
    _, copy = served(house)
    copy.answer(OTHER)
    assert len(house.told) == 2
    finish(house)


def test_a_share():
    house = mirrored(mirror={"share": 0.25})
    for _ in range(400):
        _, copy = served(house)
        if copy is not None:
            if copy.at == "opening":
                copy.connect()
            copy.answer()
    assert 70 < counted(house)["sent"] < 130 and counted(house).keys() == {"sent"}
    house = mirrored(mirror={"share": 0.0})
    assert served(house)[1] is None and counted(house) == {}


def test_bodies_are_sent_again():
    house = mirrored(retry=RetryPlan(replay=0))
    asker = house.ask(LENGTH % 6, b"123", False)
    house.opened[0].connect()
    asker.exchange.take_body(b"456", True, b"")
    house.opened[0].answer()
    house.opened[1].connect()
    assert house.opened[1].starts[0].endswith(b"x-mirror: 1\r\n\r\n123456")
    assert b"Content-Length: 6\r\n" in house.opened[1].starts[0]
    house.opened[1].answer()
    asker = house.ask(PUT, b"123", False)
    asker.exchange.take_body(b"4", False, b"")
    asker.exchange.take_body(b"5", True, b"A: b\r\n")
    house.opened[0].answer()
    assert house.opened[1].out.endswith(b"\r\n\r\n5\r\n12345\r\n0\r\nA: b\r\n\r\n")
    house.opened[1].answer()
    assert counted(house) == {"sent": 2}
    finish(house)


def test_bodies_that_are_too_large_are_not():
    house = mirrored(mirror={"max_body": 4})
    _, copy = served(house, LENGTH % 5, b"12345", True)
    assert copy is None and counted(house) == {"skipped": 1}
    _, copy = served(house, PUT, b"12345", True)
    assert copy is None and counted(house) == {"skipped": 2}
    _, copy = served(house, PUT, b"1234", True)
    assert copy is not None
    copy.connect()
    assert copy.starts[0].endswith(b"4\r\n1234\r\n0\r\n\r\n")
    copy.answer(piece=b"no")
    assert counted(house) == {"sent": 1, "skipped": 2, "body": 1}
    _, copy = served(house, piece=b"12345")
    copy.answer(OTHER, piece=b"other")
    assert counted(house)["status"] == 1, "of an answer that is too large all but the body is compared"
    finish(house)


def test_no_bodies():
    house = mirrored(mirror={"max_body": 0})
    _, copy = served(house)
    copy.connect()
    copy.answer(piece=b"no")
    assert counted(house) == {"sent": 1}
    assert served(house, PUT, b"1", True)[1] is None
    _, copy = served(house, PUT, b"", True)
    copy.answer()
    assert counted(house) == {"sent": 2, "skipped": 1}
    finish(house)


def test_what_is_not_copied():
    house = mirrored(retry=RetryPlan(attempts=0))
    asker = house.ask(UPGRADE)
    house.opened[0].connect()
    house.opened[0].answer()
    assert counted(house) == {}
    gone = house.ask()
    gone.exchange.client_gone()
    refused = house.ask()
    house.opened[-1].refuse()
    assert refused.answer == 502
    broken = house.ask()
    house.opened[-1].connect()
    house.opened[-1].answer(piece=b"o", last=False)
    house.opened[-1].lose()
    early = house.ask(LENGTH % 5, b"123", False)
    house.opened[-1].connect()
    house.opened[-1].answer(OTHER, reusable=False)
    assert early.answer == 500, "answered before the request ended"
    assert counted(house) == {"skipped": 4} and not house.copies.active
    finish(house, asker, gone, refused, broken, early)


def test_a_copy_is_not_copied_again():
    house = mirrored()
    asker, copy = served(house, b"GET / HTTP/1.1\r\nHost: a\r\nX-Mirror: 1\r\n\r\n")
    assert copy is None and counted(house) == {}
    finish(house, asker)


def test_no_server_is_asked_where_lb_answers_itself():
    house = House(
        plan(respond=RespondPlan(), more=(ServicePlan("next"),), mirror=MirrorPlan("next", slot=MIRROR))
    )
    asker = house.ask()
    assert asker.answer == 200 and counted(house) == {}
    house.clean(asker)


def test_the_answer_of_the_last_try_is_what_counts():
    house = mirrored(retry=RetryPlan(attempts=1, on=("503",), backoff=0.0))
    asker = house.ask()
    house.opened[0].connect()
    house.opened[0].answer(b"HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\n", reusable=False)
    house.opened[1].connect()
    assert not house.copies.active
    house.opened[1].answer()
    house.opened[2].connect()
    house.opened[2].answer()
    assert counted(house) == {"sent": 1}
    finish(house, asker)


def test_a_copy_is_tried_once():
    house = mirrored(next_servers=2, retry=RetryPlan(attempts=3, on=("connect", "reset", "503")))
    _, copy = served(house)
    copy.refuse()
    _, copy = served(house)
    copy.connect()
    copy.lose()
    _, copy = served(house)
    copy.connect()
    copy.answer(b"HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\n")
    assert counted(house) == {"sent": 3, "failed": 2, "status": 1}
    assert house.cells.get(ROUTE + layout.ROUTE_RETRIES) == 0
    finish(house)


def test_a_connection_that_went_stale_is_no_failure():
    house = mirrored()
    _, copy = served(house)
    copy.connect()
    copy.answer()
    _, copy = served(house)
    assert copy.served == 2
    copy.lose()
    house.opened[-1].connect()
    house.opened[-1].answer()
    assert counted(house) == {"sent": 2}
    finish(house)


@pytest.mark.parametrize("when", ["opening", "head", "body"])
def test_a_service_that_hangs(when):
    house = mirrored(timeout=TimeoutPlan(connect=2.0, response=5.0, idle=3.0))
    asker, copy = served(house)
    if when != "opening":
        copy.connect()
    if when == "body":
        copy.answer(piece=b"o", last=False)
    house.core.now += 1.0
    house.copies.check(house.core.now)
    assert counted(house) == {"sent": 1, "in flight": 1}
    house.core.now += 6.0
    house.copies.check(house.core.now)
    assert copy.at == "closed" and counted(house) == {"sent": 1, "failed": 1}
    finish(house, asker)


def test_a_copy_has_a_minute_where_the_route_has_no_limit():
    house = mirrored(timeout=TimeoutPlan(response=0.0, idle=0.0))
    _, copy = served(house)
    copy.connect()
    copy.answer(piece=b"o", last=False)
    house.core.now += 59.0
    house.copies.check(house.core.now)
    assert house.copies.active
    house.core.now += 1.5
    house.copies.check(house.core.now)
    assert counted(house) == {"sent": 1, "failed": 1}
    house = mirrored(timeout=TimeoutPlan(total=2.0))
    served(house)
    house.core.now += 2.5
    house.copies.check(house.core.now)
    assert counted(house)["failed"] == 1
    finish(house)


def test_a_service_without_a_server():
    house = mirrored(next_servers=0)
    asker, copy = served(house)
    assert copy is None and counted(house) == {"sent": 1, "failed": 1}
    finish(house, asker)
    house = mirrored()
    house.registry.set_states([StatePlan("next", "n0:1", usable=False)], whole=False)
    house.snapshot.services["next"].refresh()
    served(house)
    assert counted(house) == {"sent": 1, "failed": 1}


def test_copies_wait_for_a_connection_and_leave_the_queue():
    house = mirrored(queue=ConnectionsPlan(max_per_server=1, queue=1, queue_timeout=5.0))
    sides = []
    for _ in range(3):
        served(house)
        sides = [copy.side for copy in house.copies.active]
    assert counted(house) == {"sent": 3, "failed": 1, "in flight": 2}, "one runs, one waits"
    sides[0].connect()
    sides[0].answer()
    (copy,) = house.copies.active
    copy.side.answer()
    served(house)
    served(house)
    house.core.now += 6.0
    house.copies.check(house.core.now)
    assert counted(house) == {"sent": 5, "failed": 2, "in flight": 1}, "the one that waited gave up"
    (copy,) = house.copies.active
    copy.side.answer()
    finish(house)


def test_no_more_than_so_many_at_a_time():
    house = mirrored()
    for _ in range(MOST + 3):
        served(house)
    assert counted(house) == {"sent": MOST, "in flight": MOST, "skipped": 3}
    for copy in list(house.copies.active):
        copy.side.connect()
        copy.side.answer()
    served(house)
    assert counted(house)["sent"] == MOST + 1
    for copy in list(house.copies.active):
        copy.side.answer()
    assert len(house.copies.spare) == MOST, "used again"
    finish(house)


def test_none_while_the_worker_drains():
    house = mirrored()
    house.core.draining = True
    assert served(house)[1] is None and counted(house) == {"skipped": 1}


def test_the_copy_is_changed_as_the_request_is():
    house = mirrored(
        rewrite=RewritePlan(strip_prefix="/a", host="server"),
        request_headers=HeaderEditsPlan(
            set=(("x-mirror", "no"), ("x-path", "${path}")),
            add=(("x-mirror", "no"),),
            remove=("x-request-id",),
        ),
    )
    _, copy = served(house, b"GET /a/b HTTP/1.1\r\nHost: a\r\n\r\n")
    copy.connect()
    (sent,) = copy.starts
    assert (
        sent.startswith(b"GET /b HTTP/1.1\r\n") and b"Host: n0:1\r\n" in sent and b"x-path: /a/b\r\n" in sent
    )
    assert sent.lower().count(b"x-mirror") == 1 and sent.endswith(b"x-mirror: 1\r\n\r\n")
    copy.answer()
    finish(house)


def test_a_client_behind_a_trusted_proxy():
    house = mirrored()
    raw = b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 198.51.100.7\r\n\r\n"
    _, copy = served(house, raw, b"", True, True)
    copy.connect()
    assert b"X-Forwarded-For: 198.51.100.7, 192.0.2.1\r\n" in copy.starts[0]
    copy.answer()


def test_an_interim_answer_of_the_second_service_goes_nowhere():
    house = mirrored()
    asker, copy = served(house)
    copy.connect()
    copy.answer(b"HTTP/1.1 103 Early\r\n\r\n")
    copy.answer()
    assert counted(house) == {"sent": 1} and len(asker.said) == 1
    finish(house, asker)


def test_a_bug_in_comparing_reaches_no_client(monkeypatch):
    house = mirrored()
    reported = []
    house.core.report = reported.append
    monkeypatch.setattr("lb.proxy.copies.compare", lambda *_: 1 / 0)
    asker, copy = served(house)
    copy.connect()
    copy.answer()
    assert [type(error) for error in reported] == [ZeroDivisionError]
    finish(house, asker)


def test_a_bug_in_sending_reaches_no_client():
    house = mirrored()
    reported = []
    house.core.report = reported.append
    house.core.mirror = lambda mirror: 1 / 0
    asker = house.ask()
    house.opened[0].connect()
    house.opened[0].answer()
    assert [type(error) for error in reported] == [ZeroDivisionError]
    house.clean(asker)


def test_a_reload_while_a_copy_is_under_way():
    house = mirrored()
    asker, copy = served(house)
    house.publish(plan(servers=("a:1",), generation=2))
    copy.connect()
    copy.answer(OTHER)
    assert counted(house) == {"sent": 1, "status": 1}
    finish(house, asker)


moves = st.lists(
    st.sampled_from(["ask", "connect", "answer", "part", "more", "lose", "refuse", "gone", "wait", "reload"]),
    max_size=40,
)


@given(moves, st.randoms(use_true_random=False))
def test_in_any_order_nothing_leaks(order, rng):
    house = mirrored(queue=ConnectionsPlan(max_per_server=2, queue=2, queue_timeout=3.0), next_servers=2)
    askers = []
    generation = 1
    for move in order:
        sides = [s for s in house.opened if s.exchange is not None]
        fit = {
            "connect": [s for s in sides if s.at == "opening"],
            "refuse": [s for s in sides if s.at == "opening"],
            "answer": [s for s in sides if s.at == "head"],
            "part": [s for s in sides if s.at == "head"],
            "more": [s for s in sides if s.at == "body"],
            "lose": [s for s in sides if s.at in ("head", "body")],
        }.get(move, [None])
        if not fit:
            continue
        side = rng.choice(fit)
        if move == "ask":
            askers.append(house.ask(*rng.choice([(GET,), (PUT, b"12", True), (HEAD,)])))
        elif move == "gone":
            for asker in askers:
                if asker.exchange is not None:
                    asker.gone = True
                    asker.exchange.client_gone()
                    break
        elif move == "wait":
            house.later(1.0, *askers)
            house.copies.check(house.core.now)
        elif move == "reload":
            generation += 1
            house.publish(house.snapshot.plan.__class__(generation, *_rest(house.snapshot.plan)))
        elif move == "connect":
            side.connect()
        elif move == "refuse":
            side.refuse()
        elif move == "answer":
            side.answer(rng.choice([OTHER, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"]))
        elif move == "part":
            side.answer(piece=b"o", last=False)
        elif move == "more":
            side.more(b"k")
        else:
            side.lose()
    for timer in list(house.timers):
        timer.fire()
    for _ in range(3):
        house.later(70.0, *askers)
        house.copies.check(house.core.now)
    for timer in list(house.timers):
        timer.fire()
    house.later(70.0, *askers)
    house.copies.check(house.core.now)
    finish(house, *askers)
    found = counted(house)
    ended = sum(found.get(name, 0) for name in ("status", "header", "body", "failed"))
    assert ended <= found.get("sent", 0)
    assert found.get("sent", 0) + found.get("skipped", 0) == len(askers)


def _rest(plan):
    return plan.listeners, plan.routes, plan.services, plan.access_log
