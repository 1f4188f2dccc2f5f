"""One run: a fresh proxy, one load, everything that is measured of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench import machine
from bench.loads import Load
from bench.places import PROXY_CORE, ROOT
from bench.proxies import Proxy
from bench.site import Launch, Site, request_paths, route_prefixes
from bench.traffic import Generator, Origins, await_answer, fetch

_START_SECONDS = 90.0  # five thousand routes take some of them a while
_ERROR_LINES = 15


@dataclass(frozen=True, slots=True)
class Run:
    """What one run gave. Times in µs, memory in bytes of the whole process tree (PSS, and RSS beside it)."""

    load: str
    proxy: str
    round: int
    requests: int
    rate: float  # answered requests per second
    offered_rate: float  # 0: as fast as answers came
    unsent: int  # paced runs: requests that fell due and found every connection busy until the end
    cpu: float  # CPU µs per request of the whole tree
    core_busy: float  # share of the run that the tree spent on its core
    p50: float
    p99: float
    p999: float
    slowest: float
    memory: int  # PSS with the connections open, after the load
    memory_rss: int
    memory_start: int  # PSS after the first request
    memory_per_connection: float
    failures: dict[str, int]
    reconnects: int  # connections closed by the proxy while idle
    server_connections: int  # connections opened to the servers
    log_lines: int

    def failed(self) -> int:
        return sum(self.failures.values())

    def record(self) -> dict[str, Any]:
        return asdict(self)


def measure(
    load: Load, proxy: Proxy, program: str, origins: Origins, number: int, seconds: float, rate: float
) -> Run:
    """Start the proxy, load it, stop it. Raises RuntimeError, with what the proxy said, if it fails."""
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
            figures = _observe(load, site, launch, running, origins, seconds, rate)
        except (RuntimeError, OSError) as error:
            raise RuntimeError(f"{load.name}, {proxy.name}: {error}\n{_said(folder)}") from error
        finally:
            machine.stop(running)
        lines = _count_lines(launch.access_log)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Run(load=load.name, proxy=proxy.name, round=number, log_lines=lines, **figures)


def _start(launch: Launch, folder: Path) -> subprocess.Popen[bytes]:
    output = launch.access_log if launch.log_is_stdout else folder / "output"
    with output.open("wb") as stdout, (folder / "errors").open("wb") as stderr:
        return machine.start(
            launch.command,
            PROXY_CORE,
            cwd=ROOT,
            stdout=stdout,
            stderr=stderr,
            environment=dict(launch.environment),
        )


def _observe(
    load: Load,
    site: Site,
    launch: Launch,
    running: subprocess.Popen[bytes],
    origins: Origins,
    seconds: float,
    rate: float,
) -> dict[str, Any]:
    first = request_paths(site.routes, "/1k")[0]
    await_answer(f"http://{site.listen}{first}", _START_SECONDS, [running])
    await_answer(launch.metrics, _START_SECONDS, [running])
    fetch(f"http://{site.listen}{request_paths(site.routes, '/1k')[-1]}")
    at_start = machine.memory(running.pid)
    servers_before = origins.connections()
    generator = Generator(load, site.routes, site.port, site.folder, seconds, rate)
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
        "offered_rate": rate,
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
