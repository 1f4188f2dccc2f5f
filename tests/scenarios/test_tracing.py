"""Traces through the whole of lb, to a real OTLP collector."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .collector import Collector
from .harness import Exchange, Origin, Scenario, eventually

ROOT = Path(__file__).resolve().parents[2]
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
CONFIG = """
workers: 1
access_log: {path: "$log", redact: {query: [token]}}
decisions: {slow: 0, sample: 0}
tracing: {endpoint: "http://$collector/v1/traces", sample: 100%, service_name: edge, headers: {x-tenant: a}}
listeners: [{name: web, bind: "$web"}]
services: {app: ["$a"], half: ["$closed", {address: "$a", backup: true}]}
routes:
  - {name: half, match: {path_prefix: /half}, service: half, rewrite: {strip_prefix: /half}}
  - {name: all, match: {path_prefix: /}, service: app, retry: {attempts: 1, on: [503]}}
"""


def behaviour() -> Callable[[Exchange], None]:
    refused = []

    def behave(x: Exchange) -> None:
        busy = x.target == "/busy" or (x.target == "/once" and not refused)
        if busy:
            refused.append(x)
        x.respond(b"ok", "503 Busy" if busy else "200 OK")

    return behave


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    found = Collector(tmp_path)
    try:
        yield found
    finally:
        found.close()


def scenario(collector: Collector, config: str = CONFIG) -> Scenario:
    made = Scenario("listeners: []\n", a=Origin(behaviour()))
    made.names["collector"] = collector.address
    made.write(config)
    return made


def told(s: Scenario) -> list[tuple[str, str, str]]:
    """What the server was told of traces: trace, span, flags; one line a request."""
    found = []
    for x in s.a.exchanges:
        (line,) = x.head.all("traceparent")
        version, trace, span, flags = line.split("-")
        assert version == "00"
        found.append((trace, span, flags))
    return found


def test_spans_with_parents_names_and_attributes(collector: Collector) -> None:
    collector.start()
    with scenario(collector) as s:
        assert (
            s.get(
                "/one?token=s3cret&b=1", {"traceparent": f"00-{TRACE}-{SPAN}-01", "tracestate": "k=v"}
            ).status
            == 200
        )
        server, client = collector.of(TRACE, 2)
        assert told(s) == [(TRACE, client["id"], "01")], "the server's spans hang below the attempt"
        assert (server["parent"], client["parent"]) == (SPAN, server["id"])
        assert (server["name"], server["kind"], client["name"], client["kind"]) == ("GET all", 2, "GET", 3)
        assert server["began"] <= client["began"] < client["ended"] <= server["ended"]
        assert abs(server["began"] / 1e9 - time.time()) < 60 and not server["error"] and not client["error"]
        assert server["flags"] & 0x301 == 0x301 and server["scope"] == "lb"
        assert server["by"]["service.name"] == "edge" and server["by"]["service.version"]
        port = int(s.names["a"].rpartition(":")[2])
        assert {key: value for key, value in server.items() if "." in key and "lb." not in key} == {
            "http.request.method": "GET", "url.scheme": "http", "url.path": "/one", "url.query": "token=***&b=1",
            "server.address": "example.test", "client.address": "127.0.0.1", "network.protocol.version": "1.1",
            "http.response.status_code": 200,
        }  # fmt: skip
        assert (server["lb.route"], server["lb.service"], server["lb.server"], server["lb.flag"]) == (
            "all", "app", s.names["a"], "--",
        )  # fmt: skip
        assert {key: value for key, value in client.items() if "." in key and "lb." not in key} == {
            "http.request.method": "GET", "url.full": f"http://{s.names['a']}/one?token=***&b=1",
            "server.address": "127.0.0.1", "server.port": port, "network.protocol.version": "1.1",
            "http.response.status_code": 200,
        }  # fmt: skip
        assert s.log_entry("/one")["trace_id"] == TRACE

        # the exemplar of the route carries the trace that was exported
        def exemplar() -> str | None:
            text = s.lb.admin("GET", "/metrics", headers={"Accept": "application/openmetrics-text"})[1]
            found = re.search(
                r'lb_request_duration_seconds_bucket\{.*route="all".*# \{trace_id="(\w+)"', text
            )
            return found[1] if found else None

        assert eventually(exemplar, because="no exemplar") == TRACE
        # The collector passes them on before lb has read its answer.
        eventually(lambda: s.lb.metric("lb_spans_exported_total") == 2)


def test_each_attempt_is_a_span_and_failures_are_errors(collector: Collector) -> None:
    collector.start()
    with scenario(collector) as s:
        assert s.get("/once").status == 200
        assert s.get("/half/way").status == 200
        assert s.get("/busy").status == 503
        traces = eventually(
            lambda: list(dict.fromkeys(trace for trace, _, _ in told(s))) if len(s.a.exchanges) == 5 else None
        )
        once, half, busy = traces
        server, first, second = collector.of(once, 3)
        assert [span for trace, span, _ in told(s) if trace == once] == [first["id"], second["id"]]
        assert first["parent"] == second["parent"] == server["id"] and server["parent"] == ""
        assert (first["error"], first["error.type"], second["error"]) == (True, "503", False)
        assert (second["http.request.resend_count"], server["error"]) == (1, False)
        server, first, second = collector.of(half, 3)
        assert (first["error"], first["error.type"]) == (True, "connect_failed")
        assert "http.response.status_code" not in first and first["lb.flag"] == "SC"
        assert second["url.full"].endswith("/way") and "half" not in second["url.full"].rpartition("/")[2]
        server, *attempts = collector.of(busy, 3)
        assert (server["error"], server["error.type"], len(attempts)) == (True, "503", 2)
        # why
        kept = s.lb.admin("GET", "/api/v1/requests")[1]
        assert busy in kept and server["id"] in kept
        one = s.log_entry("/busy")
        said = subprocess.run(
            [sys.executable, "-m", "lb", "why", one["request_id"], "--admin", f"http://{s.names['admin']}"],
            capture_output=True, text=True, timeout=60, check=True, cwd=ROOT,
        ).stdout  # fmt: skip
        assert f"trace {busy}, span {server['id']}" in said and "it was traced" in said


def test_a_collector_that_is_away_and_comes_back(collector: Collector) -> None:
    with scenario(collector) as s:
        for _ in range(3):
            assert s.get("/").status == 200
        eventually(lambda: "the collector does not take spans" in s.lb.said(), within=20)
        collector.start()
        for trace, span, _ in told(s):
            assert collector.of(trace, 2)[1]["id"] == span
        eventually(lambda: "the collector takes spans again" in s.lb.said(), within=20)
        assert s.lb.said().count("the collector does not take spans") == 1
        assert collector.address in s.lb.said()
        assert s.lb.metric(r"lb_spans_dropped_total") == 0


def test_a_drain_sends_what_is_left_and_waits_not_long_for_a_collector_that_is_away(
    collector: Collector,
) -> None:
    collector.start()
    with scenario(collector) as s:
        assert s.get("/").status == 200
        s.lb.signal(signal.SIGTERM)
        assert s.lb.wait(30) == 0
        ((trace, _, _),) = told(s)
        collector.of(trace, 2)
    collector.stop()
    with scenario(collector) as s:
        assert s.get("/").status == 200
        began = time.monotonic()
        s.lb.signal(signal.SIGTERM)
        assert s.lb.wait(30) == 0
        assert time.monotonic() - began < 15
        assert "spans were not sent before the end" in s.lb.said()


def test_a_reload_changes_the_sample_and_the_endpoint(collector: Collector) -> None:
    collector.start()
    with scenario(collector, CONFIG.replace("100%", "0%").replace("$collector", "$closed")) as s:
        assert s.get("/before").status == 200
        s.write(CONFIG)
        s.lb.signal(signal.SIGHUP)
        eventually(lambda: s.lb.metric("lb_config_generation") == 2 or None, within=20)
        assert s.get("/after").status == 200
        (_, _, before), (trace, _, after) = told(s)
        assert (before, after) == ("00", "01")
        assert collector.of(trace, 2)[0]["url.path"] == "/after"
        s.write(CONFIG.replace("tracing:", "# tracing:"))
        s.lb.signal(signal.SIGHUP)
        eventually(lambda: s.lb.metric("lb_config_generation") == 3 or None, within=20)
        s.a.reset()
        assert s.get("/off", {"traceparent": "whatever"}).status == 200
        assert s.a.last().head.all("traceparent") == ["whatever"]


def test_without_the_extra_it_is_refused_with_the_remedy(tmp_path: Path) -> None:
    away = tmp_path / "away"
    (away / "opentelemetry").mkdir(parents=True)
    (away / "opentelemetry" / "__init__.py").write_text("")  # stands before the real one and has nothing
    file = tmp_path / "lb.yaml"
    text = 'listeners: ["127.0.0.1:0"]\nadmin: off\nroutes: {/: app}\nservices: {app: ["127.0.0.1:1"]}\n'
    file.write_text(
        text + f"state_dir: {tmp_path}\ntracing: {{endpoint: 'http://127.0.0.1:4318/v1/traces'}}\n"
    )
    for command in ("check", "run"):
        done = subprocess.run(
            [sys.executable, "-P", "-m", "lb", command, str(file)],
            capture_output=True, text=True, timeout=60, check=False,
            env={**os.environ, "PYTHONPATH": f"{away}:{ROOT}"}, cwd=tmp_path,
        )  # fmt: skip
        assert done.returncode != 0 and "pip install 'lb[otel]'" in done.stdout + done.stderr, done
