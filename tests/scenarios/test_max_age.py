"""`max_age`: connections that live long end in order, so that they spread again after a scale-out."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from .harness import Scenario, eventually
from .test_websocket import ASK, YES

CONFIG = """
listeners: [{name: web, bind: "$web", limits: {max_age: 1s}}]
services: {app: {servers: ["$a"], connections: {max_age: 1s}}}
routes: {"/": app}
"""


@pytest.fixture
def s() -> Iterator[Scenario]:
    with Scenario(CONFIG) as scenario:
        yield scenario


def test_a_client_connection_ends_with_an_answer_that_says_so(s: Scenario) -> None:
    began = time.monotonic()  # before lb can have seen the connection
    with s.client() as c:
        answers = 1
        while "close" not in c.get("/").head.tokens("connection"):
            answers += 1
            assert time.monotonic() - began < 5, "the connection grows older than max_age"
        assert time.monotonic() - began > 0.85  # up to a tenth less
        assert answers > 3 and c.recv_to_end() == b""


def test_a_server_connection_is_not_used_for_longer(s: Scenario) -> None:
    began = time.monotonic()
    eventually(lambda: s.get("/").status == 200 and len(s.a.connections) >= 3, within=10)
    assert time.monotonic() - began > 1.7


def test_a_tunnel_ends_in_order(s: Scenario) -> None:
    s.a.take_over()
    with s.client() as c:
        c.send_request("GET", "/chat", ASK)
        x = s.a.next_request()
        x.send(YES)
        assert c.recv_response_head().status == 101
        assert x.wire.recv_to_end() == b""  # the server hears that no more comes …
        x.send(b"goodbye")  # … and may still say something
        x.close()
        assert c.recv_to_end() == b"goodbye"
    eventually(lambda: s.lb.metric("lb_listener_tunnels") == 0)
