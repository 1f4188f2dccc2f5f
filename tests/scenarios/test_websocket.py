"""`Upgrade`: a tunnel, byte-exact both ways, with half-close, idle time-out and byte counts."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from .harness import Client, Exchange, Scenario, eventually

CONFIG = """
listeners: [{name: web, bind: "$web"}]
services: {app: ["$a"]}
routes:
  - {name: idle, match: {path_prefix: /idle}, service: app, timeout: {idle: 1s}}
  - {name: all, match: {path_prefix: /}, service: app}
"""
ASK = {
    "Connection": "keep-alive, Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Key": "x",
    "Sec-WebSocket-Version": "13",
}
YES = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: y\r\n\r\n"


@pytest.fixture(scope="module")
def shared() -> Iterator[Scenario]:
    with Scenario(CONFIG) as s:
        yield s


@pytest.fixture
def s(shared: Scenario) -> Iterator[Scenario]:
    shared.reset()
    shared.a.take_over()
    yield shared
    shared.reset()


def tunnel(s: Scenario, path: str) -> tuple[Client, Exchange]:
    c = s.client()
    c.send_request("GET", path, ASK)
    x = s.a.next_request()
    x.send(YES)
    response = c.recv_response_head()
    assert response.status == 101
    assert response.get("upgrade") == "websocket"
    assert "upgrade" in response.head.tokens("connection")
    assert response.get("sec-websocket-accept") == "y"
    return c, x


def test_the_upgrade_reaches_the_server(s: Scenario) -> None:
    c, x = tunnel(s, "/open")
    assert x.head.get("upgrade") == "websocket"
    assert "upgrade" in x.head.tokens("connection")
    assert x.head.get("sec-websocket-key") == "x"
    c.close()
    x.close()


def test_bytes_go_both_ways_untouched(s: Scenario) -> None:
    c, x = tunnel(s, "/bytes")
    everything = bytes(range(256)) * 100 + b"GET / HTTP/1.1\r\n\r\n0\r\n\r\n\n\n"
    for n in range(10):
        c.send(everything + b"%d" % n)
        assert x.wire.recv_exactly(len(everything) + 1) == everything + b"%d" % n
        x.send(b"%d" % n + everything)
        assert c.recv_exactly(len(everything) + 1) == b"%d" % n + everything
    c.close()
    assert x.dropped()


def test_bytes_that_come_with_the_request_and_with_the_101(s: Scenario) -> None:
    with s.client() as c:
        c.send(c.compose("GET", "/early", ASK) + b"early client")
        x = s.a.next_request()
        x.send(YES + b"early server")
        assert c.recv_response_head().status == 101
        assert c.recv_exactly(12) == b"early server"
        assert x.wire.recv_exactly(12) == b"early client"
        x.close()
        assert c.closed()


@pytest.mark.parametrize("first", ["client", "server"])
def test_half_close(s: Scenario, first: str) -> None:
    c, x = tunnel(s, f"/half-{first}")
    one, other = (c, x.wire) if first == "client" else (x.wire, c)
    one.send(b"last words")
    one.half_close()
    assert other.recv_exactly(10) == b"last words"
    assert other.closed()
    other.send(b"a long answer" * 1000)
    assert one.recv_exactly(13_000) == b"a long answer" * 1000
    other.close()
    assert one.closed()
    x.close()


@pytest.mark.parametrize("who", ["client", "server"])
def test_a_reset_reaches_the_other_end(s: Scenario, who: str) -> None:
    c, x = tunnel(s, f"/reset-{who}")
    (c if who == "client" else x).reset()
    if who == "client":
        assert x.dropped()
    else:
        assert c.closed()
    c.close()
    x.close()


def test_back_pressure_in_a_tunnel(s: Scenario) -> None:
    c, x = tunnel(s, "/pressure")
    piece, count = bytes(range(256)) * 4096, 64
    for sender, receiver in ((c, x.wire), (x.wire, c)):
        thread = threading.Thread(target=lambda w=sender: [w.send(piece) for _ in range(count)], daemon=True)
        thread.start()
        assert receiver.recv_exactly(len(piece) * count) == piece * count
        thread.join(10)
    c.close()
    x.close()


def test_an_idle_tunnel_is_closed(s: Scenario) -> None:
    c, x = tunnel(s, "/idle/tunnel")
    try:
        assert c.closed(timeout=5)
        assert x.dropped(timeout=5)
    finally:
        c.close()
        x.close()


def test_a_tunnel_in_use_is_not_idle(s: Scenario) -> None:
    """Traffic in one direction keeps both alive, past several idle time-outs."""
    c, x = tunnel(s, "/idle/used")
    stop = threading.Event()
    for _ in range(20):
        # the pace of the talk: much shorter than the time-out, four times its length in all
        assert not stop.wait(0.2)
        x.send(b"tick")
        assert c.recv_exactly(4) == b"tick"
    c.close()
    x.close()


def test_a_tunnel_is_counted_and_logged(s: Scenario) -> None:
    c, x = tunnel(s, "/counted")
    assert eventually(lambda: s.lb.metric(r"lb_.*tunnels?.*") >= 1)
    c.send(b"x" * 1000)
    assert x.wire.recv_exactly(1000)
    x.send(b"y" * 2000)
    assert c.recv_exactly(2000)
    c.close()
    x.close()
    entry = s.log_entry("/counted")
    assert (entry["status"], entry["upgraded"]) == (101, True)
    assert (entry["bytes_in"], entry["bytes_out"]) == (1000, 2000)
    eventually(lambda: s.lb.metric(r"lb_.*tunnels?.*") == 0)


# -- what is not a tunnel
def test_a_server_that_does_not_upgrade_opens_no_tunnel(s: Scenario) -> None:
    """Envoy CVE-2024-23326: what follows a 200 is the next request."""
    with s.client() as c:
        c.send_request("GET", "/no", ASK)
        x = s.a.next_request()
        x.respond(b"no")
        x.finish()
        assert c.recv_response().body == b"no"
        c.send_request("GET", "/next")
        x = s.a.next_request()
        assert (x.target, x.head.get("upgrade")) == ("/next", None)
        x.respond(b"next")
        x.finish()
        assert c.recv_response().body == b"next"


def test_a_101_for_another_protocol_is_502(s: Scenario) -> None:
    """RFC 9110 7.8: a server must not switch to a protocol that was not asked for."""
    with s.client() as c:
        c.send_request("GET", "/other", ASK)
        x = s.a.next_request()
        x.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n")
        assert c.recv_response().status == 502
        assert x.dropped()


def test_http_1_0_cannot_upgrade(s: Scenario) -> None:
    """RFC 9110 7.8: Upgrade in HTTP/1.0 is ignored."""
    with s.client() as c:
        c.send(b"GET /old HTTP/1.0\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        x = s.a.next_request()
        assert x.head.get("upgrade") is None
        x.respond(b"no")
        x.finish()
        assert c.recv_response().body == b"no"


def test_upgrade_without_connection_is_not_an_upgrade(s: Scenario) -> None:
    """RFC 9110 7.8: it counts only when Connection names it."""
    with s.client() as c:
        c.send_request("GET", "/unnamed", {"Upgrade": "websocket"})
        x = s.a.next_request()
        assert x.head.get("upgrade") is None
        x.respond(b"no")
        x.finish()
        assert c.recv_response().status == 200


def test_a_server_that_breaks_before_the_101(s: Scenario) -> None:
    s.a.behaviour = lambda x: x.close()
    with s.client() as c:
        assert c.request("GET", "/break", ASK).status == 502
