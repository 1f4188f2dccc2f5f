"""An engine in memory that keeps the contract, and does everything that the contract lets engines do wrong:
answers get lost, requests arrive late, nodes are cut off, leases lapse."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

from lb.cluster import contract
from lb.cluster.contract import Conflict, Deposed, EngineError, Entry, Holder, Term, Write

TIMEOUT = 1.0


class MemoryStore:
    """What all nodes share. Time is the running loop's."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.version = 0
        self.epoch = 0
        self.holder: tuple[str, object, int, float] | None = None  # node, engine, epoch, until
        self.changes = asyncio.Event()
        self.accepted: list[tuple[int, Sequence[Write]]] = []  # epoch of the store, commits in their order

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def lead(self) -> tuple[str, object, int, float] | None:
        return self.holder if self.holder is not None and self.now() < self.holder[3] else None

    def write(self, writes: Sequence[Write]) -> int:
        for write in writes:
            found = self.entries.get(write.key)
            if write.version is not None and write.version != (found.version if found else 0):
                raise Conflict(write.key)
        last = 0
        for write in writes:
            self.version += 1
            last = 0
            if write.value is None:
                self.entries.pop(write.key, None)
            else:
                self.entries[write.key] = Entry(write.value, self.version)
                last = self.version
        self.changes.set()
        self.changes = asyncio.Event()
        return last


class MemoryEngine:
    """One node's connection. `cut`: nothing gets through. `lose`, `slow`: shares of the calls whose answer is
    lost, or whose request takes up to `slowest` seconds."""

    name = "memory"

    def __init__(
        self, store: MemoryStore, random: Random | None = None, value_limit: int = 1000, slowest: float = 30.0
    ) -> None:
        self.store = store
        self.value_limit = value_limit
        self.random = random or Random(0)
        self.cut = False
        self.lose = 0.0
        self.slow = 0.0
        self.slowest = slowest
        self.closed = False
        self.calls: list[str] = []
        self._ttl = 0.0
        self._seen: dict[str, int] = {}
        self._late: set[asyncio.Task[Any]] = set()

    async def close(self) -> None:
        self.closed = True

    async def _call(self, what: str, steps: Callable[[], Any]) -> Any:
        """Done in the store at once, later (also after we gave up on it), or never."""
        self.calls.append(what)
        done = asyncio.create_task(self._deliver(steps))
        self._late.add(done)
        done.add_done_callback(self._forget)
        try:
            async with asyncio.timeout(TIMEOUT):
                return await asyncio.shield(done)
        except TimeoutError:
            raise EngineError(f"memory: no answer to {what}") from None

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._late.discard(task)
        if not task.cancelled():
            task.exception()

    async def _deliver(self, steps: Callable[[], Any]) -> Any:
        await asyncio.sleep(self.random.uniform(0.001, 0.02))
        if self.random.random() < self.slow:
            await asyncio.sleep(self.random.uniform(0, self.slowest))
        if self.cut:
            await asyncio.sleep(TIMEOUT * 2)
            raise EngineError("memory: cut off")
        result = steps()
        if self.random.random() < self.lose:
            await asyncio.sleep(TIMEOUT * 2)
        return result

    async def acquire(self, node: str, ttl: float, above: int = 0) -> Term | None:
        before, store = self.store.now(), self.store
        self._ttl = ttl

        def steps() -> Term | None:
            lead = store.lead()
            if lead is not None and lead[1] is not self:
                return None
            store.epoch = max(store.epoch, above) + 1
            store.holder = (node, self, store.epoch, store.now() + ttl)
            return Term(store.epoch, contract.deadline(before, ttl))

        return await self._call("acquire", steps)

    def _check(self, term: Term) -> None:
        lead = self.store.lead()
        if lead is None or lead[1] is not self or lead[2] != term.epoch:
            raise Deposed(f"epoch {term.epoch} is over")

    async def renew(self, term: Term) -> Term:
        before = self.store.now()

        def steps() -> Term:
            self._check(term)
            node, engine, epoch, _ = self.store.holder
            self.store.holder = (node, engine, epoch, self.store.now() + self._ttl)
            return term._replace(deadline=contract.deadline(before, self._ttl))

        return await self._call("renew", steps)

    async def release(self, term: Term) -> None:
        def steps() -> None:
            self._check(term)
            self.store.holder = None

        await self._call("release", steps)

    async def holder(self) -> Holder | None:
        lead = await self._call("holder", self.store.lead)
        return None if lead is None else Holder(lead[0], lead[2])

    async def get(self, key: str) -> Entry | None:
        return await self._call(f"get {key}", lambda: self.store.entries.get(key))

    async def list(self, prefix: str) -> Mapping[str, Entry]:
        return await self._call(
            f"list {prefix}",
            lambda: {k: e for k, e in sorted(self.store.entries.items()) if k.startswith(f"{prefix}/")},
        )

    async def put(self, write: Write) -> int:
        contract.check([write], self.value_limit)
        return await self._call(f"put {write.key}", lambda: self.store.write([write]))

    async def commit(self, term: Term, writes: Sequence[Write]) -> None:
        contract.check(writes, self.value_limit)

        def steps() -> None:
            self._check(term)
            self.store.write(writes)
            self.store.accepted.append((term.epoch, writes))

        await self._call("commit", steps)

    async def changed(self, prefix: str, wait: float) -> bool:
        end = self.store.now() + wait
        seen = self._seen.setdefault(prefix, self.store.version)
        while self.cut or self.store.version == seen:
            try:
                async with asyncio.timeout_at(end):
                    await self.store.changes.wait()
            except TimeoutError:
                return False
        self._seen[prefix] = self.store.version
        return True
