"""One run: a fresh proxy, one load, everything that is measured of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import machine
from bench.loads import Load
from bench.places import OTHER_CORE, PROXY_CORE
from bench.proxies import Proxy
from bench.site import Launch, Site, request_paths, route_prefixes
from bench.traffic import Generator, Origins, await_answer

_START_SECONDS = 90.0  # five thousand routes take some of them a while
_ERROR_LINES = 5


@dataclass(frozen=True, slots=True)
class Pace:
    """How long the measured part takes, requests per second (0: as fast as answers come), and how long the
    proxy has been up before there is any. `apart`: its first process (lb's control) leaves the core to the
    others then."""

    seconds: float
    rate: float = 0.0
    settle: float = 0.0
    apart: bool = False


def measure(load: Load, proxy: Proxy, program: str, origins: Origins, pace: Pace) -> dict[str, Any]:
    """Start the proxy, load it, stop it. Raises RuntimeError, with what the proxy said, if it fails.

    Returns latencies (p50, p99, p999, slowest) in µs; `cpu` in µs per request of the whole process tree;
    `rate` in answered requests per second; memory in bytes, as PSS unless it says RSS, with the
    connections open after the load; `unsent`, the requests of a paced run that fell due and found every
    connection busy until its end; `reconnects`, the idle connections that the proxy closed;
    `server_connections` opened by the proxy; and the lines of its access log.
    """
    folder = Path(tempfile.mkdtemp(prefix=f"bench-{proxy.name}-"))
    try:
        site = Site(
            folder=folder,
            port=machine.free_port(),
            admin_port=machine.free_port(),
            servers=origins.addresses(load.servers),
            routes=route_prefixes(load.routes),
            least_connections=load.least_connections,
        )
        launch = proxy.configure(site, program)
        running = _start(launch, folder)
        try:
            await_answer(launch.metrics, _START_SECONDS, [running])
            time.sleep(pace.settle)
            if pace.apart:
                os.sched_setaffinity(running.pid, {OTHER_CORE})
            figures = _observe(load, site, running, origins, pace)
        except (RuntimeError, OSError) as error:
            raise RuntimeError(f"{error}\n{_said(folder)}") from error
        finally:
            machine.stop(running)
        lines = _count_lines(launch.access_log)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return {**figures, "log_lines": lines}


def _start(launch: Launch, folder: Path) -> subprocess.Popen[bytes]:
    output = launch.access_log if launch.log_is_stdout else folder / "output"
    with output.open("wb") as stdout, (folder / "errors").open("wb") as stderr:
        return machine.start(
            launch.command,
            PROXY_CORE,
            cwd=launch.cwd,
            stdout=stdout,
            stderr=stderr,
            environment=dict(launch.environment),
        )


def _observe(
    load: Load,
    site: Site,
    running: subprocess.Popen[bytes],
    origins: Origins,
    pace: Pace,
) -> dict[str, Any]:
    first = request_paths(site.routes, "/1k")[0]
    await_answer(f"http://{site.listen}{first}", _START_SECONDS, [running])
    at_start = machine.memory(running.pid)
    servers_before = origins.connections()
    generator = Generator(load, site, pace.seconds, pace.rate)
    try:
        generator.ready()
        before = machine.cpu_time(running.pid)
        seen = generator.measure()
        spent = machine.cpu_time(running.pid).since(before)
        loaded = machine.memory(running.pid)
    finally:
        generator.close()
    requests, elapsed = int(seen["requests"]), float(seen["seconds"])
    latency = seen["latency_us"]
    return {
        "requests": requests,
        "rate": requests / elapsed,
        "offered_rate": pace.rate,
        "unsent": seen["unsent"],
        "cpu": spent / 1e3 / requests if requests else 0.0,
        "core_busy": spent / 1e9 / elapsed,
        "p50": latency["p50"],
        "p99": latency["p99"],
        "p999": latency["p999"],
        "slowest": latency["max"],
        "memory": loaded.pss,
        "memory_rss": loaded.rss,
        "memory_start": at_start.pss,
        "memory_per_connection": (loaded.pss - at_start.pss) / load.connections,
        "failures": seen["failures"],
        "reconnects": seen["reconnects"],
        "server_connections": origins.connections() - servers_before,
    }


def _count_lines(path: Path) -> int:
    if not path.exists():
        return 0
    lines = 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            lines += block.count(b"\n")
    return lines


def _said(folder: Path) -> str:
    """The last lines of what a proxy wrote to its error streams."""
    lines: list[str] = []
    for name in ("errors", "error.log", "output"):
        path = folder / name
        if path.exists() and os.path.getsize(path):
            lines += path.read_text(errors="replace").splitlines()[-_ERROR_LINES:]
    return "\n".join(lines) or "(it said nothing)"
