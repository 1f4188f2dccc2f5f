"""One of three servers fails in every way that we know of, under constant load."""

from __future__ import annotations

import pytest

from tests.faults.incident import Incident
from tests.scenarios.harness import eventually

CONFIG = """
workers: 2
listeners: [{name: web, bind: "$web"}]
routes:
  - name: all
    match: {path_prefix: /}
    service: app
    timeout: {connect: 500ms, attempt: 1s, response: 5s}
    retry: {attempts: 2, on: [connect, reset, timeout, 502, 503, 504]}
services:
  app:
    algorithm: round_robin
    health_check: {http: /healthz, interval: 500ms, interval_rising: 100ms, timeout: 300ms, rise: 2, fall: 2,
                   expect: {body: xxx}}
    outlier: {consecutive_failures: 5, ejection: 2s, max_ejected: 50%}
    servers: $servers
"""
DETECTED = 3.0  # seconds: two probes, each with its interval and its time-out, and some for a busy machine


def gone(incident: Incident, server) -> bool:
    seen = incident.status(server).split("/")  # several, while the workers see it differently
    return not {"eligible", "up"} & set(seen)


def back(incident: Incident, server) -> bool:
    since = incident.now()
    incident.goes_on(60)
    return incident.seen(since).by_server()[server.name] > 5


@pytest.mark.parametrize("fault", ["kill", "refuse"])
def test_who_is_gone_at_once_costs_nobody_anything(fault: str) -> None:
    with Incident(CONFIG, post_every=0) as incident:
        since = incident.now()
        bad = incident.servers[1]
        bad.kill() if fault == "kill" else bad.does("refuse")
        incident.goes_on(600)
        seen = incident.seen(since)
        print(fault, seen)
        assert seen.failed("GET") == []
        assert gone(incident, bad)
        bad.start() if fault == "kill" else bad.does("ok")
        eventually(lambda: back(incident, bad), within=30, because="it gets no requests again")
        assert incident.seen(since).failed("GET") == []


@pytest.mark.parametrize(
    "fault", ["stop", "hang", "deaf", "garbage", "reset 50", "cut 50", "status 503", "stranger", "hasty"]
)
def test_after_detection_no_request_fails(fault: str) -> None:
    with Incident(CONFIG) as incident:
        bad = incident.servers[1]
        since = incident.now()
        bad.stop() if fault == "stop" else bad.does(fault)
        if fault != "hasty":
            eventually(lambda: gone(incident, bad), within=20, because="it was not noticed")
        detected = incident.now()
        incident.goes_on(600)
        before, after = incident.seen(since, detected), incident.seen(detected)
        print(fault, f"noticed after {detected - since:.2f}s; before", before, "after", after)
        assert detected - since < DETECTED or fault == "hasty"
        # those that were sent to it just before it was noticed may still end badly
        late = [f for f in after.failed("GET") if f.at > detected + 0.1]
        assert late == []
        bad.go_on() if fault == "stop" else bad.does("ok")
        eventually(lambda: back(incident, bad), within=30, because="it gets no requests again")
