"""What a second reading found: each of these was wrong once."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from .harness import Origin, Scenario, eventually

CONFIG = """
listeners:
  - {name: web, bind: "$web"}
  - {name: behind, bind: "$second", trusted_proxies: [127.0.0.0/8]}
services: {app: ["$a"]}
routes:
  - {name: fixed, match: {path: /fixed}, respond: {status: 200, body: "%s"}}
  - {name: all, match: {path_prefix: /}, service: app}
"""
FIXED = "x" * 20_000
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def shared() -> Iterator[Scenario]:
    with Scenario(CONFIG % FIXED) as s:
        yield s


@pytest.fixture
def s(shared: Scenario) -> Iterator[Scenario]:
    shared.reset()
    yield shared
    shared.reset()


def test_a_request_id_with_underscores_is_nobodys_request_id(s: Scenario) -> None:
    with s.client() as c:
        seen = c.get("/id", {"X_Request_Id": "foo"}).seen_by_server()
    assert b"foo" not in seen.raw
    assert len(str(seen.get("x-request-id"))) == 20


def test_a_request_id_cannot_be_nominated_away(s: Scenario) -> None:
    with s.client() as c:
        seen = c.get("/id", {"X-Request-Id": "abc", "Connection": "x-request-id"}).seen_by_server()
    assert seen.get("x-request-id") == "abc"


def test_a_spelling_with_underscores_adds_nothing_to_a_trusted_chain(s: Scenario) -> None:
    with s.client(listener="second") as c:
        headers = {"X-Forwarded-For": "203.0.113.5", "X_Forwarded_For": "6.6.6.6"}
        seen = c.get("/chain", headers).seen_by_server()
    assert b"6.6.6.6" not in seen.raw
    assert seen.get("x-forwarded-for") == "203.0.113.5, 127.0.0.1"
    assert s.log_entry("/chain")["client"] == "203.0.113.5"


def test_a_higher_minor_version_is_not_passed_on(s: Scenario) -> None:
    with s.client() as c:
        c.send(b"GET /nine HTTP/1.9\r\nHost: a\r\n\r\n")
        assert c.recv_response().seen_by_server().raw.startswith(b"GET /nine HTTP/1.1\r\n")


def test_pipelined_answers_that_nobody_takes_do_not_pile_up(s: Scenario) -> None:
    """Small requests, larger answers, a client that does not read: lb stops reading, too."""
    before = s.lb.rss()
    requests = b"GET /fixed HTTP/1.1\r\nHost: a\r\n\r\n" * 15_000  # 300 MB of answers
    with s.client(receive_buffer=4096) as c:
        c.sock.settimeout(1.0)
        view = memoryview(requests)
        until = time.monotonic() + 4
        try:
            while view and time.monotonic() < until:
                view = view[c.sock.send(view[:65536]) :]
        except TimeoutError:
            pass
        assert s.lb.rss() - before < 32 * MIB
        # and it goes on where it stopped, in order
        c.sock.settimeout(10)
        for _ in range(200):
            assert len(c.recv_response().body) == len(FIXED)


def test_an_upload_leaves_nothing_behind(s: Scenario) -> None:
    """A finished exchange holds no reference to the last bytes that were read."""
    with s.client() as c:
        assert c.request("POST", "/warm", body=b"x" * MIB).status == 200
    before = s.lb.rss()
    clients = [s.client() for _ in range(60)]
    for c in clients:
        assert c.request("POST", "/upload", body=b"x" * (400 * 1024)).status == 200
    grown = s.lb.rss() - before
    for c in clients:
        c.__exit__(None, None, None)
    assert grown < 12 * MIB


def test_a_broken_algorithm_costs_its_own_requests_only(tmp_path, monkeypatch) -> None:
    (tmp_path / "brittle.py").write_text(
        "from lb.balancing.contract import Balancer\n\n\n"
        "class Brittle(Balancer):\n"
        "    def pick(self, key, tried):\n"
        "        raise RuntimeError('no idea')\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    config = """
listeners: [{name: web, bind: "$web"}]
services:
  bad: {algorithm: "brittle:Brittle", servers: ["$a", "$b"]}
  good: ["$a"]
routes: {"/bad": bad, "/": good}
"""
    with Scenario(config, quiet=True, a=Origin(), b=Origin()) as s, s.client() as c:
        assert c.get("/bad").status == 500
        assert c.get("/good").status == 200
        eventually(lambda: s.log_entry("/bad")["flag"] == "LI")
