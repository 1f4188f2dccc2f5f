"""Requests of every legal kind (RFC 9110, RFC 9112) through lb with its defaults."""

from __future__ import annotations

import pytest

from .harness import Broken, Scenario, answer, chunked
from .harness.wire import parse_head

REQUEST = b"GET %s HTTP/1.1\r\nHost: example.test\r\n\r\n"


# -- connections
def test_a_connection_is_kept_for_the_next_request(front: Scenario) -> None:
    with front.client() as c:
        for n in range(20):
            response = c.get(f"/{n}")
            assert response.status == 200
            assert response.seen_by_server().start == b"GET /%d HTTP/1.1" % n
            assert "close" not in response.head.tokens("connection")


def test_connection_close_is_honoured(front: Scenario) -> None:
    with front.client() as c:
        response = c.get("/", {"Connection": "close"})
        assert "close" in response.head.tokens("connection")
        assert c.closed()


def test_connection_close_among_other_options_is_honoured(front: Scenario) -> None:
    with front.client() as c:
        c.get("/", {"Connection": "x-one , CLOSE,x-two"})
        assert c.closed()


def test_pipelined_requests_are_answered_in_order(front: Scenario) -> None:
    with front.client() as c:
        c.send(b"".join(REQUEST % (b"/%d" % n) for n in range(50)))
        for n in range(50):
            assert c.recv_response().seen_by_server().start == b"GET /%d HTTP/1.1" % n


def test_pipelined_requests_with_bodies_are_answered_in_order(front: Scenario) -> None:
    with front.client() as c:
        parts = []
        for n in range(10):
            body = b"%d" % n * (n * 1000)
            parts.append(c.compose("POST", f"/{n}", None, body))
            parts.append(c.compose("PUT", f"/{n}", {"Transfer-Encoding": "chunked"}) + chunked(body))
        c.send(b"".join(parts))
        for n in range(10):
            for method in ("POST", "PUT"):
                response = c.recv_response()
                assert response.seen_by_server().start == b"%s /%d HTTP/1.1" % (method.encode(), n)
                assert response.body.endswith(b"\r\n\r\n" + b"%d" % n * (n * 1000))


def test_a_pipelined_request_waits_for_the_answer_before_it(front: Scenario) -> None:
    front.a.take_over()
    with front.client() as c:
        c.send(REQUEST % b"/slow" + REQUEST % b"/fast")
        slow = front.a.next_request()
        assert slow.target == "/slow"
        assert c.silent()
        slow.respond(b"slow")
        slow.finish()
        assert c.recv_response().body == b"slow"
        fast = front.a.next_request()
        assert fast.target == "/fast"
        fast.respond(b"fast")
        fast.finish()
        assert c.recv_response().body == b"fast"


def test_a_client_that_ends_its_side_gets_a_whole_answer_or_none(front: Scenario) -> None:
    """On the wire a half-close looks like going away, and "a client that goes away cancels its exchange";
    RFC 9112 9.3 has no half-closed requests. What must not be: half an answer, or an exchange that nobody
    waits for."""
    with front.client() as c:
        c.send_request("GET", "/half")
        c.half_close()
        try:
            assert c.recv_response().status == 200
        except Broken:
            assert c.received == b""
        assert c.closed()


def test_the_request_after_connection_close_is_not_served(front: Scenario) -> None:
    with front.client() as c:
        c.send(c.compose("GET", "/last", {"Connection": "close"}) + REQUEST % b"/never")
        assert c.recv_response().status == 200
        assert c.closed()
    assert "/never" not in [x.target for x in front.a.exchanges]


def test_an_empty_line_between_requests_is_ignored(front: Scenario) -> None:
    with front.client() as c:
        c.send(REQUEST % b"/one" + b"\r\n" + REQUEST % b"/two")
        assert c.recv_response().status == 200
        assert c.recv_response().status == 200


# -- HTTP/1.0
def test_http_1_0_is_answered_and_closed(front: Scenario) -> None:
    with front.client() as c:
        c.send(b"GET /old HTTP/1.0\r\nHost: example.test\r\n\r\n")
        response = c.recv_response()
        assert response.status == 200
        assert response.head.start.startswith(b"HTTP/1.1 ")  # RFC 9110 6.2: lb's own version
        assert c.closed()
    seen = front.a.last()
    assert seen.version == "HTTP/1.1"
    assert seen.head.get("host") == "example.test"


def test_http_1_0_with_keep_alive_is_kept(front: Scenario) -> None:
    with front.client() as c:
        for n in range(2):
            c.send(b"GET /%d HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n" % n)
            response = c.recv_response()
            assert "keep-alive" in response.head.tokens("connection")


def test_http_1_0_never_gets_chunks(front: Scenario) -> None:
    """RFC 9112 6.1: no transfer-encoding to HTTP/1.0; the body ends with the connection."""
    front.a.behaviour = answer(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"hello", b" world")
    )
    with front.client() as c:
        c.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        response = c.recv_response()
        assert response.get("transfer-encoding") is None
        assert response.body == b"hello world"
        assert c.closed()


def test_http_1_0_with_a_body(front: Scenario) -> None:
    with front.client() as c:
        c.send(b"POST / HTTP/1.0\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")
        assert c.recv_response().body.endswith(b"\r\n\r\nhello")


# -- methods and targets
@pytest.mark.parametrize(
    "method", ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "BREW"]
)
def test_every_method_is_passed_on(front: Scenario, method: str) -> None:
    response = front.request(method, "/m?q=1")
    assert response.seen_by_server().start == f"{method} /m?q=1 HTTP/1.1".encode()


def test_head_has_the_head_and_no_body(front: Scenario) -> None:
    front.a.behaviour = answer(b"HTTP/1.1 200 OK\r\nContent-Length: 1234\r\nX-A: b\r\n\r\n")
    with front.client() as c:
        for _ in range(2):
            response = c.request("HEAD", "/")
            assert (response.status, response.get("content-length"), response.get("x-a")) == (
                200,
                "1234",
                "b",
            )


def test_head_of_a_chunked_answer(front: Scenario) -> None:
    front.a.behaviour = answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    with front.client() as c:
        for _ in range(2):
            assert c.request("HEAD", "/").status == 200


def test_absolute_form_decides_the_host(front: Scenario) -> None:
    """RFC 9112 3.2.2: the authority of the target replaces Host."""
    with front.client() as c:
        c.send(b"GET http://Real.test:8080/a?b HTTP/1.1\r\nHost: ignored.test\r\n\r\n")
        seen = c.recv_response().seen_by_server()
    assert seen.start == b"GET /a?b HTTP/1.1"
    assert str(seen.get("host")).lower() == "real.test:8080"


def test_options_asterisk(front: Scenario) -> None:
    response = front.request("OPTIONS", "*")
    assert response.status == 200
    assert response.seen_by_server().start == b"OPTIONS * HTTP/1.1"


def test_options_absolute_without_a_path_is_the_asterisk(front: Scenario) -> None:
    """RFC 9112 3.2.4: the last proxy sends "*" for an absolute OPTIONS target without path and query."""
    response = front.request("OPTIONS", "http://example.test")
    assert response.seen_by_server().start == b"OPTIONS * HTTP/1.1"


@pytest.mark.parametrize("target", ["example.test:443", "127.0.0.1:22", "[::1]:443"])
def test_connect_is_405_and_closed(front: Scenario, target: str) -> None:
    with front.client() as c:
        response = c.request("CONNECT", target, {"Host": target})
        assert response.status == 405
        assert c.closed()
    assert front.a.exchanges == []


def test_405_says_what_is_allowed(front: Scenario) -> None:
    """RFC 9110 15.5.6: Allow MUST be there."""
    response = front.request("CONNECT", "example.test:443", {"Host": "example.test:443"})
    assert response.get("allow") is not None


# -- bodies
@pytest.mark.parametrize("size", [0, 1, 100, 65_535, 65_536, 1_000_000])
def test_a_body_with_a_length(front: Scenario, size: int) -> None:
    body = bytes(range(256)) * (size // 256 + 1)
    response = front.request("POST", "/", body=body[:size])
    assert response.status == 200
    x = front.a.last()
    assert x.body() == body[:size]
    assert x.head.get("content-length") == str(size)


def test_a_chunked_body_with_extensions_and_trailers(front: Scenario) -> None:
    with front.client() as c:
        c.send_request("POST", "/", {"Transfer-Encoding": "chunked", "Trailer": "x-sum"})
        c.send(b'3;a=b\r\nabc\r\n4;c="d e"\r\ndefg\r\n0;e\r\nX-Sum: 42\r\n\r\n')
        assert c.recv_response().status == 200
    x = front.a.last()
    assert x.head.get("transfer-encoding") == "chunked"
    assert x.body() == b"abcdefg"
    assert x.received_body is not None
    assert (b"x-sum", b"42") in [(k.lower(), v) for k, v in x.received_body.trailers]
    assert b";a=b" not in x.wire.received  # RFC 9112 7.1.1: extensions are for one hop


def test_trailers_never_become_header_fields(front: Scenario) -> None:
    """RFC 9110 6.5.1: merging could change framing, routing or authentication."""
    with front.client() as c:
        c.send_request("POST", "/", {"Transfer-Encoding": "chunked"})
        c.send(
            chunked(
                b"hello",
                trailer=b"Host: evil.test\r\nContent-Length: 3\r\nTransfer-Encoding: x\r\nX-Forwarded-For: 6.6.6.6\r\n",
            )
        )
        assert c.recv_response().status == 200
    x = front.a.last()
    assert x.body() == b"hello"
    assert x.head.get("host") == "example.test"
    assert x.head.get("content-length") is None
    assert "6.6.6.6" not in str(x.head.all("x-forwarded-for"))


def test_a_body_that_ends_early_never_looks_whole(front: Scenario) -> None:
    for raw in (b"Content-Length: 10\r\n\r\nhello", b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"):
        with front.client() as c:
            c.send(b"POST /short HTTP/1.1\r\nHost: a\r\n" + raw)
            c.half_close()
            c.recv_to_end()
        for x in front.a.exchanges:
            assert x.dropped()
            assert not x.complete


# -- Expect
def test_expect_100_continue(front: Scenario) -> None:
    front.a.take_over()
    with front.client() as c:
        c.send_request("POST", "/", {"Content-Length": "5", "Expect": "100-continue"})
        x = front.a.next_request()
        assert (
            x.head.get(
                "expect",
            )
            == "100-continue"
        )
        x.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert c.recv_response_head().status == 100
        c.send(b"hello")
        assert x.body() == b"hello"
        x.respond(b"done")
        x.finish()
        assert c.recv_response().body == b"done"


def test_expect_100_continue_with_a_server_that_says_no(front: Scenario) -> None:
    """The final answer comes in place of 100; the body is never sent, and the connections stay in step."""
    front.a.take_over()
    with front.client() as c:
        c.send_request("POST", "/big", {"Content-Length": "5", "Expect": "100-continue"})
        x = front.a.next_request()
        x.respond(b"too big", "413 Content Too Large")
        response = c.recv_response()
        assert (response.status, response.body) == (413, b"too big")
        if "close" not in response.head.tokens("connection"):
            # RFC 9110 10.1.1: a client may still send the body that it announced
            c.send(b"hello" + REQUEST % b"/next")
            assert x.body() == b"hello"
            x.finish()
            after = front.a.next_request()
            assert after.target == "/next"


def test_expect_100_continue_is_for_http_1_1_clients(front: Scenario) -> None:
    """RFC 9110 10.1.1: 100-continue of an HTTP/1.0 request is ignored, and 15.2: no 1xx to HTTP/1.0."""
    front.a.take_over()
    with front.client() as c:
        c.send(b"POST / HTTP/1.0\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello")
        x = front.a.next_request()
        x.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert x.body() == b"hello"
        x.respond(b"done")
        x.finish()
        response = c.recv_response()
        assert (response.status, response.interim) == (200, [])


def test_another_expectation_is_417(front: Scenario) -> None:
    with front.client() as c:
        assert c.request("POST", "/", {"Expect": "something-else"}, b"hello").status == 417
    assert front.a.exchanges == []


# -- what reaches the server
def test_header_lines_reach_the_server_as_they_were(front: Scenario) -> None:
    fields = [
        ("X-Order", "1"),
        ("x-order", "2"),
        ("Accept", "a, b;q=0.5"),
        ("Cookie", "a=b; c=d"),
        ("X-Latin", "caf\xe9"),
        ("X-Empty", ""),
    ]
    with front.client() as c:
        seen = c.get("/", [("Host", "example.test"), *fields]).seen_by_server()
    mine = [
        (k.decode(), v.decode("latin-1"))
        for k, v in seen.fields
        if (k.decode(), v.decode("latin-1")) in fields
    ]
    assert mine == fields


def test_the_server_gets_one_host_and_no_framing_for_a_get(front: Scenario) -> None:
    seen = front.get("/").seen_by_server()
    assert seen.all("host") == ["example.test"]
    assert seen.framing() is None


def test_a_request_reaches_the_server_byte_for_byte_valid(front: Scenario) -> None:
    front.get("/")
    raw = bytes(front.a.last().head.raw)
    assert parse_head(raw).start == b"GET / HTTP/1.1"
    assert b"\n" not in raw.replace(b"\r\n", b"")


def test_the_answer_may_come_before_the_body_is_sent(front: Scenario) -> None:
    front.a.take_over()
    with front.client() as c:
        c.send_request("POST", "/", {"Content-Length": "10"})
        c.send(b"hello")
        x = front.a.next_request()
        x.wire.recv_exactly(5)
        x.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nearly\r\n")
        assert c.recv_response_head().status == 200
        assert c.recv_chunk() == b"early"
        c.send(b"world")
        assert x.wire.recv_exactly(5) == b"world"
        x.send(chunked(b"late"))
        x.close()
        assert c.recv_chunked().data == b"late"


def test_a_client_that_resets_in_its_body_cancels_the_exchange(front: Scenario) -> None:
    front.a.take_over()
    c = front.client()
    c.send_request("POST", "/", {"Content-Length": "10"})
    c.send(b"hello")
    x = front.a.next_request()
    c.reset()
    with pytest.raises(Broken):
        x.body()
