"""All servers go, and come back."""

from __future__ import annotations

from tests.faults.incident import Incident
from tests.scenarios.harness import eventually

INTERVAL = 1.0
CONFIG = f"""
workers: 2
listeners: [{{name: web, bind: "$web"}}]
routes:
  - name: all
    match: {{path_prefix: /}}
    service: app
    retry: {{attempts: 2, on: [connect, reset, 503]}}
services:
  app:
    health_check: {{http: /healthz, interval: {INTERVAL:g}s, timeout: 500ms, rise: 1, fall: 2}}
    servers: $servers
"""


def test_an_outage_ends_within_a_probe_interval_and_is_not_multiplied() -> None:
    with Incident(CONFIG, rate=300.0) as incident:
        since = incident.now()
        before = [server.requests() for server in incident.servers]
        for server in incident.servers:
            server.does("status 503")
        incident.goes_on(1500)
        attempts = sum(server.requests() for server in incident.servers) - sum(before)
        until = incident.now()  # no attempt was counted that belongs to none of these requests
        asked = len(incident.seen(since, until).fates)
        print(f"outage: {asked} requests, {attempts} attempts, {attempts / asked:.3f} each")
        assert attempts <= 1.2 * asked + 20  # 20 were under way
        for server in incident.servers:
            server.does("ok")
        healed = incident.now()

        def whole() -> bool:
            began = incident.now()
            incident.goes_on(30)
            return not incident.seen(began).failed()

        eventually(whole, within=20, because="it did not recover")
        last = max((fate.at for fate in incident.seen(healed).failed()), default=healed)
        print(f"recovered {last - healed:.2f}s after the servers")
        assert last - healed <= INTERVAL + 0.5
