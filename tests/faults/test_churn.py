"""lb itself is reloaded, upgraded and shot at under load. A reload or an upgrade costs nobody anything."""

from __future__ import annotations

import os
import signal
import time

from tests.faults.incident import Incident
from tests.scenarios.harness import eventually

CONFIG = """
workers: 2
shutdown_grace: 5s
listeners: [{name: web, bind: "$web"}]
routes:
  - {name: all, match: {path_prefix: /}, service: app, response_headers: {set: {x-turn: "$turn"}}}
services:
  app:
    health_check: {http: /healthz, interval: 1s}
    servers: $servers
"""


class Churn(Incident):
    def config_with(self, *addresses: str) -> str:
        return super().config_with(*addresses).replace("$turn", "0")

    def reload(self, turn: int) -> None:
        text = Incident.config_with(self, *(server.address for server in self.servers))
        self.scenario.write(text.replace("$turn", str(turn)))
        status, said = self.lb.admin("POST", "/api/v1/reload")
        assert status == 200, said


def test_a_hundred_reloads_fail_nobody() -> None:
    with Churn(CONFIG) as incident:
        since = incident.now()
        for turn in range(1, 101):
            incident.reload(turn)
        incident.goes_on()
        seen = incident.seen(since)
        print("100 reloads", seen)
        assert seen.failed() == []


def test_twenty_killed_workers_fail_at_most_what_they_had() -> None:
    with Churn(CONFIG) as incident:
        since = incident.now()
        for _ in range(20):
            eventually(lambda: len(incident.lb.workers()) == 2, because="a worker was not replaced")
            os.kill(incident.lb.workers()[0], signal.SIGKILL)
            incident.goes_on(60)
        incident.goes_on()
        seen = incident.seen(since)
        print("20 killed workers", seen)
        # at 200 a second over 20 connections one worker rarely has more than a few under way
        assert len(seen.failed()) <= 20 * 10
        assert not [fate for fate in seen.failed() if fate.fault.startswith("status")]


def test_ten_upgrades_fail_nobody() -> None:
    with Churn(CONFIG) as incident:
        since = incident.now()
        for _ in range(10):
            before = incident.lb.status()["pid"]
            began = time.monotonic()
            os.kill(before, signal.SIGUSR2)
            eventually(
                lambda before=before: incident.lb.status()["pid"] != before,
                within=60,
                because="no new version took over",
            )
            print(f"upgraded in {time.monotonic() - began:.1f}s")
            incident.goes_on(200)
        seen = incident.seen(since)
        print("10 upgrades", seen)
        assert seen.failed() == []
