"""`python -m bench.probes`: what the probes of 2,000 servers do to the latency of clients.

The same paced load, round by round in turn on two lbs that differ in one thing: one of them checks 2,000
servers every five seconds. All processes of lb share one core, as in every run of this benchmark. That is the
worst case: elsewhere control has a core that no worker uses.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench import install, machine
from bench.loads import LOADS
from bench.measure import Pace, measure
from bench.places import ORIGIN, OTHER_CORE, ROOT
from bench.proxies.contract import Proxy
from bench.proxies.lb import PROXY, document
from bench.site import Launch, Site
from bench.traffic import await_answer, origins

SERVERS = 2000
CHECK = {"http": "/1k", "interval": "5s"}


@contextmanager
def watched(folder: Path) -> Iterator[list[str]]:
    """So many servers as one process with as many addresses."""
    port = machine.free_port()
    addresses = [f"127.0.{2 + number // 250}.{1 + number % 250}:{port}" for number in range(SERVERS)]
    process = machine.start([str(ORIGIN), *addresses], OTHER_CORE, cwd=folder, stderr=2)
    try:
        await_answer(f"http://{addresses[-1]}/counts", 10.0, [process])
        yield addresses
    finally:
        machine.stop(process)


def variant(addresses: list[str], check: dict[str, Any] | None) -> Proxy:
    """lb with a second service of these servers, which gets no requests."""

    def configure(site: Site, program: str) -> Launch:
        launch = PROXY.configure(site, program)
        text = document(site)
        text["services"]["watched"] = {"servers": addresses} | ({"health_check": check} if check else {})
        site.write("lb.yaml", json.dumps(text))
        return launch

    return replace(PROXY, configure=configure)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.probes", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=6.0, help="more than one interval of the checks")
    parser.add_argument("--rate", type=float, default=15_000.0)
    chosen = parser.parse_args()
    install.compile_traffic()
    os.sched_setaffinity(0, {OTHER_CORE})
    load = LOADS["keepalive-1k"]
    figures: dict[str, list[dict[str, Any]]] = {"without": [], "with": []}
    with (
        tempfile.TemporaryDirectory(prefix="bench-probes-") as name,
        origins(Path(name)) as servers,
        watched(Path(name)) as addresses,
    ):
        both = {"without": variant(addresses, None), "with": variant(addresses, CHECK)}
        for number in range(chosen.rounds):
            for which in sorted(both, reverse=bool(number % 2)):
                run = measure(load, both[which], str(ROOT), servers, Pace(chosen.seconds, chosen.rate))
                figures[which].append(run)
                print(
                    f"{number + 1} {which:8s} p50 {run['p50']:.0f} µs  p99 {run['p99']:.0f} µs  "
                    f"p99.9 {run['p999']:.0f} µs  core busy {run['core_busy']:.2f}",
                    flush=True,
                )
    for key in ("p50", "p99", "p999", "core_busy"):
        without, with_ = (statistics.median(run[key] for run in figures[w]) for w in ("without", "with"))
        ratios = [a[key] / b[key] for a, b in zip(figures["with"], figures["without"], strict=True)]
        print(f"{key}: {without:.4g} without, {with_:.4g} with; median ratio {statistics.median(ratios):.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
