"""A cluster of three processes on a real engine, faults at random, and the history that came of it.

The wires are in this process: every node reaches every server of the engine through one of its own, which
can be cut, lose the answers, or be late. What is tried is drawn from the seed before anything runs; when it
meets the cluster, the machine decides. A fault is counted where it was seen to happen.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import NamedTuple

from tests.cluster.wire import Wire
from tests.safety.engines import LAPSE
from tests.safety.judge import judged
from tests.safety.spawning import Node

NODES = ("lb-1", "lb-2", "lb-3")
KINDS = (
    "stop", "stop-in-commit", "kill", "kill-in-commit", "cut", "deaf", "late", "clock", "stall",
    "stall-elector", "resign",
)  # fmt: skip
BRIEF = ("clock", "resign")  # there is no time in which another could lead
FAULTS = 8  # in one run, before the leader is killed for good
HEALED = 60.0  # seconds after the faults within which everything must be in order
ENDS = ("started", "elected", "deposed", "expired", "resigned", "ended")


class Fault(NamedTuple):
    """`victim`: of the nodes, where it is not the leader; durations in leases."""

    kind: str
    leader: bool
    victim: int
    long: float
    after: float
    jump: int  # seconds that the clock is stepped
    moment: float  # seconds after a publication was sent

    def __str__(self):
        return f"{self.kind} of {'the leader' if self.leader else NODES[self.victim]}"


def plan(seed, faults=FAULTS, kinds=KINDS):
    random = Random(seed)
    return [
        Fault(
            random.choice(kinds), random.random() < 0.7, random.randrange(3), random.uniform(1.2, 2.0),
            random.uniform(0.1, 0.6), random.choice((-86400, -30, 30, 86400)), random.uniform(0, 0.01),
        )
        for _ in range(faults)
    ]  # fmt: skip


class Run:
    """One cluster from its first publication to its judgement."""

    kinds, staged, node, spawner = KINDS, 0.3, Node, "tests.safety.spawner"
    longer = 0.0  # leases that every fault lasts longer, those of the engine's beside

    def __init__(self, ground, seed, engine=None, faults=FAULTS, healed=HEALED):
        self.ground, self.seed = ground, seed
        self.engine = engine or ground.engine
        self.ttl = ground.ttl
        self.more = LAPSE.get(self.engine, 0.0) + self.longer
        self.plan, self.healed = plan(seed, faults, self.kinds), healed
        self.random = Random(f"{seed}, publications")
        self.folder = Path(tempfile.mkdtemp(prefix="lb-safety-"))
        self.cluster = f"run-{seed}"
        self.nodes = []
        self.number = 0
        self.begun = False  # something was published
        self.first = {}  # by staged revision: the nodes that it is for
        self.faults, self.published, self.found = Counter(), [], []
        # by kind: faults of a leader that outlasted its lease, and those in which another was elected
        self.outlasted, self.overtaken = Counter(), Counter()

    def given(self):
        """What all nodes are given, but for their wires."""
        return {
            "engine": self.engine, "cluster": self.cluster, "ttl": self.ttl,
            "shared": str(self.folder / "shared"),
        }  # fmt: skip

    async def begin(self):
        for name in NODES:
            wires = [await Wire(server.port).start() for server in self.ground.servers]
            given = {**self.given(), "ports": [wire.port for wire in wires]}
            self.nodes.append(self.node(self.ground.spawner, self.folder, name, wires, given))
        await asyncio.gather(*(node.start() for node in self.nodes))

    async def end(self):
        for node in self.nodes:
            await node.kill()
            node.close()
            for wire in node.wires:
                await wire.stop()

    def leader(self):
        """The last elected of those that live and did not say that it ended; None where that is nobody. One
        that was paused says so when another leads already."""
        found = [
            (line["epoch"], node)
            for node in self.nodes
            if (line := next((one for one in reversed(node.heard()) if one["what"] in ENDS), None))
            and line["what"] == "elected"
            and node.lives
        ]
        return max(found, key=lambda one: one[0])[1] if found else None

    def applied(self):
        return any(line["what"] == "applied" for node in self.nodes for line in node.heard())

    async def until(self, condition, within):
        end = time.monotonic() + within
        while not (found := condition()):
            if time.monotonic() > end:
                return None
            await asyncio.sleep(0.05)
        return found

    def publish(self):
        self.number += 1
        # Not before the first is there: the other nodes could stay with nothing.
        staged = self.begun and self.random.random() < self.staged
        first = f" {self.random.choice(NODES)}" if staged else ""
        self.random.choice(self.nodes).order(f"push {self.number}{first}")

    async def pass_time(self, leases):
        end = time.monotonic() + leases * self.ttl
        while (left := end - time.monotonic()) > 0:
            await asyncio.sleep(min(left, self.random.uniform(0.15, 0.45) * self.ttl))
            self.publish()

    async def disturb(self, fault):
        leader = self.leader() if fault.leader else None
        unlucky = leader or self.nodes[fault.victim]
        if not unlucky.lives:
            await unlucky.start()
        began = time.monotonic()
        met = await self.befall(unlucky, fault._replace(long=fault.long + self.more))
        if leader and met and fault.kind not in BRIEF and time.monotonic() - began > self.ttl:
            self.outlasted[fault.kind] += 1
            self.overtaken[fault.kind] += any(
                line["what"] == "elected" and line["at"] > began
                for node in self.nodes if node is not unlucky for line in node.heard()
            )  # fmt: skip
        await self.pass_time(fault.after)

    async def befall(self, unlucky, fault):
        """Whether it was seen to happen."""
        kind, seen = fault.kind, len(unlucky.heard())

        def did():
            return any(line.get("fault") == kind for line in unlucky.heard()[seen:])

        match kind:
            case "stop" | "stop-control":
                unlucky.pause(True, only_control=kind == "stop-control")
                await self.pass_time(fault.long)
                met = unlucky.state == "T"
                self.faults[kind] += met
                unlucky.pause(False)
                return met
            case "stop-in-commit" | "kill-in-commit":
                # Where the next publication is this node's, which need not be.
                word = kind.partition("-")[0]
                unlucky.order(f"in-commit {word} {fault.moment:.4f} {time.monotonic() + self.ttl}")
                self.publish()
                met = await self.until(did, self.ttl)
                if met:
                    await self.pass_time(fault.long)
                unlucky.pause(False)
                return met
            case "kill" | "kill-control":
                await unlucky.kill(only_control=kind == "kill-control")
                self.faults[kind] += 1
                # at once, or after the lease
                await self.pass_time((fault.long - self.more - 1.2) * 2 * (1 + self.more))
                await unlucky.start()
                return True
            case "cut" | "deaf" | "late":
                before = unlucky.harmed()
                if kind == "late":
                    unlucky.late(time.monotonic() + fault.long * self.ttl)
                else:
                    unlucky.trouble(cut=kind == "cut", deaf=kind == "deaf")
                await self.pass_time(fault.long)
                met = unlucky.harmed() > before
                self.faults[kind] += met
                if kind != "late":
                    unlucky.trouble()
                return met
            case "stall" | "stall-elector":
                unlucky.order(f"{kind} {fault.long * self.ttl:.2f}")
                await self.pass_time(fault.long)
                return await self.until(did, self.ttl)
            case "clock":
                unlucky.order(f"clock {fault.jump}")
            case "resign":
                unlucky.order("resign")
        return False

    async def suffer(self):
        """All faults of the plan."""
        await self.begin()
        await self.until(self.leader, 60)
        end = time.monotonic() + 60
        while not self.begun and time.monotonic() < end:  # the engine may be killed just now
            self.publish()
            self.begun = bool(await self.until(self.applied, 5 * self.ttl))
        for fault in self.plan:
            await self.disturb(fault)

    async def settle(self):
        """The violations, none at best, when the engine is well again; `end` must follow."""
        self.found = await judged(self)

    async def finish(self):
        """Its folder stays where something was found."""
        await self.end()
        for node in self.nodes:
            self.faults.update(line["fault"] for line in node.heard() if line["what"] == "did")
        if not self.found:
            shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def elections(self):
        return sum(line["what"] == "elected" for node in self.nodes for line in node.heard())


async def batch(ground, seeds, at_once, told, engine=None, kind=Run, **more):
    """All runs, in waves of so many clusters at a time: while they have faults, so has their engine; when all
    have had theirs it is healed, and they are judged."""
    seeds, done = list(seeds), []
    await ground.ready()
    for at in range(0, len(seeds), at_once):
        runs = [kind(ground, seed, engine, **more) for seed in seeds[at : at + at_once]]
        disturbing = asyncio.create_task(ground.trouble(Random(f"{seeds[at]}, servers")))
        try:
            try:
                ended = await asyncio.gather(*(run.suffer() for run in runs), return_exceptions=True)
            finally:
                disturbing.cancel()
                (failed,) = await asyncio.gather(disturbing, return_exceptions=True)
            if isinstance(failed, Exception):
                raise failed
            await ground.healed()
            judged = await asyncio.gather(*(run.settle() for run in runs), return_exceptions=True)
            for run, *errors in zip(runs, ended, judged, strict=True):
                run.found += [f"the harness: {error!r}" for error in errors if error is not None]
        finally:
            await asyncio.gather(*(run.finish() for run in runs))
        for run in runs:
            told(run)
        done += runs
    return done
