"""`python -m bench.discovery`: lb with hundreds of services out of a real Consul, at rest and under changes.

Every change replaces an instance of one service by another one, in one transaction. Ten of the services are
probes: every second or two one instance of theirs comes or goes, and the time is taken from Consul's word
that it is written until the traffic through lb is another. A paced load of clients goes to a service that
stays as it is. The worker has a core of its own; Consul, load, servers and this program share the other one,
control may use both.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import aiohttp

from bench import install, machine
from bench.loads import LOADS
from bench.places import OTHER_CORE, PROXY_CORE, ROOT
from bench.proxies.lb import COMMAND
from bench.registry import Consul, Registry
from bench.site import Site
from bench.traffic import Generator, origins
from lb.cli import demo_server

PROBES = 10
REST = 20.0  # seconds
START = 120.0
WAIT = 60.0  # for a change to be traffic
POLL = 0.002


class Bench:
    """One lb with its Consul, and everything that is asked of both."""

    def __init__(
        self, site: Site, session: aiohttp.ClientSession, registry: Registry, agent: int, names: list[str]
    ) -> None:
        """`agent`: its process."""
        self.site = site
        self.agent = agent
        self.session = session
        self.registry = registry
        self.loaded, *others = names
        self.probes = others[:: max(1, len(others) // PROBES)][:PROBES]
        self.churned = [name for name in others if name not in self.probes]
        self.old = machine.free_port()
        self.new = machine.free_port()
        self.process: subprocess.Popen[bytes]
        self.delays: list[float] = []

    # ------------------------------------------------------------------------------------- making

    def document(self, consul: int, watches: int) -> dict[str, Any]:
        services: dict[str, Any] = {self.loaded: {"discover": {"consul": {"service": self.loaded}}}}
        for name in sorted([*self.probes, *self.churned]):
            services[name] = {"discover": {"consul": {"service": name}}}
        for name in self.probes:  # traffic goes to whoever else there is
            services[name]["servers"] = [{"address": f"127.0.0.1:{self.old}", "backup": True}]
        return {
            "workers": 1,
            "listeners": [{"name": "web", "bind": self.site.listen}],
            "admin": {"bind": self.site.admin},
            "access_log": {"path": str(self.site.access_log), "format": "json"},
            "state_dir": str(self.site.folder / "state"),
            "routes": [
                {"name": "loaded", "match": {"path_prefix": "/"}, "service": self.loaded},
                *(
                    {"name": name, "match": {"path_prefix": f"/{name}"}, "service": name}
                    for name in services
                    if name != self.loaded
                ),
            ],
            "services": services,
            "discovery": {"consul": {"address": f"http://127.0.0.1:{consul}", "max_watches": watches}},
        }

    async def fill(self, instances: int) -> None:
        steady = [
            self.registry.instance(self.loaded, int(port), host)
            for host, port in (address.rsplit(":", 1) for address in self.site.servers)
        ]
        steady += [self.registry.instance(name, self.old, "127.0.0.1") for name in self.probes]
        left = instances - len(steady)
        places = [self.churned[number % len(self.churned)] for number in range(left)]
        await self.registry.fill([*steady, *(self.registry.instance(name) for name in places)])
        for name, port in (("old", self.old), ("new", self.new)):
            await demo_server.start(name, f"0.0.0.0:{port}")

    async def start(self, program: str, consul: int, watches: int, instances: int) -> tuple[float, float]:
        """Returns the seconds until lb was ready, and until it knew all instances."""
        config = self.site.write("lb.yaml", json.dumps(self.document(consul, watches)))
        with (self.site.folder / "output").open("wb") as output:
            begun = time.monotonic()
            self.process = machine.start(
                [*COMMAND, "run", config], PROXY_CORE, cwd=Path(program), stdout=output, stderr=output,
                environment={"PYTHONPATH": program},
            )  # fmt: skip
        os.sched_setaffinity(self.process.pid, {PROXY_CORE, OTHER_CORE})
        ready = 0.0
        while time.monotonic() - begun < START:
            if self.process.poll() is not None:
                break
            try:
                if not ready:
                    await self.ask("/readyz")
                    ready = time.monotonic() - begun
                known = sum(one["members"] for one in (await self.ask("/api/v1/discovery"))["services"])
                if known == instances:
                    for worker in await self.workers():
                        os.sched_setaffinity(worker, {PROXY_CORE})
                    return ready, time.monotonic() - begun
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.05)
        said = (self.site.folder / "output").read_text(errors="replace")[-2000:]
        raise RuntimeError(f"lb did not come to know all instances:\n{said}")

    # ------------------------------------------------------------------------------------- asking

    async def ask(self, path: str) -> Any:
        async with self.session.get(f"http://{self.site.admin}{path}") as answer:
            if answer.status != 200:
                raise aiohttp.ClientError(f"{path}: {answer.status}")
            text = await answer.text()
            return json.loads(text) if path.startswith("/api/") else text

    async def workers(self) -> list[int]:
        return [worker["pid"] for worker in (await self.ask("/api/v1/status"))["workers"]]

    async def generation(self) -> int:
        return int((await self.ask("/api/v1/status"))["generation"])

    async def memory(self) -> tuple[float, float]:
        """PSS of control and of the worker, in MiB."""
        (worker,) = await self.workers()
        whole, part = machine.memory(self.process.pid).pss, machine.memory(worker).pss
        return (whole - part) / 2**20, part / 2**20

    async def spent(self) -> tuple[float, float, float]:
        """CPU seconds of control, of the worker and of Consul so far."""
        (worker,) = await self.workers()
        times = machine.cpu_time(self.process.pid).alive
        consul = machine.cpu_time(self.agent).alive[self.agent]
        return times[self.process.pid] / 1e9, times[worker] / 1e9, consul / 1e9

    # ------------------------------------------------------------------------------------- changing

    async def probe(self, name: str, seconds: float, random_: random.Random) -> int:
        """Have one instance of a service come and go, and take the times. Returns how often."""
        end = time.monotonic() + seconds
        await asyncio.sleep(random_.uniform(0.0, 2.0))
        instance = None
        changes = 0
        while time.monotonic() < end or instance is not None:
            if instance is None:
                instance = self.registry.instance(name, self.new)
                await self.registry.write([instance.come()])
                wanted = "new"
            else:
                await self.registry.write([instance.go()])
                instance, wanted = None, "old"
            changes += 1
            written = time.monotonic()
            while await self._who(name) != f"hello from {wanted}\n":
                if time.monotonic() > written + WAIT:
                    raise RuntimeError(f"a change of {name} is not in force after {WAIT:g} s")
                await asyncio.sleep(POLL)
            self.delays.append(time.monotonic() - written)
            await asyncio.sleep(random_.uniform(1.0, 2.0))
        return changes

    async def _who(self, name: str) -> str:
        async with self.session.get(f"http://{self.site.listen}/{name}") as answer:
            return await answer.text()

    async def change(self, rate: float | None, seconds: float, load: float) -> dict[str, float]:
        """`rate`: changes a second beside those of the probes; None: nothing changes at all."""
        self.delays = []
        with closing(Generator(LOADS["keepalive-1k"], self.site, seconds, load)) as generator:
            await asyncio.to_thread(generator.ready)
            generations, before, begun = await self.generation(), await self.spent(), time.monotonic()
            clients = asyncio.create_task(asyncio.to_thread(generator.measure))
            changes: Sequence[int] = [0]
            if rate is not None:
                changes = await asyncio.gather(
                    self.registry.churn(self.churned, rate, seconds),
                    *(self.probe(name, seconds, random.Random(name)) for name in self.probes),
                )
            seen = await clients
            took, after = time.monotonic() - begun, await self.spent()
            generations = await self.generation() - generations
        delays = sorted(self.delays) or [0.0]
        return {
            "changes": sum(changes) / took,
            "generations": generations / took,
            "median": statistics.median(delays),
            "p99": delays[int(len(delays) * 0.99)],
            "delays": len(self.delays),
            "control": (after[0] - before[0]) / took,
            "worker": (after[1] - before[1]) / took,
            "consul": (after[2] - before[2]) / took,
            "client_p50": seen["latency_us"]["p50"],
            "client_p99": seen["latency_us"]["p99"],
            "failures": float(sum(seen["failures"].values())),
        }  # fmt: skip


async def measured(chosen: argparse.Namespace, consul: Consul, site: Site) -> None:
    names = [f"service-{number:04d}" for number in range(chosen.services)]
    timeout = aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as session:
        registry = Registry(session, consul.port)
        assert consul.process is not None
        bench = Bench(site, session, registry, consul.process.pid, names)
        await registry.leads(30.0)
        say("registering")
        await bench.fill(chosen.instances)
        say("starting lb")
        try:
            ready, known = await bench.start(str(chosen.lb), consul.port, chosen.watches, chosen.instances)
            print(f"ready after {ready:.1f} s, all {chosen.instances} instances known after {known:.1f} s")
            await asyncio.sleep(5.0)
            before = await bench.spent()
            await asyncio.sleep(REST)
            rest = [100 * (b - a) / REST for a, b in zip(before, await bench.spent(), strict=True)]
            print("at rest: control {:.1f} %, worker {:.1f} %, Consul {:.1f} % of a core".format(*rest))
            print("memory (PSS): control {:.0f} MiB, worker {:.0f} MiB".format(*await bench.memory()))
            print(HEAD, flush=True)
            still = 0.0
            for rate in (None, *chosen.rates):
                say(f"{rate or 0:g} changes a second beside the probes")
                found = await bench.change(rate, chosen.seconds, chosen.load)
                still = still or found["control"]
                row(found, still)
            print("memory (PSS): control {:.0f} MiB, worker {:.0f} MiB".format(*await bench.memory()))
        finally:
            if hasattr(bench, "process"):
                machine.stop(bench.process)


HEAD = """
| changes /s | generations /s | to traffic p50 | p99 | control | each | worker | Consul | clients p50 | p99 |
|---|---|---|---|---|---|---|---|---|---|"""


def row(found: dict[str, float], still: float) -> None:
    each = 1000 * (found["control"] - still) / found["changes"] if found["changes"] else 0.0
    print(
        f"| {found['changes']:.0f} | {found['generations']:.1f} | {found['median'] * 1000:.0f} ms "
        f"| {found['p99'] * 1000:.0f} ms | {found['control']:.0%} | {each:.1f} ms | {found['worker']:.0%} "
        f"| {found['consul']:.0%} "
        f"| {found['client_p50']:.0f} µs | {found['client_p99']:.0f} µs |",
        flush=True,
    )
    if found["failures"]:
        print(f"{found['failures']:.0f} requests of clients failed", flush=True)


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.discovery", description=__doc__)
    parser.add_argument("--services", type=int, default=500)
    parser.add_argument("--instances", type=int, default=5000)
    parser.add_argument("--watches", type=int, default=150, help="discovery.consul.max_watches")
    parser.add_argument(
        "--rates", type=float, nargs="*", default=[0, 10, 50, 100, 200], help="changes a second"
    )
    parser.add_argument("--seconds", type=float, default=30.0, help="of each rate")
    parser.add_argument("--load", type=float, default=2000.0, help="requests a second")
    parser.add_argument("--lb", type=Path, default=ROOT, help="a checkout")
    chosen = parser.parse_args()
    install.compile_traffic()
    os.sched_setaffinity(0, {OTHER_CORE})
    with tempfile.TemporaryDirectory(prefix="bench-discovery-") as name, origins(Path(name)) as servers:
        site = Site(Path(name), machine.free_port(), machine.free_port(), servers.addresses(2))
        consul = Consul(max(200, chosen.watches + 100))
        try:
            asyncio.run(measured(chosen, consul, site))
        finally:
            consul.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
