"""Facts of a control process with one running worker: this very process, so that /proc has figures."""

from __future__ import annotations

import os
import time
from typing import Any

from lb.telemetry.exemplars import Exemplars
from lb.telemetry.facts import ClusterFacts, WorkerFacts


class Facts:
    def __init__(self) -> None:
        self.started = time.time() - 60
        self.generation = 7
        self.reloads = {"success": 2, "failure": 1}
        self.last_reload_ok = True
        self.last_reload_at = 1_700_000_000.5
        self.event_counts = {("override", "drain", "app"): 4}
        self.webhook_lost = 2
        self.spans_exported = 5
        self.spans_dropped = {"queue": 1, "refused": 0, "unsent": 0}
        self.exemplars = Exemplars()
        self.probes_waiting = 3
        self.loop_lag = (0.002, 0.25)
        self.catalog_said: dict[str, Any] | None = {
            "source": "consul catalog lb.route=", "answered": False, "error": "no agent", "age": 2.5,
            "errors": 2, "updates": 1, "held": {"consul:web": 3.0},
            "unusable": [{"entry": "x: lb.y", "reason": "not known"}],
            "routes": [{"route": "consul:web:/a", "service": "web", "tag": "lb.route=/a"}],
        }  # fmt: skip
        self.sources: list[dict[str, Any]] = [
            {"service": "app", "members": 2, "answered": False, "error": "no agent", "age": 1.5,
             "held": ["a:1"], "unusable": [{}], "errors": 3, "updates": 4},
            {"service": "mute", "members": 0, "answered": False, "error": "no agent", "age": None,
             "held": [], "unusable": [], "errors": 9, "updates": 0},
        ]  # fmt: skip
        self.cluster_said: ClusterFacts | None = ClusterFacts(
            name="front", node="lb-1", engine="consul", leading=True,
            epoch=3, revision=8, transitions={"elected": 1}, renewal=0.01, lateness=0.0,
            reachable=True, age=0.5, trouble=False, rollout=True, disagreements={"nodes": 2}, health_nodes=3,
        )  # fmt: skip

    def cluster_facts(self):
        return self.cluster_said

    def server_counts(self) -> dict[tuple[str, str], int]:
        return {("app", "up"): 1, ("app", "down"): 1}

    def servers_out(self) -> dict[tuple[str, str], int]:
        return {("app", "check"): 1, ("app", "passive"): 0}

    def discovery(self) -> list[dict[str, Any]]:
        return self.sources

    def catalog(self) -> dict[str, Any] | None:
        return self.catalog_said

    def certificates(self) -> dict[tuple[str, str], float]:
        return {("discovery.consul.tls.cert", "/etc/lb/own.pem"): 1_800_000_000.0}

    def workers(self) -> list[WorkerFacts]:
        return [
            WorkerFacts(0, os.getpid(), "running", 7, self.started),
            WorkerFacts(1, 0, "stopped", 6, 0.0, restarts=3),
        ]
