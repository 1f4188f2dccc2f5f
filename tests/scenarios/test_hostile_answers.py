"""What a server says is not trusted more than what a client says."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .harness import Broken, Exchange, Scenario, answer
from .tables import answers

SERVICE = """
listeners: [{name: web, bind: "$web"}]
services: {app: ["$a"]}
routes:
  - {name: all, match: {path_prefix: /}, service: app, timeout: {response: 5s, idle: 5s}}
"""


@pytest.fixture(scope="module")
def shared() -> Iterator[Scenario]:
    with Scenario(SERVICE) as s:
        yield s


@pytest.fixture
def s(shared: Scenario) -> Iterator[Scenario]:
    shared.reset()
    yield shared
    shared.reset()


def say_in(feed: str, raw: bytes, then: str):
    """A server that says `raw` whole, in halves or byte by byte."""

    def behave(x: Exchange) -> None:
        x.body()
        n = len(raw)
        if feed == "whole" or n < 2:
            pieces = [raw]
        elif feed == "in two" or n > 1000:
            pieces = [raw[: n // 2], raw[n // 2 :]]
        else:
            pieces = [raw[i : i + 1] for i in range(n)]
        try:
            for piece in pieces:
                x.send(piece)
        except OSError:
            return  # lb has hung up, as it should
        if then:
            x.close() if then == "close" else x.reset()
        else:
            x.dropped(timeout=5)

    return behave


def serves_on(s: Scenario) -> None:
    """The next request gets its own answer."""
    s.reset()
    response = s.get("/next")
    assert response.status == 200
    assert response.seen_by_server().start == b"GET /next HTTP/1.1"


@pytest.mark.parametrize("feed", ["whole", "in two", "byte by byte"])
@pytest.mark.parametrize(("raw", "then"), [c[1:] for c in answers.BAD], ids=[c[0] for c in answers.BAD])
def test_a_malformed_answer_is_502(s: Scenario, raw: bytes, then: str, feed: str) -> None:
    s.a.behaviour = say_in(feed, raw, then)
    response = s.get("/bad")
    assert response.status == 502, response.head.raw
    assert s.a.exchanges
    for x in s.a.exchanges:
        assert x.dropped(), "the server connection was kept"
    serves_on(s)


@pytest.mark.parametrize("feed", ["whole", "in two", "byte by byte"])
@pytest.mark.parametrize(("raw", "then"), [c[1:] for c in answers.BROKEN], ids=[c[0] for c in answers.BROKEN])
def test_an_answer_that_breaks_off_never_looks_complete(
    s: Scenario, raw: bytes, then: str, feed: str
) -> None:
    s.a.behaviour = say_in(feed, raw, then)
    with s.client() as c:
        c.send_request("GET", "/broken")
        try:
            response = c.recv_response()
        except Broken:
            assert c.received.startswith(b"HTTP/1.1 200 ")
        else:
            assert response.status == 502, f"looks complete: {bytes(c.received)!r}"
    for x in s.a.exchanges:
        assert x.dropped(), "the server connection was kept"
    serves_on(s)


@pytest.mark.parametrize(
    ("method", "raw"), [c[1:] for c in answers.SURPLUS], ids=[c[0] for c in answers.SURPLUS]
)
def test_surplus_bytes_never_answer_the_next_request(s: Scenario, method: str, raw: bytes) -> None:
    s.a.behaviour = say_in("whole", raw, "")
    with s.client() as c:
        response = c.request(method, "/surplus")
        assert response.status in (200, 204, 304, 502)
        assert b"poison" not in response.body
    assert s.a.last().dropped(), "a connection with bytes nobody asked for was kept"
    serves_on(s)


def test_bytes_on_an_idle_server_connection_drop_it(s: Scenario) -> None:
    assert s.get("/one").status == 200
    x = s.a.last()
    x.send(answers.POISON)
    assert x.dropped()
    serves_on(s)


def test_an_answer_without_a_request_is_never_used(s: Scenario) -> None:
    """The server answers twice, the second time while the connection is idle."""
    s.a.take_over()
    with s.client() as c:
        c.send_request("GET", "/one")
        x = s.a.next_request()
        x.respond(b"one")
        assert c.recv_response().body == b"one"
        x.send(answers.POISON)
        assert x.dropped()
    serves_on(s)


def test_white_space_before_a_colon_is_never_passed_on(s: Scenario) -> None:
    """RFC 9112 5.1: a proxy removes it from an answer; refusing the answer is as safe."""
    s.a.behaviour = answer(b"HTTP/1.1 200 OK\r\nX-A : b\r\nContent-Length: 5\r\n\r\nhello")
    response = s.get("/space")  # the strict reader of the harness fails on white space
    assert response.status == 502 or response.get("x-a") == "b"


def test_a_204_with_a_length_goes_out_without_one(s: Scenario) -> None:
    """RFC 9110 8.6: no Content-Length in a 204."""
    s.a.behaviour = answer(b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n")
    response = s.get("/204")
    assert response.status in (204, 502)


def test_endless_interim_answers_come_to_an_end(s: Scenario) -> None:
    def forever(x: Exchange) -> None:
        try:
            while True:
                x.send(b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n")
        except OSError:
            pass

    s.a.behaviour = forever
    with s.client() as c:
        c.send_request("GET", "/endless")
        try:
            while (response := c.recv_response_head()).status < 200:
                assert len(c.received) < 50_000_000, "it goes on for ever"
            assert response.status in (502, 504)
        except Broken:
            pass
    assert s.a.last().dropped()


def test_lb_still_serves_after_all_that(s: Scenario) -> None:
    serves_on(s)
    assert "Traceback" not in s.lb.said()
