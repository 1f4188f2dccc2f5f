"""SIGTERM drains: readiness first, then the listeners, then the exchanges; twice ends at once."""

from __future__ import annotations

import contextlib
import signal
import time

import pytest

from .harness import Broken, Client, Exchange, Scenario, eventually
from .test_websocket import ASK, YES

CONFIG = """
workers: 2
shutdown_grace: %s
listeners: [{name: web, bind: "$web"}]
services: {app: ["$a"]}
routes: {"/": app}
"""


def running(s: Scenario, path: str = "/slow") -> tuple[Client, Exchange]:
    c = s.client()
    c.send_request("GET", path)
    return c, s.a.next_request()


def refused(s: Scenario) -> bool:
    try:
        s.client().close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:
        pass  # it was in the queue of a socket that is being closed
    return False


def ready(s: Scenario) -> int:
    try:
        return s.lb.admin("GET", "/readyz")[0]
    except OSError:
        return 0


def test_a_drain_finishes_what_runs() -> None:
    with Scenario(CONFIG % "30s") as s:
        s.a.take_over()
        c, x = running(s)
        half, y = running(s, "/half")
        y.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
        half.recv_until(b"hello")
        s.lb.signal(signal.SIGTERM)
        eventually(lambda: refused(s), because="the listener still accepts")
        assert ready(s) != 200, "readiness fails before the listeners stop"
        assert s.lb.process.poll() is None
        x.respond(b"finished")
        response = c.recv_response()
        assert response.body == b"finished"
        assert "close" in response.head.tokens("connection")
        assert c.closed()
        y.send(b"world")
        assert half.recv_exactly(5) == b"world"
        assert s.lb.wait(10) == 0
        assert s.lb.processes() == [s.lb.pid]


def test_readiness_fails_and_liveness_does_not() -> None:
    with Scenario(CONFIG % "30s") as s:
        assert s.lb.admin("GET", "/livez")[0] == 200
        s.a.take_over()
        c, x = running(s)
        s.lb.signal(signal.SIGTERM)
        eventually(lambda: ready(s) == 503, because="/readyz does not say 503 while it drains")
        assert s.lb.admin("GET", "/livez")[0] == 200
        x.respond(b"ok")
        assert c.recv_response().status == 200
        assert s.lb.wait(10) == 0


def test_idle_connections_do_not_hold_up_a_drain() -> None:
    with Scenario(CONFIG % "30s") as s:
        clients = [s.client() for _ in range(10)]
        for c in clients:
            assert c.get().status == 200
        silent = s.client()
        started = time.monotonic()
        s.lb.signal(signal.SIGTERM)
        assert s.lb.wait(10) == 0
        assert time.monotonic() - started < 5
        assert all(c.closed() for c in [*clients, silent])


def test_the_grace_has_an_end() -> None:
    with Scenario(CONFIG % "1s") as s:
        s.a.take_over()
        c, _ = running(s)
        started = time.monotonic()
        s.lb.signal(signal.SIGTERM)
        s.lb.wait(10)
        assert 0.8 < time.monotonic() - started < 5
        with pytest.raises(Broken):
            if c.recv_response().status >= 500:  # an error answer is as visible as a broken connection
                raise Broken


def test_a_websocket_may_go_on_within_the_grace() -> None:
    with Scenario(CONFIG % "30s") as s:
        s.a.take_over()
        c = s.client()
        c.send_request("GET", "/ws", ASK)
        x = s.a.next_request()
        x.send(YES)
        assert c.recv_response_head().status == 101
        s.lb.signal(signal.SIGTERM)
        eventually(lambda: refused(s))
        c.send(b"still here")
        assert x.wire.recv_exactly(10) == b"still here"
        c.close()
        x.close()
        assert s.lb.wait(10) == 0


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_at_once(second: signal.Signals) -> None:
    with Scenario(CONFIG % "30s") as s:
        s.a.take_over()
        c, _ = running(s)
        s.lb.signal(signal.SIGTERM)
        eventually(lambda: refused(s))
        started = time.monotonic()
        s.lb.signal(second)
        s.lb.wait(5)
        assert time.monotonic() - started < 3
        assert c.closed()


def test_sigint_ends_lb_too() -> None:
    with Scenario(CONFIG % "30s") as s:
        s.lb.signal(signal.SIGINT)
        s.lb.wait(10)
        assert refused(s)


def test_no_process_is_left_when_control_is_killed_hard() -> None:
    """SIGKILL of control: DESIGN.md §2 lets the workers go on with their last Snapshot until they are told
    otherwise; whatever they do, they must not spin and must still answer or be gone."""
    with Scenario(CONFIG % "30s", quiet=True) as s:
        assert s.get().status == 200
        s.lb.signal(signal.SIGKILL)
        s.lb.wait(5)
        with contextlib.suppress(OSError, Broken):
            assert s.get("/orphan").status == 200
