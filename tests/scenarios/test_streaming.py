"""Streaming both ways with back-pressure: never a whole body in memory, and no event held back."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from .harness import Exchange, Scenario, chunked, eventually

MIB = 1024 * 1024
BIG = 256 * MIB
PIECE = bytes(range(256)) * 4096  # 1 MiB
ENOUGH = 64 * MIB  # what kernels and lb may hold between two ends; far below BIG
OK = b"HTTP/1.1 200 OK\r\n"


@pytest.fixture(scope="module")
def shared() -> Iterator[Scenario]:
    with Scenario() as s:
        s.get("/warm")
        yield s


@pytest.fixture
def s(shared: Scenario) -> Iterator[Scenario]:
    shared.reset()
    yield shared
    shared.reset()


def stalls(count: Callable[[], int], for_seconds: float = 0.7) -> int:
    """Wait until a growing count stands still; its value then."""
    last, since = count(), time.monotonic()

    def still() -> bool:
        nonlocal last, since
        if (now := count()) != last:
            last, since = now, time.monotonic()
        return last > 0 and time.monotonic() - since > for_seconds

    eventually(still, within=30, because="the sender never stalled")
    return last


def send_big(x: Exchange, framing: str) -> None:
    if framing == "length":
        x.send(OK + b"Content-Length: %d\r\n\r\n" % BIG)
    elif framing == "chunked":
        x.send(OK + b"Transfer-Encoding: chunked\r\n\r\n")
    else:
        x.send(OK + b"\r\n")
    x.wire.sock.settimeout(60)
    for _ in range(BIG // MIB):
        view = memoryview(PIECE if framing != "chunked" else b"100000\r\n" + PIECE + b"\r\n")
        while view:
            n = x.wire.sock.send(view)
            x.wire.sent += n
            view = view[n:]
    if framing == "chunked":
        x.send(b"0\r\n\r\n")
    if framing == "close":
        x.close()


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_a_client_that_does_not_read_stops_the_server(s: Scenario, framing: str) -> None:
    s.a.behaviour = lambda x: send_big(x, framing)
    before = s.lb.rss()
    with s.client() as c:
        c.send_request("GET", "/big")
        eventually(lambda: s.a.exchanges)
        sent = stalls(lambda: s.a.last().sent)
        assert sent < ENOUGH, f"the server could send {sent} of {BIG} bytes that nobody read"
        assert s.lb.rss() - before < 16 * MIB, "lb keeps what the client does not read"
        # and then it reads, and everything is there
        expected = hashlib.sha256()
        for _ in range(BIG // MIB):
            expected.update(PIECE)
        response = c.recv_response()
        assert hashlib.sha256(response.body).digest() == expected.digest()
        assert s.lb.rss() - before < 24 * MIB


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_server_that_does_not_read_stops_the_client(s: Scenario, framing: str) -> None:
    s.a.take_over()
    before = s.lb.rss()
    with s.client() as c:
        c.sock.settimeout(60)

        def upload() -> None:
            if framing == "length":
                c.send_request("POST", "/big", {"Content-Length": str(BIG)})
            else:
                c.send_request("POST", "/big", {"Transfer-Encoding": "chunked"})
            c.sock.settimeout(60)
            for _ in range(BIG // MIB):
                view = memoryview(PIECE if framing == "length" else b"100000\r\n" + PIECE + b"\r\n")
                while view:
                    n = c.sock.send(view)
                    c.sent += n
                    view = view[n:]
            if framing == "chunked":
                c.sock.sendall(b"0\r\n\r\n")

        thread = threading.Thread(target=upload, daemon=True)
        thread.start()
        x = s.a.next_request()
        sent = stalls(lambda: c.sent)
        assert sent < ENOUGH, f"the client could send {sent} of {BIG} bytes that nobody read"
        assert s.lb.rss() - before < 16 * MIB, "lb keeps what the server does not read"
        body = x.body()
        thread.join(30)
        assert body == PIECE * (BIG // MIB)
        x.respond(b"thanks")
        x.finish()
        assert c.recv_response().body == b"thanks"


def test_one_slow_client_does_not_hold_up_others(s: Scenario) -> None:
    def serve(x: Exchange) -> None:
        if x.target == "/big":
            send_big(x, "length")
        else:
            x.respond(b"quick")

    s.a.behaviour = serve
    with s.client() as slow:
        slow.send_request("GET", "/big")
        eventually(lambda: s.a.exchanges)
        stalls(lambda: s.a.exchanges[0].sent)
        started = time.monotonic()
        for _ in range(50):
            assert s.get("/quick").body == b"quick"
        assert time.monotonic() - started < 5


def test_server_sent_events_arrive_event_by_event(s: Scenario) -> None:
    s.a.take_over()
    with s.client() as c:
        c.send_request("GET", "/events", {"Accept": "text/event-stream"})
        x = s.a.next_request()
        x.send(OK + b"Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        head = c.recv_response_head()
        assert head.get("content-type") == "text/event-stream"
        for n in range(5):
            event = b"data: %d\n\n" % n
            x.send(b"%x\r\n%s\r\n" % (len(event), event))
            assert c.recv_chunk() == event
            assert c.pending == b""
        x.send(b"0\r\n\r\n")
        x.finish()
        assert c.recv_chunk() == b""


def test_events_without_framing_arrive_event_by_event(s: Scenario) -> None:
    s.a.take_over()
    with s.client() as c:
        c.send_request("GET", "/events")
        x = s.a.next_request()
        x.send(OK + b"Content-Type: text/event-stream\r\n\r\n")
        assert c.recv_response_head().head.framing() == "chunked"
        for n in range(5):
            x.send(b"data: %d\n\n" % n)
            assert c.recv_chunk() == b"data: %d\n\n" % n
        x.close()
        assert c.recv_chunk() == b""


def test_bytes_of_a_length_arrive_as_they_come(s: Scenario) -> None:
    s.a.take_over()
    with s.client() as c:
        c.send_request("GET", "/drip")
        x = s.a.next_request()
        x.send(OK + b"Content-Length: 5\r\n\r\n")
        assert c.recv_response_head().status == 200
        for byte in b"hello":
            x.send(bytes([byte]))
            assert c.recv_exactly(1) == bytes([byte])
        x.finish()


def test_bytes_of_an_upload_arrive_as_they_come(s: Scenario) -> None:
    s.a.take_over()
    with s.client() as c:
        c.send_request("POST", "/drip", {"Transfer-Encoding": "chunked"})
        x = s.a.next_request()
        for n in range(5):
            c.send(b"3\r\nab%d\r\n" % n)
            assert x.wire.recv_chunk() == b"ab%d" % n
        c.send(b"0\r\n\r\n")
        assert x.wire.recv_until(b"\r\n\r\n") == b"0\r\n\r\n"
        x.respond(b"done")
        x.close()
        assert c.recv_response().body == b"done"


def test_answer_and_request_flow_at_the_same_time(s: Scenario) -> None:
    """A ping-pong in one exchange: each side speaks only after it has heard the other."""
    s.a.take_over()
    with s.client() as c:
        c.send_request("POST", "/talk", {"Transfer-Encoding": "chunked"})
        x = s.a.next_request()
        x.send(OK + b"Transfer-Encoding: chunked\r\n\r\n")
        assert c.recv_response_head().status == 200
        for n in range(20):
            c.send(b"2\r\n%02d\r\n" % n)
            assert x.wire.recv_chunk() == b"%02d" % n
            x.send(b"3\r\n%03d\r\n" % n)
            assert c.recv_chunk() == b"%03d" % n
        c.send(b"0\r\n\r\n")
        x.send(b"0\r\n\r\n")
        assert c.recv_chunk() == b""
        x.close()


def test_hundreds_of_slow_uploads_at_once(s: Scenario) -> None:
    """Memory for each is bounded; all come whole."""
    before = s.lb.rss()
    clients = []
    for n in range(300):
        c = s.client()
        c.send_request("POST", f"/{n}", {"Transfer-Encoding": "chunked"})
        c.send(b"5\r\nhello\r\n")
        clients.append(c)
    for c in clients:
        c.send(chunked(b"world"))
    for c in clients:
        assert c.recv_response().body.endswith(b"\r\n\r\nhelloworld")
        c.close()
    assert s.lb.rss() - before < 64 * MIB


# -- a client that goes away
@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("when", ["before the answer", "within the answer"])
def test_a_client_that_goes_away_cancels_its_exchange(s: Scenario, when: str, how: str) -> None:
    s.a.take_over()
    c = s.client()
    c.send_request("GET", f"/gone-{when[:6]}-{how}")
    x = s.a.next_request()
    if when == "within the answer":
        x.send(OK + b"Content-Length: 10\r\n\r\nhello")
        c.recv_until(b"hello")
    getattr(c, how)()
    assert x.dropped(timeout=5), "the server still works for a client that has gone"
    assert s.log_entry(f"/gone-{when[:6]}-{how}")["flag"] == "CD"
