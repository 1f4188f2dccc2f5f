"""A server that its check finds unfit gets no traffic, whatever happens to the configuration and the workers."""

from __future__ import annotations

import json
import os
import signal
from typing import Any

from .harness import Exchange, Origin, Scenario, echo, eventually

CHECK = "{http: /healthz, interval: 100ms, timeout: 1s, rise: 1, fall: 2}"
CONFIG = """
listeners: [{name: web, bind: "$web"}]
services:
  app: {servers: ["$a", "$b"], health_check: CHECK}
routes: {"/": app}
"""


class Patient:
    """The behaviour of a server whose check answers what the test wants; other requests it echoes."""

    def __init__(self, status: str = "200 OK") -> None:
        self.status = status
        self.checks = 0
        self.requests = 0

    def __call__(self, x: Exchange) -> None:
        if x.target == "/healthz":
            x.body()
            self.checks += 1
            x.respond(b"", self.status)
        else:
            self.requests += 1
            echo(x)


def patients(*statuses: str) -> tuple[list[Patient], dict[str, Origin]]:
    made = [Patient(status) for status in statuses]
    return made, {name: Origin(patient) for name, patient in zip("abc", made, strict=False)}


def servers(s: Scenario) -> dict[str, Any]:
    """What the admin API says of the servers of the service, by the test's names for them."""
    (service,) = json.loads(s.lb.admin("GET", "/api/v1/services")[1])["services"]
    names = {origin.address: name for name, origin in s.servers.items()}
    return {names[server["address"]]: server for server in service["servers"]}


def status(s: Scenario, name: str) -> tuple[str, str]:
    """What control thinks of it, and what the workers do."""
    server = servers(s)[name]
    return server["status"], server["state"]


def requests(s: Scenario, count: int = 20) -> None:
    for _ in range(count):
        assert s.get().status == 200


DOWN, UP = ("down", "down"), ("up", "eligible")


def test_a_server_whose_check_fails_gets_no_traffic_until_it_passes_again() -> None:
    (a, b), origins = patients("200 OK", "200 OK")
    with Scenario(CONFIG.replace("CHECK", CHECK), **origins) as s:
        requests(s)
        assert a.requests and b.requests
        b.status = "503 Service Unavailable"
        eventually(lambda: status(s, "b") == DOWN)
        b.requests = 0
        requests(s)
        assert b.requests == 0
        assert s.lb.metrics()['lb_service_servers{service="app",status="down"}'] == 1
        shown = servers(s)["b"]
        assert shown["reasons"] == ["check: down: " + shown["check"]["why"]]
        assert "503" in shown["check"]["why"] and shown["check"]["at"].endswith("Z")
        assert shown["layers"]["override"] is None
        b.status = "200 OK"
        eventually(lambda: status(s, "b") == UP)
        requests(s)
        assert b.requests
        said = s.lb.said()
        assert "server_down: up → down: check: down:" in said
        assert "server_up: down → up: check: up" in said


def test_a_server_that_fails_its_first_check_is_out_at_once() -> None:
    (_, b), origins = patients("200 OK", "500 Internal Server Error")
    with Scenario(CONFIG.replace("CHECK", CHECK), **origins) as s:
        eventually(lambda: status(s, "b") == DOWN)
        b.requests = 0
        requests(s)
        assert b.requests == 0


def test_what_is_known_survives_a_reload_and_a_dead_worker() -> None:
    """The check is slow here: what a new generation or a new worker knows, it was told."""
    slow = "{http: /healthz, interval: 1h, interval_rising: 100ms, rise: 1, fall: 2}"
    (_, b), origins = patients("200 OK", "503 Service Unavailable")
    config = CONFIG.replace("CHECK", slow)
    with Scenario(config, quiet=True, **origins) as s:
        eventually(lambda: status(s, "b") == DOWN)
        checks, b.requests = b.checks, 0
        s.write(config.replace('"/": app', '"/": app, "/more": app'))
        assert s.lb.admin("POST", "/api/v1/reload")[0] == 200
        assert s.generation() == 2
        requests(s)
        (pid,) = s.lb.workers()
        os.kill(pid, signal.SIGKILL)
        requests(s)
        eventually(lambda: s.lb.workers() not in ([], [pid]))
        requests(s)
        assert status(s, "b") == DOWN
        assert (b.requests, b.checks) == (0, checks)


def test_initial_down_waits_for_the_first_result() -> None:
    """A server that is added and whose check hangs gets nothing yet."""
    (_, _, c), origins = patients("200 OK", "200 OK", "200 OK")
    hung: list[Exchange] = []

    def hang(x: Exchange) -> None:
        if x.target == "/healthz":
            hung.append(x)
            x.released.wait()
        else:
            c(x)

    origins["c"].behaviour = hang
    config = CONFIG.replace("CHECK", CHECK.replace("rise: 1", "rise: 1, initial: down").replace("1s", "30s"))
    with Scenario(config, **origins) as s:
        eventually(lambda: status(s, "a") == UP and status(s, "b") == UP)
        s.write(config.replace('"$b"', '"$b", "$c"'))
        assert s.lb.admin("POST", "/api/v1/reload")[0] == 200
        requests(s)
        assert status(s, "c") == DOWN and c.requests == 0
        assert servers(s)["c"]["reasons"] == ["check: no result yet, counts as down"]
        eventually(lambda: hung)
        hung[0].respond(b"")
        hung[0].finish()
        eventually(lambda: status(s, "c") == UP)
        requests(s)
        assert c.requests


def test_who_waits_for_a_server_that_goes_down_is_sent_to_another_one() -> None:
    (a, b), origins = patients("200 OK", "503 Service Unavailable")
    held: list[Exchange] = []

    def hold(x: Exchange) -> None:
        if x.target == "/healthz":
            a(x)
        else:
            held.append(x)
            x.released.wait()

    origins["a"].behaviour = hold
    config = CONFIG.replace("CHECK", CHECK + ", connections: {max_per_server: 1, queue_timeout: 60s}")
    with Scenario(config, **origins) as s:
        eventually(lambda: status(s, "b") == DOWN)
        first, second = s.client(), s.client()
        first.send_request("GET", "/first")
        eventually(lambda: held)
        second.send_request("GET", "/second")
        eventually(lambda: servers(s)["a"]["connections"]["queued"] == 1)
        b.status = "200 OK"
        eventually(lambda: status(s, "b") == UP)
        a.status = "503 Service Unavailable"
        assert second.recv_response().seen_by_server().start == b"GET /second HTTP/1.1"
        held[0].respond(b"late")
        held[0].finish()
        assert first.recv_response().body == b"late"


def test_all_down_is_503_and_explain_knows_why() -> None:
    _, origins = patients("503 Service Unavailable", "503 Service Unavailable")
    with Scenario(CONFIG.replace("CHECK", CHECK), **origins) as s:
        eventually(lambda: status(s, "a") == DOWN and status(s, "b") == DOWN)
        assert s.get().status == 503
        code, text = s.lb.admin("POST", "/api/v1/explain", '{"url": "http://example.test/"}')
        answer = json.loads(text)
        assert (code, answer["pick"], answer["status"]) == (200, None, 503)
        assert all(server["why"].startswith("down; check: down: ") for server in answer["servers"])
