"""The access log and /metrics say what happened, no more and no less."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator

import pytest

from .harness import Origin, Scenario, answer, eventually

CONFIG = """
workers: 2
listeners: [{name: web, bind: "$web"}]
services: {app: ["$a"], broken: ["$closed"]}
routes:
  - {name: app, match: {path_prefix: /app}, service: app}
  - {name: broken, match: {path_prefix: /broken}, service: broken}
  - {name: gone, match: {path_prefix: /gone}, redirect: {to: /app}}
"""


@pytest.fixture
def s() -> Iterator[Scenario]:
    with Scenario(CONFIG) as scenario:
        yield scenario


@pytest.fixture(scope="module")
def shared() -> Iterator[Scenario]:
    """For tests that do not count."""
    with Scenario(CONFIG) as scenario:
        yield scenario


def lines(s: Scenario, count: int) -> list[dict[str, object]]:
    return eventually(
        lambda: (
            (found := [json.loads(line) for line in s.log_text().splitlines()])
            and len(found) >= count
            and found
        )
    )


def test_a_line_for_every_request(s: Scenario) -> None:
    s.request("POST", "/app/x?y=z", {"X-Request-Id": "id-1"}, b"hello")
    (entry,) = lines(s, 1)
    assert entry["method"] == "POST"
    assert entry["target"] == "/app/x?y=z"
    assert entry["host"] == "example.test"
    assert entry["protocol"] == "HTTP/1.1"
    assert (entry["status"], entry["flag"]) == (200, "--")
    assert (entry["listener"], entry["route"], entry["service"], entry["server"]) == (
        "web",
        "app",
        "app",
        s.a.address,
    )
    assert entry["bytes_in"] == 5
    assert int(str(entry["bytes_out"])) > 100
    assert entry["client"] == "127.0.0.1"
    assert entry["request_id"] == "id-1"
    assert 0 <= float(str(entry["ttfb"])) <= float(str(entry["duration"])) < 5
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", str(entry["time"]))


def test_refused_requests_are_logged(s: Scenario) -> None:
    with s.client() as c:
        c.send(b"GET /refused HTTP/1.1\r\nHost: a\r\nBad Name: x\r\n\r\n")
        assert c.recv_response().status == 400
    assert s.get("/nowhere").status == 404
    assert s.get("/broken").status == 502
    assert s.get("/gone").status == 308
    flags = {(e["status"], e["flag"]) for e in lines(s, 4)}
    assert flags == {(400, "CR"), (404, "LR"), (502, "SC"), (308, "--")}


def test_what_clients_send_cannot_forge_lines(s: Scenario) -> None:
    with s.client("a.test") as c:
        c.send(
            b'GET /app?q="},{"x":"\\\x7e%0a%0d HTTP/1.1\r\nHost: a.test\r\nX-Request-Id: "\\\t\xff"\r\n\r\n'
        )
        assert c.recv_response().status in (200, 400)
    (entry,) = lines(s, 1)
    assert str(entry["target"]).startswith('/app?q="},{"x":"') or entry["status"] == 400


def test_every_worker_writes_whole_lines(s: Scenario) -> None:
    for n in range(300):
        assert s.get(f"/app/{n}").status == 200
    assert {e["target"] for e in lines(s, 300)} == {f"/app/{n}" for n in range(300)}


@pytest.mark.parametrize("how", ["rename", "rename and SIGUSR1"])
def test_the_log_is_reopened(s: Scenario, how: str) -> None:
    assert s.get("/app/before").status == 200
    lines(s, 1)
    moved = s.log.with_suffix(".1")
    os.rename(s.log, moved)
    if "SIGUSR1" in how:
        s.lb.signal(signal.SIGUSR1)

    def arrives() -> bool:
        s.get("/app/after")
        return "/app/after" in s.log_text()

    eventually(arrives, within=15, because="nothing is written to the new file")
    assert "/app/before" in moved.read_text()
    total = s.log_text().count("/app/after") + moved.read_text().count("/app/after")
    sent = len([x for x in s.a.exchanges if x.target == "/app/after"])
    eventually(
        lambda: s.log_text().count("/app/after") + moved.read_text().count("/app/after") == sent,
        because=f"lost lines: {total} of {sent}",
    )


def test_sigusr1_does_not_disturb_traffic(shared: Scenario) -> None:
    with shared.client() as c:
        for _ in range(10):
            shared.lb.signal(signal.SIGUSR1)
            assert c.get("/app").status == 200


def test_common_format() -> None:
    with Scenario(CONFIG + 'access_log: {path: "$log", format: common}\n') as s:
        s.get("/app/c")
        line = eventually(s.log_text)
        assert re.fullmatch(
            r'127\.0\.0\.1 - - \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000\] "GET /app/c HTTP/1\.1" 200 \d+\n',
            line,
        )


def test_combined_format() -> None:
    with Scenario(CONFIG + 'access_log: {path: "$log", format: combined}\n') as s:
        s.get("/app/c", {"Referer": 'http://r"/', "User-Agent": "test/1"})
        line = eventually(s.log_text)
        assert line.rstrip().endswith('"test/1"')
        assert re.match(
            r'127\.0\.0\.1 - - \[.*\] "GET /app/c HTTP/1\.1" 200 \d+ "http://r[^"]+/" "test/1"$', line
        )


# -- metrics
def test_counters_agree_with_what_was_sent(s: Scenario) -> None:
    s.a.behaviour = answer(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + b"x" * 100)
    for _ in range(20):
        assert s.get("/app").status == 200
    s.a.behaviour = answer(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
    for _ in range(5):
        assert s.get("/app").status == 404
    for _ in range(3):
        assert s.get("/gone").status == 308
    for _ in range(2):
        assert s.get("/broken").status == 502
    eventually(lambda: s.lb.metric(r"lb_requests_total\{.*route=\"app\"") == 25)
    eventually(lambda: s.lb.metric(r"lb_requests_total\{") == 30)  # a client has its answer before it counts
    metric = s.lb.metric
    assert metric(r"lb_requests_total\{(?=.*route=\"app\")(?=.*service=\"app\").*=\"2xx\"") == 20
    assert metric(r"lb_requests_total\{(?=.*route=\"app\").*=\"4xx\"") == 5
    assert metric(r"lb_requests_total\{(?=.*route=\"gone\").*=\"3xx\"") == 3
    assert metric(r"lb_requests_total\{(?=.*route=\"broken\").*=\"5xx\"") == 2
    durations = r"lb_request_duration_seconds_%s\{(?=.*route=\"app\")"
    assert metric(durations % "count") == 25
    assert 0 < metric(durations % "sum") < 25
    assert metric(r"lb_server_.*failures_total\{(?=.*service=\"broken\")") >= 2
    assert metric(r"lb_.*in_flight") == 0


def test_the_exposition_is_right(shared: Scenario) -> None:
    """Every family has HELP and TYPE once, counters end in _total, times are in seconds, sizes in bytes."""
    shared.get("/app")
    _, text = shared.lb.admin("GET", "/metrics")
    types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))
    assert len(types) == len(re.findall(r"^# TYPE ", text, re.M))
    assert set(re.findall(r"^# HELP (\S+) ", text, re.M)) == set(types)
    ours = {n: t for n, t in types.items() if n.startswith("lb_")}
    assert ours
    for name, kind in ours.items():
        assert not re.search(r"_(ms|us|milliseconds|microseconds|kb|mb|kib)(_|$)", name), name
        if kind == "counter":
            assert name.endswith("_total"), name
        if kind == "histogram":
            assert name.endswith(("_seconds", "_bytes")), name
    for wanted in (
        "requests",
        "bytes",
        "duration",
        "in_flight",
        "connections",
        "retries",
        "reload",
        "generation",
    ):
        assert any(wanted in n for n in ours), f"nothing about {wanted}: {sorted(ours)}"
    assert "timeout" in text
    assert any("process" in n for n in types)


def test_histograms_add_up(s: Scenario) -> None:
    for _ in range(10):
        s.get("/app")
    samples = eventually(
        lambda: (m := s.lb.metrics()) and s.lb.metric(r"lb_request_duration_seconds_count") == 10 and m
    )
    families: dict[str, list[tuple[float, float]]] = {}
    for key, value in samples.items():
        if m := re.match(r'(lb_\w+)_bucket\{(.*?),?le="([^"]+)",?(.*)\}', key):
            families.setdefault(f"{m[1]}{{{m[2]}{m[4]}}}", []).append((float(m[3]), value))
    assert families
    for name, buckets in families.items():
        counts = [v for _, v in sorted(buckets)]
        assert counts == sorted(counts), name
        assert sorted(buckets)[-1][0] == float("inf"), name


def test_reloads_are_counted(s: Scenario) -> None:
    generation = s.generation()
    s.write(CONFIG.replace("/gone", "/went"))
    assert s.lb.admin("POST", "/api/v1/reload")[0] == 200
    s.write("nonsense: [")
    assert s.lb.admin("POST", "/api/v1/reload")[0] != 200
    assert s.lb.metric(r"lb_\w*reloads?_total\{.*success") == 1
    assert s.lb.metric(r"lb_\w*reloads?_total\{.*fail") >= 1
    generations = {k: v for k, v in s.lb.metrics().items() if "generation" in k}
    assert set(generations.values()) == {generation + 1}, generations
    assert len([k for k in generations if "worker=" in k]) == 2


def test_retries_are_counted() -> None:
    config = """
listeners: [{name: web, bind: "$web"}]
services: {app: {algorithm: first, servers: ["$closed", "$a"]}}
routes: {"/": app}
"""
    with Scenario(config, a=Origin()) as s:
        assert s.get().status == 200
        eventually(lambda: s.lb.metric(r"lb_.*retries_total") == 1)


def test_pool_states_are_shown() -> None:
    with Scenario(a=Origin()) as s:
        assert s.get().status == 200
        eventually(lambda: s.lb.metric(r"lb_.*connections\{(?=.*idle)") == 1)
        s.a.take_over()
        with s.client() as c:
            c.send_request("GET", "/busy")
            s.a.next_request()
            eventually(lambda: s.lb.metric(r"lb_.*connections\{(?=.*busy)") == 1)
            assert s.lb.metric(r"lb_.*connections\{(?=.*idle)") == 0
            eventually(lambda: s.lb.metric(r"lb_.*in_flight\{(?=.*service=\"app\")") >= 1)


# -- the rest of the admin API
@pytest.mark.parametrize("path", ["/api/v1/status", "/api/v1/routes", "/api/v1/services", "/api/v1/config"])
def test_the_api_answers(shared: Scenario, path: str) -> None:
    status, body = shared.lb.admin("GET", path)
    assert status == 200
    assert body
    if "config" not in path:
        json.loads(body)


def test_the_api_names_what_runs(shared: Scenario) -> None:
    assert {"app", "broken", "gone"} <= set(
        re.findall(r"[a-z]+", shared.lb.admin("GET", "/api/v1/routes")[1])
    )
    assert shared.a.address in shared.lb.admin("GET", "/api/v1/services")[1]
    assert "path_prefix" in shared.lb.admin("GET", "/api/v1/config")[1]
    assert shared.lb.admin("GET", "/api/v1/reload")[0] == 405
    assert shared.lb.admin("GET", "/nowhere")[0] == 404


# -- a log that cannot be written
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_traffic_goes_on_beside_a_full_disk_and_lost_lines_are_counted() -> None:
    with Scenario(CONFIG.replace("workers: 2", "workers: 1") + "access_log: {path: /dev/full}\n") as s:
        with s.client() as c:
            for _ in range(700):  # 8 KB each: more than the 4 MiB that are kept
                assert c.get("/app?" + "x" * 8000).status == 200
        eventually(lambda: s.lb.metric(r"lb_access_log_dropped_total") > 0)
        assert s.get("/app").status == 200


def test_a_drain_loses_no_line() -> None:
    with Scenario(CONFIG) as s:
        with s.client() as c:
            for n in range(1000):
                assert c.get(f"/app/{n}").status == 200
        s.lb.signal(signal.SIGTERM)
        eventually(lambda: s.log_text().count("\n") == 1000, because="lines were lost")
        assert {json.loads(line)["target"] for line in s.log_text().splitlines()} == {
            f"/app/{n}" for n in range(1000)
        }


def test_failures_are_logged_where_nothing_else_is() -> None:
    log = 'access_log: {path: "$log", sample: 0%, redact: {client: subnet, query: [token]}}\n'
    with Scenario(CONFIG + log) as s:
        for _ in range(20):
            assert s.get("/app").status == 200
        assert s.get("/broken?token=s3cret").status == 502
        (entry,) = lines(s, 1)
        assert (entry["flag"], entry["client"]) == ("SC", "127.0.0.0")
        assert entry["target"] == "/broken?token=***"
