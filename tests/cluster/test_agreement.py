"""Three nodes agree, whatever engine and network do: simulated in virtual time, with faults at random."""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path
from random import Random
from typing import NamedTuple

import msgspec
import pytest

from lb.cluster.contract import Deposed, EngineError
from lb.cluster.desk import Desk
from lb.cluster.elector import Elector
from lb.cluster.following import Applied, Follower
from lb.cluster.heard import Heard
from lb.cluster.memory import Memory
from lb.cluster.records import HEAD, CorruptError, Revision, Stage, Traffic, Wish
from lb.cluster.shared import Shared
from lb.cluster.wishing import UnheardError, ask
from tests.cluster.checker import Published, strays, violations
from tests.cluster.memory import MemoryEngine, MemoryStore
from tests.cluster.virtual import run

TTL = 6.0
NAMES = ("lb-1", "lb-2", "lb-3")


async def no_problems(file, text):
    return []


class LawlessEngine(MemoryEngine):
    """Checks before the write and not in it, what the contract forbids; its holder is paused in between."""

    async def commit(self, term, writes):
        lead = self.store.lead()
        if lead is None or lead[2] != term.epoch:
            raise Deposed("over")
        await asyncio.sleep(self.random.choice([0, 2 * TTL]))

        def steps():
            self.store.write([write._replace(version=None) for write in writes])
            self.store.accepted.append((term.epoch, writes))

        await self._call("commit", steps)


class Member:
    """A node of the simulation, over its restarts."""

    def __init__(self, name, store, folder, random, kind=MemoryEngine):
        self.name, self.store, self.folder, self.random, self.kind = name, store, folder, random, kind
        self.applied = []
        self.bugs = []
        self.requests = self.failures = 0
        folder.mkdir()
        self.start()

    def start(self):
        now = asyncio.get_running_loop().time
        self.engines = [
            self.kind(self.store, Random(self.random.random()), value_limit=3000) for _ in range(2)
        ]
        memory = Memory(self.folder, Path.write_bytes)
        self.shared = Shared(self.engines[1])
        heard = Heard(self.shared)
        self.elector = Elector(
            self.engines[0], self.name, TTL, above=lambda: max(memory.seen.epoch, heard.epoch), now=now,
            bug=self.bugs.append, random=Random(self.random.random()),
        )  # fmt: skip
        self.follower = Follower(
            self.shared,
            self.name,
            memory,
            self.apply,
            lambda: len(self.applied),
            traffic=self.traffic,
            bug=self.bugs.append,
            now=now,
        )
        desk = Desk(
            self.shared, self.elector, memory, no_problems, heard=heard, bug=self.bugs.append, now=now
        )
        self.tasks = [asyncio.create_task(part.run()) for part in (self.elector, self.follower, desk)]

    def traffic(self):
        self.requests += 50
        self.failures += self.random.choice((0, 0, 0, 5))
        return Traffic(life=1.0, requests=self.requests, failures=self.failures)

    async def apply(self, revision, text):
        self.applied.append(Published(revision.revision, revision.epoch, revision.digest))
        return Applied(len(self.applied))

    async def kill(self):
        for task in self.tasks:
            task.cancel()
        ended = await asyncio.gather(*self.tasks, return_exceptions=True)
        bugs = self.bugs + [one for one in ended if isinstance(one, Exception)]
        assert not bugs, bugs

    def trouble(self, cut=False, lose=0.0, slow=0.0):
        for engine in self.engines:
            engine.cut, engine.lose, engine.slow = cut, lose, slow


def heads(store):
    writes = [write for _, commit in store.accepted for write in commit if write.key == HEAD]
    return [msgspec.json.decode(write.value, type=Revision) for write in writes]


def accepted(store):
    return [Published(one.revision, one.epoch, one.digest) for one in heads(store)]


class Trials(NamedTuple):
    """By staged revision, the nodes that it is for; how many the leader ended by itself."""

    first: dict[int, list[str]]
    decided: int


def trials_of(store):
    first = {one.revision: one.stage.first for one in heads(store) if one.stage is not None}
    return Trials(first, sum(one.author == "lb" for one in heads(store)))


async def publish(member, number, done, stage=None):
    text = f"# {number}\n".encode() * 900  # pieces: the engine takes 3,000 bytes
    wish = Wish(kind="push", author="ada", at=time.time(), stage=stage)
    with contextlib.suppress(EngineError, UnheardError, CorruptError):
        answer = await ask(member.shared, wish, text, 10.0, asyncio.get_running_loop().time)
        if not answer.error:
            done.append(answer.revision)


async def history(seed, folder, kind=MemoryEngine):
    """What happened in a minute and a half of faults, and after half a minute without."""
    random, store, done = Random(seed), MemoryStore(), []
    members = [Member(name, store, folder / f"{seed}-{name}", random, kind) for name in NAMES]
    orders = set()
    for number in range(30):
        await asyncio.sleep(random.uniform(0.5, 5))
        stage = Stage(first=[random.choice(NAMES)], watch=4.0, errors=0.02) if random.random() < 0.4 else None
        order = asyncio.create_task(publish(random.choice(members), number, done, stage))
        orders.add(order)
        order.add_done_callback(orders.discard)
        unlucky = random.choice(members)
        match random.randrange(5):
            case 0:
                unlucky.trouble(cut=True)
            case 1:
                unlucky.trouble(lose=0.3, slow=0.3)
            case 2:
                await unlucky.kill()
                unlucky.start()
            case 3:
                store.holder = None  # the engine forgot the lock
            case _:
                unlucky.trouble()
    for member in members:
        member.trouble()
    await asyncio.sleep(60)
    await publish(members[0], 99, done)
    await asyncio.sleep(60)
    for order in orders:
        order.cancel()
    for member in members:
        await member.kill()
    applied = {member.name: member.applied for member in members}
    return accepted(store), applied, done, trials_of(store)


@pytest.mark.parametrize("seeds", [range(start, start + 10) for start in range(0, 50, 10)], ids=str)
def test_no_history_with_faults_breaks_a_rule(seeds, tmp_path):
    total = tried = decided = 0
    for seed in seeds:
        said, applied, done, trials = run(history(seed, tmp_path))
        assert strays(trials.first, applied) == [], f"seed {seed}"
        tried, decided = tried + len(trials.first), decided + trials.decided
        assert violations(said, applied, NAMES) == [], f"seed {seed}"
        assert {one.revision for one in said} >= set(done), f"seed {seed}: what was promised is not there"
        total += len(said)
    assert total > 3 * len(seeds), "hardly anything was published"
    assert tried > len(seeds) and decided > len(seeds) / 2, "hardly anything was tried"


def test_an_engine_without_the_compare_in_the_write_is_caught(tmp_path):
    for seed in range(60):
        said, applied, *_ = run(history(seed, tmp_path, LawlessEngine))
        if violations(said, applied, ()):
            return
    pytest.fail("nothing was noticed")


A, B, C = Published(1, 1, "a"), Published(2, 1, "b"), Published(3, 2, "c")
GOOD = ([A, B, C], {"x": [A, C], "y": [B, C]}, ["x", "y"])


def test_a_good_history_has_no_violation():
    assert violations(*GOOD) == []
    assert violations([], {}, ["x"]) == []


def test_who_ran_what_was_for_others_is_found():
    applied = {"x": [A, B], "y": [A]}
    assert strays({2: ["x"]}, applied) == [] == strays({}, applied)
    assert len(strays({1: ["y"], 2: ["y"]}, applied)) == 2


@pytest.mark.parametrize(
    ("said", "applied", "live", "word"),
    [
        ([A, Published(1, 1, "other")], {}, [], "same revision"),
        ([A, C, Published(4, 1, "d")], {}, [], "old term"),
        ([A, B], {"x": [B, A]}, [], "went back"),
        ([A, B, C], {"x": [C, Published(3, 1, "c")]}, [], "went back"),
        ([C, Published(4, 1, "d")], {"x": [C, Published(4, 1, "d")]}, [], "x went back"),
        ([A], {"x": [Published(1, 1, "other")]}, [], "never accepted"),
        ([A, B], {"x": [A]}, ["x"], "ended at"),
        ([A, B], {}, ["x"], "ended at"),
    ],
)
def test_the_checker_finds_what_is_wrong(said, applied, live, word):
    assert any(word in one for one in violations(said, applied, live))
