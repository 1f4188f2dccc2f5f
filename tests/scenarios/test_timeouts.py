"""Every time-out has a status, a flag in the access log and a counter of its own."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator

import pytest

from .harness import Broken, Scenario, chunked, eventually

CONFIG = """
listeners:
  - {name: web, bind: "$web", limits: {header_timeout: 500ms, idle_timeout: 700ms, body_timeout: 1s, max_body: 100KiB}}
services: {app: ["$a"], full: ["$full"]}
routes:
  - {name: response, match: {path_prefix: /response}, service: app, timeout: {response: 1s}, retry: {attempts: 0}}
  - {name: total, match: {path_prefix: /total}, service: app, timeout: {total: 600ms, response: 10s, idle: 10s}}
  - {name: idle, match: {path_prefix: /idle}, service: app, timeout: {idle: 1s}}
  - {name: connect, match: {path_prefix: /connect}, service: full, timeout: {connect: 300ms}, retry: {attempts: 0}}
  - {name: all, match: {path_prefix: /}, service: app}
"""
OK = b"HTTP/1.1 200 OK\r\n"


def full_listener() -> tuple[str, list[socket.socket]]:
    """An address that accepts no more connections: its queue is full and nobody empties it."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    sockets = [listener]
    for _ in range(8):
        sock = socket.socket()
        sock.setblocking(False)
        sock.connect_ex(listener.getsockname())
        sockets.append(sock)
    return f"127.0.0.1:{listener.getsockname()[1]}", sockets


@pytest.fixture(scope="module")
def shared() -> Iterator[Scenario]:
    address, sockets = full_listener()
    with Scenario(CONFIG.replace("$full", address)) as s:
        yield s
    for sock in sockets:
        sock.close()


@pytest.fixture
def s(shared: Scenario) -> Iterator[Scenario]:
    shared.reset()
    shared.a.take_over()
    yield shared
    shared.reset()


def counts(s: Scenario, flag: str) -> float:
    """All samples that name this flag (or its outcome) in a label."""
    return s.lb.metric(rf'lb_.*"{flag}"')


def elapsed(since: float, at_least: float, at_most: float) -> None:
    took = time.monotonic() - since
    assert at_least <= took <= at_most, f"it took {took:.3f} s"


def test_the_head_does_not_come_to_an_end(s: Scenario) -> None:
    started = time.monotonic()
    with s.client() as c:
        c.send(b"GET /head HTTP/1.1\r\nHost: a\r\n")
        assert c.recv_response().status == 408
        assert c.closed()
    elapsed(started, 0.4, 3)


def test_a_head_that_took_too_long_is_logged(s: Scenario) -> None:
    with s.client() as c:
        c.send(b"GET /never-ends HTTP/1.1\r\nHost: a\r\n")
        assert c.recv_response().status == 408
    eventually(lambda: '"flag":"CT"' in s.log_text(), because="no line with CT")


def test_bytes_one_by_one_do_not_prolong_the_head(s: Scenario) -> None:
    """Slowloris (CVE-2007-6750): the deadline is for the whole head."""
    started = time.monotonic()
    with s.client() as c:
        c.send(b"GET /slow HTTP/1.1\r\nHost: a\r\n")
        while c.silent(0.1):
            c.send(b"A: b\r\n")
            assert time.monotonic() - started < 5
        assert c.recv_response().status == 408
    elapsed(started, 0.4, 3)


def test_a_silent_new_connection_is_closed(s: Scenario) -> None:
    """Nothing was asked: an answer is not needed; 408 is allowed."""
    with s.client() as c:
        left = c.recv_to_end(timeout=5)
        assert left == b"" or left.startswith(b"HTTP/1.1 408 ")


def test_an_idle_connection_is_closed_quietly(s: Scenario) -> None:
    with s.client() as c:
        c.send_request("GET", "/one")
        x = s.a.next_request()
        started = time.monotonic()
        x.respond(b"ok")
        x.finish()
        assert c.recv_response().body == b"ok"
        assert c.closed(timeout=5), (
            "an idle connection gets no 408 that the next request could take for its answer"
        )
        elapsed(started, 0.5, 3)


def test_the_body_stands_still(s: Scenario) -> None:
    started = time.monotonic()
    with s.client() as c:
        c.send_request("POST", "/body-stands-still", {"Content-Length": "10"})
        c.send(b"hello")
        x = s.a.next_request()
        assert c.recv_response().status == 408
        assert c.closed()
        assert x.dropped()
        assert not x.complete
    elapsed(started, 0.9, 3)
    assert s.log_entry("/body-stands-still")["flag"] == "CB"
    assert s.log_entry("/body-stands-still")["status"] == 408


def test_a_slow_body_that_moves_is_not_cut_off(s: Scenario) -> None:
    with s.client() as c:
        c.send_request("POST", "/slow-body", {"Transfer-Encoding": "chunked"})
        x = s.a.next_request()
        for _ in range(16):
            assert c.silent(0.15)
            c.send(b"1\r\nx\r\n")
        c.send(b"0\r\n\r\n")
        assert x.body() == b"x" * 16
        x.respond(b"ok")
        x.finish()
        assert c.recv_response().status == 200


def test_the_server_cannot_be_reached_in_time(s: Scenario) -> None:
    started = time.monotonic()
    assert s.get("/connect/slow").status == 504
    elapsed(started, 0.2, 3)
    entry = s.log_entry("/connect/slow")
    assert (entry["flag"], entry["status"]) == ("ST", 504)


def test_the_server_does_not_answer_in_time(s: Scenario) -> None:
    started = time.monotonic()
    with s.client() as c:
        c.send_request("GET", "/response/slow")
        x = s.a.next_request()
        assert c.recv_response().status == 504
        elapsed(started, 0.9, 3)
        assert x.dropped()
    entry = s.log_entry("/response/slow")
    assert (entry["flag"], entry["status"]) == ("SH", 504)


def test_an_interim_answer_is_not_the_answer(s: Scenario) -> None:
    """`response` is the time to the final head: 1xx must not hold a client for ever."""
    with s.client() as c:
        c.send_request("GET", "/response/interim")
        x = s.a.next_request()
        x.send(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        response = c.recv_response()
        assert (response.status, [i.status for i in response.interim]) == (504, [103])
        assert x.dropped()


def test_a_long_upload_is_not_a_slow_answer(s: Scenario) -> None:
    """The server may wait with its answer until it has the whole request: the clock starts then."""
    with s.client() as c:
        c.send_request("POST", "/response/upload", {"Transfer-Encoding": "chunked"})
        x = s.a.next_request()
        for _ in range(16):
            assert c.silent(0.15)
            c.send(b"1\r\nx\r\n")
        c.send(b"0\r\n\r\n")
        assert x.body() == b"x" * 16
        x.respond(b"ok")
        x.finish()
        assert c.recv_response().status == 200


def test_the_answer_stands_still(s: Scenario) -> None:
    with s.client() as c:
        c.send_request("GET", "/idle/answer")
        x = s.a.next_request()
        x.send(OK + b"Content-Length: 10\r\n\r\nhello")
        with pytest.raises(Broken):
            c.recv_response()
        assert x.dropped()
    assert s.log_entry("/idle/answer")["flag"] == "SI"


def test_a_slow_answer_that_moves_is_not_cut_off(s: Scenario) -> None:
    with s.client() as c:
        c.send_request("GET", "/idle/moves")
        x = s.a.next_request()
        x.send(OK + b"Transfer-Encoding: chunked\r\n\r\n")
        assert c.recv_response_head().status == 200
        for _ in range(20):
            assert c.silent(0.15)
            x.send(b"1\r\nx\r\n")
            assert c.recv_chunk() == b"x"
        x.send(b"0\r\n\r\n")
        x.finish()
        assert c.recv_chunk() == b""


def test_the_whole_exchange_takes_too_long(s: Scenario) -> None:
    started = time.monotonic()
    with s.client() as c:
        c.send_request("GET", "/total/before")
        x = s.a.next_request()
        assert c.recv_response().status == 504
        elapsed(started, 0.5, 3)
        assert x.dropped()
    entry = s.log_entry("/total/before")
    assert (entry["flag"], entry["status"]) == ("LT", 504)


def test_total_ends_an_answer_that_moves(s: Scenario) -> None:
    with s.client() as c:
        c.send_request("GET", "/total/within")
        x = s.a.next_request()
        x.send(OK + b"Transfer-Encoding: chunked\r\n\r\n")
        assert c.recv_response_head().status == 200
        with pytest.raises(Broken):
            for _ in range(50):
                with contextlib.suppress(OSError):
                    x.send(b"1\r\nx\r\n")
                assert c.recv_chunk() == b"x"
                c.silent(0.1)
        assert x.dropped()
    assert s.log_entry("/total/within")["flag"] == "LT"


@pytest.mark.parametrize(
    ("flag", "words"),
    [("CT", "head"), ("CB", "body"), ("ST", "connect"), ("SH", "response"), ("SI", "idle"), ("LT", "total")],
)
def test_each_has_a_counter(s: Scenario, flag: str, words: str) -> None:
    """Runs after the others of this file, and stands for what they did."""
    lines = {k: v for k, v in s.lb.metrics().items() if "timeout" in k or f'"{flag}"' in k}
    assert any(v > 0 and (f'"{flag}"' in k or words in k.lower()) for k, v in lines.items()), lines


# -- sizes of bodies (limits of the listener)
def test_a_body_that_is_announced_too_large_is_413(s: Scenario) -> None:
    with s.client() as c:
        c.send_request("POST", "/large", {"Content-Length": str(200 * 1024)})
        assert c.recv_response().status == 413
        assert c.closed()
    assert s.a.nothing_came()


def test_a_body_that_becomes_too_large_is_413(s: Scenario) -> None:
    with s.client() as c:
        c.send_request("POST", "/large-chunked", {"Transfer-Encoding": "chunked"})
        c.send_pieces([chunked(b"x" * 1024)[:-5]] * 200)
        assert c.recv_response().status == 413
        assert c.closed()
    for x in s.a.exchanges:
        assert x.dropped()
        assert not x.complete


def test_lb_serves_on(s: Scenario) -> None:
    s.reset()
    assert eventually(lambda: s.get("/after").status == 200)
