"""Overload: what fails is not asked for a while, and nobody is asked for more than it answers in time."""

from __future__ import annotations

import json
import threading
import time

import pytest

from .harness import Exchange, Origin, Scenario, eventually

BREAKER = "{failures: 50%, min_requests: 5, window: 10s, open: 1s}"


def config(servers: str = "$a", **more: str) -> str:
    inside = "".join(f", {key}: {value}" for key, value in more.items())
    return f"""
listeners: [{{name: web, bind: "$web"}}]
services:
  app: {{servers: [{servers}]{inside}}}
routes: [{{name: all, match: {{path_prefix: /}}, service: app, retry: {{attempts: 0}}}}]
"""


def fail(x: Exchange) -> None:
    x.body()
    x.respond(b"no", "500 Internal Server Error")


def well(x: Exchange) -> None:
    x.body()
    x.respond(b"ok")


def events(s: Scenario) -> list[tuple[str, str, str]]:
    told = json.loads(s.lb.admin("GET", "/api/v1/events")[1])["events"]
    return [(e["kind"], e["service"], e["server"]) for e in told if e["kind"].startswith("breaker")]


@pytest.mark.parametrize("whose", ["server", "service"])
def test_a_breaker_opens_tries_and_closes(whose: str) -> None:
    with Scenario(config(breaker=f"{{{whose}: {BREAKER}}}"), a=Origin(fail)) as s:
        with s.client() as c:
            seen = [c.get().status for _ in range(12)]
        assert seen == [500] * 5 + [503] * 7
        assert len(s.a.exchanges) == 5, "the server was asked while its breaker was open"
        refused = s.get("/refused")
        assert refused.status == 503 and refused.get("retry-after") == "1"
        assert s.log_entry("/refused")["flag"] == "LB"
        assert s.lb.metric(r"lb_route_shed_total\{") == 8
        assert s.lb.metric(r"lb_server_breaker_open\{") == (1 if whose == "server" else 0)
        who = s.a.address if whose == "server" else ""
        eventually(lambda: events(s) == [("breaker_opened", "app", who)])
        # half open: one failure and it is open again
        eventually(lambda: s.get().status == 500, within=5)
        assert s.get().status == 503
        s.a.behaviour = well
        eventually(lambda: s.get().status == 200, within=5)
        assert [s.get().status for _ in range(10)] == [200] * 10
        eventually(lambda: events(s)[-1] == ("breaker_closed", "app", who))
        assert len(events(s)) == 2, "a trial that failed is no news"
        assert s.lb.metric(r"lb_server_breaker_open\{") == 0


def test_one_of_two_servers_fails_and_the_other_gets_everything() -> None:
    with Scenario(config("$a, $b", breaker=f"{{server: {BREAKER}}}"), a=Origin(fail), b=Origin(well)) as s:
        began = 0.0

        def opened() -> bool:
            nonlocal began
            began = time.monotonic()  # before the request that opens it
            return bool(s.get().status) and s.lb.metric(r"lb_server_breaker_open\{") == 1

        eventually(opened)
        asked = len(s.a.exchanges)
        with s.client() as c:
            seen = [c.get().status for _ in range(30)]
        if time.monotonic() - began < 0.8:  # else a trial was due
            assert seen == [200] * 30 and len(s.a.exchanges) == asked
        assert seen.count(200) >= 28
        (shown,) = json.loads(s.lb.admin("GET", "/api/v1/services")[1])["services"]
        assert {server["state"] for server in shown["servers"]} == {"breaker open", "eligible"}


def test_a_reload_does_not_close_a_breaker() -> None:
    with Scenario(config(breaker="{server: {min_requests: 5, open: 1m}}"), a=Origin(fail)) as s:
        assert [s.get().status for _ in range(6)] == [500] * 5 + [503]
        s.write(config(breaker="{server: {min_requests: 5, open: 1m}}", slow_start="1s"))
        eventually(lambda: s.generation() == 2)
        assert s.get().status == 503
        s.write(config())
        eventually(lambda: s.generation() == 3)
        assert s.get().status == 500
        assert s.lb.metric(r"lb_server_breaker_open\{") == 0


def test_over_the_adaptive_limit_requests_wait_with_a_deadline() -> None:
    limits = {"adaptive_concurrency": "{least: 1, most: 1}", "connections": "{queue_timeout: 300ms}"}
    with Scenario(config(**limits)) as s:
        s.a.take_over()
        first = s.client()
        first.send_request("GET", "/first")
        x = s.a.next_request()
        late = s.get("/late")
        assert late.status == 503 and late.get("retry-after") == "1"
        assert s.log_entry("/late")["flag"] == "LW"
        x.respond(b"ok")
        x.finish()
        assert first.recv_response().status == 200


def test_the_limit_comes_down_for_a_server_that_slows_with_concurrency() -> None:
    lock, now, most = threading.Lock(), 0, 0

    def slow(x: Exchange) -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
            here = now
        time.sleep(0.004 * here)  # the server's work
        with lock:
            now -= 1
        x.respond(b"ok")

    limit = r"lb_server_limit\{"
    with Scenario(config(adaptive_concurrency="{least: 2, most: 100}"), a=Origin(slow)) as s:
        with s.client() as c:
            assert all(c.get().status == 200 for _ in range(40))
        assert s.lb.metric(limit) == 20
        stop = threading.Event()
        wrong: list[int] = []

        def ask() -> None:
            with s.client() as mine:
                while not stop.is_set():
                    if (status := mine.get().status) != 200:
                        wrong.append(status)

        threads = [threading.Thread(target=ask) for _ in range(25)]
        for thread in threads:
            thread.start()
        try:
            eventually(lambda: 0 < s.lb.metric(limit) <= 10, within=30, because="the limit stays high")
            most = 0
            time.sleep(0.5)
        finally:
            stop.set()
            for thread in threads:
                thread.join(30)
        assert most <= 13, "the server gets no more than the limit, which may have grown a little"
        assert wrong == [], "all of the others waited and were answered"
