"""Ten minutes of random faults: `python -m tests.soak.faults --minutes 10`.

Servers fail in every way that tests/faults knows, one or two of three at a time, while lb is reloaded and its
workers are killed. At the end everything is healed, and memory, descriptors and every gauge must be back
where they were. Exits with 1 where they are not.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import time

from tests.faults.incident import Incident
from tests.faults.player import Player
from tests.scenarios.harness import eventually

MIB = 1024 * 1024
FAULTS = (
    "hang", "garbage", "reset 0", "reset 50", "cut 100", "drip 0.0002", "status 503", "flap 0.5",
    "delay 0.3", "hasty", "refuse", "deaf", "stranger", "kill", "stop",
)  # fmt: skip
CONFIG = """
workers: 2
shutdown_grace: 5s
listeners: [{name: web, bind: "$web"}]
routes:
  - name: all
    match: {path_prefix: /}
    service: app
    timeout: {connect: 500ms, attempt: 1s, response: 3s}
    retry: {attempts: 2, on: [connect, reset, timeout, 502, 503, 504], hedge: 500ms}
services:
  app:
    algorithm: ewma
    health_check: {http: /healthz, interval: 1s, interval_rising: 200ms, timeout: 500ms, fall: 2,
                   expect: {body: xxx}}
    outlier: {consecutive_failures: 5, ejection: 2s, max_ejected: 50%, success_rate: enforce,
              latency: enforce}
    sticky: lb_server
    slow_start: 5s
    breaker: {server: {failures: 50%, min_requests: 20, window: 5s, open: 2s}}
    connections: {max_age: 20s}
    servers: $servers
"""
GAUGES = r"lb_.*(in_flight|queued|busy|connecting)"


def hurt(server: Player, rng: random.Random) -> str:
    """Break a server that is well."""
    fault = rng.choice(FAULTS)
    if fault == "kill":
        server.kill()
    elif fault == "stop":
        server.stop()
    else:
        server.does(fault)
    return f"{server.name} {fault}"


def heal(incident: Incident) -> None:
    for server in incident.servers:
        if server.process.poll() is not None:
            server.start()
        else:
            server.go_on()
            server.does("ok")


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.soak.faults", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=7)
    chosen = parser.parse_args()
    rng = random.Random(chosen.seed)
    with Incident(CONFIG, rate=300.0, post_every=5) as incident:
        lb = incident.lb
        incident.goes_on(3000)
        memory, descriptors = lb.rss(), lb.descriptors()
        print(f"at first: {memory / MIB:.1f} MiB, {descriptors} descriptors", flush=True)
        since = incident.now()
        end = since + chosen.minutes * 60
        turn = kills = 0
        while incident.now() < end:
            began = incident.now()
            what = [hurt(server, rng) for server in rng.sample(incident.servers, rng.choice((1, 1, 2)))]
            incident.goes_on(600)
            heal(incident)
            incident.goes_on(450)
            turn += 1
            if turn % 3 == 0:
                incident.scenario.lb.signal(signal.SIGHUP)
            if turn % 5 == 0:
                os.kill(rng.choice(lb.workers()), signal.SIGKILL)
                kills += 1
            seen = incident.seen(began)
            shown = f"{lb.rss() / MIB:.1f} MiB, {lb.descriptors()} descriptors"
            print(f"{incident.now() - since:5.0f}s  {' and '.join(what):34s} {seen}  {shown}", flush=True)
        eventually(
            lambda: not incident.seen(incident.now() - 3).failed(), within=60, because="it is not well"
        )
        seen = incident.seen(since)
        incident.load.stop()
        eventually(
            lambda: lb.metric(GAUGES) == 0, within=90, because="something is still counted as under way"
        )
        time.sleep(1)
        grown, more = lb.rss() - memory, lb.descriptors() - descriptors
        print(f"in all: {seen}; {turn} faults, {kills} workers killed")
        print(f"at last: {lb.rss() / MIB:.1f} MiB ({grown / MIB:+.1f}), {lb.descriptors()} fds ({more:+d})")
        return 0 if grown < 0.15 * memory and more < 20 else 1


if __name__ == "__main__":
    sys.exit(main())
