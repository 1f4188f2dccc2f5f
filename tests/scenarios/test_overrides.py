"""What operators order of servers, and what they are told: real processes, load that counts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from .harness import Client, Lb, Origin, Scenario, answer, eventually
from .harness.process import ROOT

THREE = """
workers: 2
listeners: [{name: web, bind: "$web"}]
services: {app: ["$a", "$b", "$c"]}
routes: {"/": app}
"""


def named(*names: str) -> dict[str, Origin]:
    return {
        name: Origin(answer(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n" + name.encode()))
        for name in names
    }


def order(s: Scenario, name: str, **body: object) -> None:
    status, text = s.lb.admin("PUT", path_of(s, name), json.dumps(body))
    assert status == 200, text


def path_of(s: Scenario, name: str) -> str:
    return f"/api/v1/services/app/servers/{s.names[name]}/override"


def shown(s: Scenario, name: str) -> dict:
    status, text = s.lb.admin("GET", f"/api/v1/servers?service=app&address={s.names[name]}")
    assert status == 200, text
    return json.loads(text)["servers"][0]


def seen_by_workers(s: Scenario, name: str) -> str:
    (service,) = json.loads(s.lb.admin("GET", "/api/v1/services")[1])["services"]
    return next(server["state"] for server in service["servers"] if server["address"] == s.names[name])


def answering(s: Scenario, count: int = 24) -> set[str]:
    """Who answers new connections, whichever worker takes them."""
    return {s.get().text for _ in range(count)}


class Load:
    """Clients on connections that stay, until told; counts bodies, and whatever is not a 200."""

    def __init__(self, s: Scenario, clients: int = 6) -> None:
        self.counts: Counter[str] = Counter()
        self.failed: list[str] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(s,), daemon=True) for _ in range(clients)]

    def _run(self, s: Scenario) -> None:
        client: Client | None = None
        while not self._stop.is_set():
            try:
                client = client or s.client()
                response = client.get()
                if response.status != 200:
                    self.failed.append(f"{response.status} {response.text}")
                self.counts[response.text] += 1
                if "close" in response.head.tokens("connection"):
                    client.close()
                    client = None
            except Exception as problem:
                self.failed.append(repr(problem))
                client = None

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(10)


def restart(s: Scenario) -> None:
    s.lb.signal(signal.SIGTERM)
    s.lb.wait()
    s.lb = Lb(s.file, s.names["admin"])


def lb(s: Scenario, *words: str, wait: bool = True) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "lb", *words, "--admin", f"http://{s.names['admin']}"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
        env={**os.environ, "COLUMNS": "200"},
    )  # fmt: skip
    if wait:
        process.wait(30)
    return process


def test_a_drain_during_load_costs_no_request_and_survives_reload_and_restart() -> None:
    with Scenario(THREE, **named("a", "b", "c")) as s:
        with Load(s) as load:
            eventually(lambda: len(load.counts) == 3)
            done = lb(s, "servers", "drain", f"app/{s.names['b']}", "--reason", "deploy", "--author", "anna")
            assert done.returncode == 0, done.stderr.read()
            assert "is drained" in done.stdout.read()
            before = load.counts["b"]
            others = load.counts["a"]
            eventually(lambda: load.counts["a"] > others + 50)
            assert load.counts["b"] == before
            s.write(THREE.replace("workers: 2", "workers: 2\nshutdown_grace: 5s"))
            assert s.lb.admin("POST", "/api/v1/reload")[0] == 200
            others = load.counts["a"]
            eventually(lambda: load.counts["a"] > others + 50)
            assert load.counts["b"] == before
        assert load.failed == []
        restart(s)
        assert answering(s) == {"a", "c"}
        found = shown(s, "b")
        assert found["status"] == "draining"
        assert found["layers"]["override"]["author"] == "anna"
        assert found["layers"]["override"]["reason"] == "deploy"
        assert lb(s, "servers", "clear", f"app/{s.names['b']}").returncode == 0
        eventually(lambda: answering(s) == {"a", "b", "c"})
        restart(s)
        assert answering(s) == {"a", "b", "c"}


def test_an_order_ends_in_its_time_and_says_so() -> None:
    with Scenario(THREE, **named("a", "b", "c")) as s:
        order(s, "a", mode="maintenance", **{"for": "2s"})
        eventually(lambda: answering(s) == {"b", "c"}, within=1.5)
        assert shown(s, "a")["status"] == "maintenance"
        eventually(lambda: answering(s) == {"a", "b", "c"}, within=5)
        assert shown(s, "a")["layers"]["override"] is None
        kinds = [
            (e["kind"], e["reason"]) for e in json.loads(s.lb.admin("GET", "/api/v1/events")[1])["events"]
        ]
        assert kinds.index(("override", "maintenance")) < kinds.index(("override", "expired"))
        assert s.lb.metric(r'lb_events_total\{kind="override",reason="expired",service="app"\}') == 1


def test_the_countdown_of_a_drain_waits_for_the_last_exchange() -> None:
    with Scenario(THREE.replace(', "$b", "$c"', ""), a=Origin()) as s:
        s.a.take_over()
        client = s.client()
        client.send_request("GET", "/long")
        under_way = s.a.next_request()
        process = lb(s, "servers", "drain", f"app/{s.names['a']}", wait=False)
        said = [process.stdout.readline() for _ in range(2)]
        assert "drain by" in said[0]
        assert "1 exchange, 1 connection in use" in said[1]
        assert process.poll() is None
        eventually(lambda: seen_by_workers(s, "a") == "draining")
        assert s.get("/other").status == 503
        under_way.respond(b"done")
        assert client.recv_response().body == b"done"
        assert process.wait(10) == 0
        assert "is drained" in process.stdout.read()


def test_a_drain_that_takes_too_long_stays_in_force() -> None:
    with Scenario(THREE.replace(', "$b", "$c"', ""), a=Origin()) as s:
        s.a.take_over()
        client = s.client()
        client.send_request("GET", "/long")
        s.a.next_request()
        done = lb(s, "servers", "drain", f"app/{s.names['a']}", "--timeout", "300ms")
        assert done.returncode == 5
        assert "still has 1 exchange" in done.stderr.read()
        assert shown(s, "a")["status"] == "draining"


def test_weights_and_a_server_that_is_away_for_a_while() -> None:
    with Scenario(THREE, **named("a", "b", "c")) as s:
        assert lb(s, "servers", "weight", f"app/{s.names['c']}", "25%").returncode == 0
        eventually(lambda: shown(s, "c")["weight_factor"] == 0.25)
        with s.client() as c:
            counts = Counter(c.get().text for _ in range(90))
        assert counts["c"] == 10
        s.write(THREE.replace(', "$c"', ""))
        assert s.lb.admin("POST", "/api/v1/reload")[0] == 200
        listed = lb(s, "servers", "list").stdout.read()
        assert "not in the configuration" in listed
        restart(s)
        s.write(THREE)
        assert s.lb.admin("POST", "/api/v1/reload")[0] == 200
        assert shown(s, "c")["weight_factor"] == 0.25


def test_a_broken_file_of_overrides_stops_nothing() -> None:
    with Scenario(THREE, **named("a", "b", "c")) as s:
        order(s, "a", mode="drain")
        (kept,) = Path(s.directory, "state").glob("*/overrides.json")
        s.lb.signal(signal.SIGTERM)
        s.lb.wait()
        kept.write_text("{nonsense")
        s.lb = Lb(s.file, s.names["admin"])
        assert answering(s) == {"a", "b", "c"}
        assert "the file of overrides makes no sense" in s.lb.said()
        assert len(list(kept.parent.glob("overrides.json.broken-*"))) == 1


def test_events_are_followed_across_a_restart() -> None:
    with Scenario(THREE, **named("a", "b", "c")) as s:
        order(s, "a", mode="drain")
        process = lb(s, "events", "--after", "0", wait=False)
        lines: list[str] = []
        reader = threading.Thread(target=lambda: lines.extend(iter(process.stdout.readline, "")), daemon=True)
        reader.start()
        try:
            eventually(lambda: any("override drain" in line for line in lines))
            restart(s)
            order(s, "b", mode="drain")
            eventually(lambda: any(s.names["b"] in line for line in lines), within=15)
            os.kill(s.lb.workers()[0], signal.SIGKILL)
            eventually(lambda: any("worker_died signal" in line for line in lines))
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(10) == 0
        assert "\x1b" not in "".join(lines)


def test_a_webhook_gets_every_event_and_its_failure_holds_nothing_up() -> None:
    hook = Origin(answer(b"HTTP/1.1 204 No Content\r\n\r\n"))
    text = THREE + 'events: {webhook: "http://$hook/events"}\n'
    with Scenario(text, **named("a", "b", "c"), hook=hook) as s:
        order(s, "a", mode="drain")
        eventually(
            lambda: any(
                b"override" in (x.received_body.data if x.received_body else b"") for x in hook.exchanges
            )
        )
        hook.stop_listening()
        for wire in hook.connections:
            wire.close()
        began = time.monotonic()
        order(s, "b", mode="drain")
        assert time.monotonic() - began < 1
        eventually(lambda: answering(s) == {"c"})


@pytest.mark.parametrize("word", ["app/127.0.0.1:1", "ap", "app"])
def test_a_server_that_there_is_not(word: str) -> None:
    with Scenario(THREE, **named("a", "b", "c")) as s:
        done = lb(s, "servers", "drain", word)
        assert done.returncode == 2
        assert "there is no server" in done.stderr.read()
