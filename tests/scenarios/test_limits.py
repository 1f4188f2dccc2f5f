"""The limits of a listener."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .harness import Broken, Scenario, eventually

LIMITED = """
listeners:
  - {name: web, bind: "$web", limits: {max_connections: 5, max_headers: 10, max_header_bytes: 2KiB}}
services: {app: ["$a"]}
routes: {"/": app}
"""


@pytest.fixture(scope="module")
def s() -> Iterator[Scenario]:
    with Scenario(LIMITED) as scenario:
        yield scenario


def connections(s: Scenario) -> float:
    return s.lb.metric(r"lb_listener_connections")


def test_more_connections_than_allowed_are_turned_away(s: Scenario) -> None:
    clients = [s.client() for _ in range(5)]
    for c in clients:
        assert c.get("/").status == 200
    with s.client() as late:
        try:
            late.send_request("GET", "/late")
            assert late.recv_response().status == 503
        except (Broken, OSError):
            pass
        assert late.closed()
    assert clients[0].get("/").status == 200, "those that were there are served on"
    assert s.lb.metric(r"lb_listener_rejected_total") >= 1
    for c in clients:
        c.close()
    eventually(lambda: connections(s) == 0)
    assert s.get("/").status == 200


def test_more_header_lines_than_allowed_are_431(s: Scenario) -> None:
    with s.client() as c:
        assert c.get("/", [("Host", "a"), *[("A", "b")] * 9]).status == 200
        assert c.get("/", [("Host", "a"), *[("A", "b")] * 10]).status == 431
        assert c.closed()


def test_a_larger_head_than_allowed_is_431(s: Scenario) -> None:
    with s.client() as c:
        assert c.get("/", {"A": "x" * 1800}).status == 200
        assert c.get("/", {"A": "x" * 2100}).status == 431
        assert c.closed()
