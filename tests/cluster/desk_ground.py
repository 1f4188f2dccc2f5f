"""One node on the engine in memory, for the tests of what is published and followed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random

from lb.cluster.contract import Deposed, Write
from lb.cluster.desk import Desk
from lb.cluster.following import Applied, Follower
from lb.cluster.memory import Memory
from lb.cluster.records import Answer, Orders, Wish, decode, encode
from lb.cluster.shared import Shared, digest_of
from tests.cluster.memory import MemoryEngine, MemoryStore

NOW = 1_000_000.0  # unix seconds, by every clock that is not said to be wrong


class Leader:
    """Leads as long as it is told to."""

    def __init__(self, engine):
        self.engine, self.term, self.resigned, self.outdated_terms = engine, None, 0, []

    async def lead(self):
        self.term = await self.engine.acquire("lb-1", 1e9)

    async def commit(self, epoch, writes):
        if self.term is None or self.term.epoch != epoch:
            raise Deposed("over")
        await self.engine.commit(self.term, writes)

    def resign(self):
        self.resigned += 1

    def outdated(self):
        self.outdated_terms.append(self.term.epoch)


class One:
    """`problems`: what is wrong with any document; `wall`: the clock of this node; `said`: what an operator
    hears."""

    def __init__(
        self, folder: Path, store: MemoryStore | None = None, value_limit: int = 1000, node: str = "lb-1"
    ):
        folder.mkdir(exist_ok=True)
        self.store = store or MemoryStore()
        self.engine = MemoryEngine(self.store, Random(1), value_limit)
        self.shared, self.leader = Shared(self.engine), Leader(self.engine)
        self.memory = Memory(folder, Path.write_bytes)
        self.problems, self.wall, self.refuses = [], NOW, ""
        self.runs, self.said, self.orders = [], [], Orders()
        self.desk = Desk(
            self.shared, self.leader, self.memory, self.check, wall=lambda: self.wall,
            now=asyncio.get_running_loop().time,
        )  # fmt: skip
        self.follower = Follower(
            self.shared, node, self.memory, self.apply, lambda: len(self.runs),
            told=lambda reason, text: self.said.append((reason, text)),
            now=asyncio.get_running_loop().time, orders=lambda: self.orders,
        )  # fmt: skip

    async def check(self, file, text):
        return self.problems

    async def apply(self, revision, text):
        if self.refuses:
            return Applied(len(self.runs), self.refuses)
        self.runs.append(text)
        return Applied(len(self.runs))

    async def wish(self, name="w", data=b"", raw=b"", **more):
        """Lay it into the store, as lb.cluster.wishing does."""
        wanted = {"kind": "push", "author": "ada", "at": NOW, **more}
        if data:
            pieces = await self.shared.save(f"wished/{name}", data)
            wanted |= {"pieces": pieces, "size": len(data), "digest": digest_of(data)} | more
        await self.put(f"wishes/{name}", raw or encode(Wish(**wanted)))

    async def put(self, key, value):
        await self.engine.put(Write(key, value))

    async def answer(self, name="w"):
        """Have the desk do what is there; what it says, and its wish is gone."""
        await self.desk.step()
        assert f"wishes/{name}" not in self.store.entries
        return decode("answers", self.store.entries.pop(f"answers/{name}").value, Answer)

    async def push(self, data, name="w", **more):
        await self.wish(name, data, **more)
        return await self.answer(name)
