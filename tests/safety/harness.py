"""A cluster of three processes on a real engine, faults at random, and the history that came of it.

The wires are in this process: every node reaches every server of the engine through one of its own, which
can be cut, or lose the answers. What is judged is what the nodes wrote down and what is in the store at the
end, read over a wire that nobody disturbs.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import signal
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from random import Random

import msgspec

from lb.cluster.contract import EngineError
from lb.cluster.records import Revision
from tests.cluster.checker import Published, strays, violations
from tests.cluster.real import Server
from tests.cluster.several import Several
from tests.cluster.wire import Wire
from tests.safety.node import engine_of

ROOT = Path(__file__).resolve().parents[2]
NODES = ("lb-1", "lb-2", "lb-3")
SECTIONS = {
    "consul": lambda ports: {"address": [f"http://127.0.0.1:{port}" for port in ports]},
    "etcd": lambda ports: {"endpoints": [f"http://127.0.0.1:{port}" for port in ports]},
    "zookeeper": lambda ports: {"servers": [f"127.0.0.1:{port}" for port in ports]},
    "redis": lambda ports: {"url": f"redis://127.0.0.1:{ports[0]}"},
}
SECTIONS["naive"] = SECTIONS["redis"]
ENGINES = ("local", "consul", "etcd", "zookeeper", "redis")
TTL = {"consul": 10.0}  # the least that Consul takes; the others: 2
FAULTS = 8  # in one run
HEALED = 90.0  # seconds after the faults within which everything must be in order


class Ground:
    """The servers of one engine, for any number of clusters at a time: three that elect a leader, one Redis,
    none for local."""

    def __init__(self, engine):
        self.engine = engine
        self.several = Several(engine) if engine in ("consul", "etcd", "zookeeper") else None
        if self.several is not None:
            self.servers = self.several.servers
        else:
            self.servers = [] if engine == "local" else [Server("redis")]

    async def ready(self):
        while self.several is not None and not await asyncio.to_thread(self.several.leader):
            await asyncio.sleep(0.2)

    async def trouble(self, random):
        """Until cancelled: kill a server, the leader rather than another, or all; start them again."""
        ttl = TTL.get(self.engine, 2.0)
        try:
            while self.servers:
                await asyncio.sleep(random.uniform(2, 4) * ttl)
                leader = await asyncio.to_thread(self.several.leader) if self.several else None
                chosen = [leader or random.choice(self.servers)]
                if random.random() < 0.3:
                    chosen = self.servers
                for server in chosen:
                    server.stop()
                await asyncio.sleep(random.uniform(0.1, 1.0) * ttl)
                self.start()
        finally:
            self.start()

    def start(self):
        for server in self.servers:
            if server.process.poll() is not None:
                server.launch()

    def close(self):
        for server in self.servers:
            server.close()


class Node:
    """A process of tests.safety.node, over its restarts."""

    def __init__(self, run, name, wires):
        self.name, self.wires, self.run = name, wires, run
        self.log = run.folder / f"{name}.log"
        self.process = None
        self.paused = False
        self.given = {
            **run.given([wire.port for wire in wires]), "node": name, "folder": str(run.folder / name),
            "log": str(self.log),
        }  # fmt: skip

    async def start(self):
        with open(self.run.folder / f"{self.name}.err", "ab") as errors:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.safety.node", json.dumps(self.given), cwd=ROOT,
                stdin=asyncio.subprocess.PIPE, stdout=errors, stderr=errors,
            )  # fmt: skip

    @property
    def lives(self):
        return self.process is not None and self.process.returncode is None

    def order(self, words):
        if self.lives:
            self.process.stdin.write(f"{words}\n".encode())

    async def kill(self):
        if self.lives:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
            await self.process.wait()
        self.paused = False

    def pause(self, on):
        if self.lives:
            self.process.send_signal(signal.SIGSTOP if on else signal.SIGCONT)
        self.paused = on

    def cut(self, on=False, deaf=False):
        for wire in self.wires:
            wire.cut, wire.deaf = on, deaf
            wire.hang_up()

    def heard(self):
        """What it wrote down so far."""
        if not self.log.exists():
            return []
        return [json.loads(line) for line in self.log.read_text().splitlines()]


class Run:
    """One cluster from its first publication to its judgement."""

    def __init__(self, ground, seed, engine=None):
        self.ground, self.random, self.seed = ground, Random(seed), seed
        self.engine = engine or ground.engine
        self.ttl = TTL.get(self.engine, 2.0)
        self.folder = Path(tempfile.mkdtemp(prefix="lb-safety-"))
        self.cluster = f"run-{seed}"
        self.nodes = []
        self.number = 0
        self.first = {}  # by staged revision: the nodes that it is for
        self.faults = []

    def given(self, ports):
        section = (
            {"folder": str(self.folder / "shared")}
            if self.engine == "local"
            else SECTIONS[self.engine](ports)
        )
        return {"engine": self.engine, "section": section, "cluster": self.cluster, "ttl": self.ttl}

    async def begin(self):
        for name in NODES:
            wires = [await Wire(server.port).start() for server in self.ground.servers]
            self.nodes.append(Node(self, name, wires))
        await asyncio.gather(*(node.start() for node in self.nodes))

    async def end(self):
        for node in self.nodes:
            await node.kill()
            for wire in node.wires:
                await wire.stop()

    def leader(self):
        """Whoever was elected last and did not say that it ended; None where that is nobody."""
        last = None
        for node in self.nodes:
            for line in node.heard():
                if line["what"] in ("elected", "deposed", "expired", "resigned", "ended"):
                    if last is None or line["at"] > last[0]:
                        last = (line["at"], node if line["what"] == "elected" else None)
        return last[1] if last else None

    async def until(self, condition, within):
        end = time.monotonic() + within
        while not (found := condition()):
            if time.monotonic() > end:
                return None
            await asyncio.sleep(0.05)
        return found

    def publish(self):
        self.number += 1
        first = f" {self.random.choice(NODES)}" if self.random.random() < 0.3 else ""
        self.random.choice(self.nodes).order(f"push {self.number}{first}")

    async def disturb(self):
        """One fault, at the leader rather than at another."""
        leader = self.leader()
        unlucky = (
            leader if leader is not None and self.random.random() < 0.7 else self.random.choice(self.nodes)
        )
        fault = self.random.choice(
            ("stop", "kill", "cut", "deaf", "clock", "stall", "stall-elector", "resign")
        )
        self.faults.append(f"{fault} {unlucky.name}")
        long = self.random.uniform(1.2, 2.0) * self.ttl
        match fault:
            case "stop":
                unlucky.pause(True)
                await self.pass_time(long)
                unlucky.pause(False)
            case "kill":
                await unlucky.kill()
                if self.random.random() < 0.7:
                    await self.pass_time(self.random.uniform(0, 1.5) * self.ttl)
                    await unlucky.start()
            case "cut" | "deaf":
                unlucky.cut(on=fault == "cut", deaf=fault == "deaf")
                await self.pass_time(long)
                unlucky.cut()
            case "clock":
                unlucky.order(f"clock {self.random.choice((-86400, -30, 30, 86400))}")
            case "stall" | "stall-elector":
                unlucky.order(f"{fault} {long:.2f}")
            case "resign":
                unlucky.order("resign")

    async def pass_time(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            await asyncio.sleep(self.random.uniform(0.1, 0.4) * self.ttl)
            if self.number < 15:  # the store keeps 20
                self.publish()

    async def history(self):
        """The violations that were found, none at best."""
        try:
            await self.begin()
            await self.until(self.leader, 60)
            self.publish()
            for _ in range(FAULTS):
                await self.disturb()
                await self.pass_time(self.random.uniform(0.1, 0.6) * self.ttl)
            return await self.judge()
        finally:
            await self.end()

    async def judge(self):
        for node in self.nodes:
            if node.paused:
                node.pause(False)
            node.cut()
        # Of those that were killed and stay so, the first is not started: nobody may wait for it.
        dead = [node for node in self.nodes if not node.lives]
        for node in dead[1:]:
            await node.start()
        live = [node for node in self.nodes if node.lives]
        found = []
        numbers = range(1000, 1100)
        for number in numbers:
            live[number % len(live)].order(f"push {number}")
            if await self.until(partial(self.promised, number, live), HEALED / 6):
                break
            if number - 1000 > 6:
                found.append("nobody could publish when everything was healed")
                break
        said = await self.stored()
        if said and not found:
            await self.until(lambda: all(_applied(n)[-1:] == said[-1:] for n in live), 20)
            said = await self.stored()
        applied = {node.name: _applied(node) for node in self.nodes}
        found += violations(said, applied, [node.name for node in live] if not found else [])
        found += strays(self.first, applied)
        by_number = {one.revision: one for one in said}
        for node in self.nodes:
            for line in node.heard():
                if line["what"] == "accepted" and _published(line) not in said:
                    found.append(
                        f"{_published(line)} was accepted; the store has {by_number.get(line['revision'])}"
                    )
                if line["what"] == "promised" and line["revision"] not in by_number:
                    found.append(f"revision {line['revision']} was promised by {node.name}, and is not there")
                if line["what"] == "bug":
                    found.append(f"{node.name}: {line['text']}")
        self.published = len(said)
        if not found:
            shutil.rmtree(self.folder, ignore_errors=True)
        return found

    def promised(self, number, live):
        return any(
            line["what"] == "promised" and line["number"] == number for node in live for line in node.heard()
        )

    async def stored(self):
        """What was accepted, in the order of the store."""
        ports = [server.port for server in self.ground.servers]
        engine = engine_of({**self.given(ports), "node": "judge", "folder": str(self.folder / "judge")})
        try:
            end = time.monotonic() + 30
            while True:
                try:
                    entries = await engine.list("revisions")
                    break
                except EngineError:
                    if time.monotonic() > end:
                        raise
                    await asyncio.sleep(0.5)
        finally:
            await engine.close()
        ordered = sorted(entries.values(), key=lambda entry: entry.version)
        found = [msgspec.json.decode(entry.value, type=Revision) for entry in ordered]
        self.first = {one.revision: one.stage.first for one in found if one.stage is not None}
        return [Published(one.revision, one.epoch, one.digest) for one in found]


def _published(line):
    return Published(line["revision"], line["epoch"], line["digest"])


def _applied(node):
    return [_published(line) for line in node.heard() if line["what"] == "applied"]


async def batch(ground, seeds, engine=None, at_once=8, told=lambda run, found: None):
    """Violations by seed; so many clusters at a time, whose engine is in trouble now and then."""
    found, waiting = {}, list(seeds)
    await ground.ready()
    disturbing = asyncio.create_task(ground.trouble(Random(waiting[0])))

    async def serve():
        while waiting:
            run = Run(ground, waiting.pop(0), engine)
            found[run.seed] = await run.history()
            told(run, found[run.seed])

    try:
        await asyncio.gather(*(serve() for _ in range(at_once)))
    finally:
        disturbing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await disturbing
    return found
