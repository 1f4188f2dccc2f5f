"""The local engine: a folder of one machine, for lbs that share it; needs no service.

Lives here: terms and versions on the folder's document. Must not live here: files (localfolder).

A lease is a time of this machine's monotonic clock, which all its processes share; that of another boot has
lapsed. Everything runs in one thread of its own, so that a slow disk stops nobody.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from lb.cluster import contract
from lb.cluster.contract import Conflict, Deposed, EngineError, Entry, Holder, Term, Write
from lb.cluster.engines.localfolder import Folder, Lead, State, boot

POLL = 0.1  # seconds between two looks at the document while waiting for a change

T = TypeVar("T")


class LocalEngine:
    """See lb.cluster.contract.Engine."""

    name = "local"
    value_limit = 4 * 2**20

    def __init__(self, folder: Path, timeout: float = 5.0) -> None:
        """`folder` is the cluster's own; made where it is missing. `timeout`: seconds, of every call."""
        self._folder = Folder(folder, timeout)
        self._timeout = timeout
        self._boot = boot()
        self._ttl = 0.0
        self._token = secrets.token_hex(16)  # this object, among those with the same node name
        self._seen: dict[str, int] = {}
        self._thread = ThreadPoolExecutor(1, "lb-cluster-local")

    async def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    # the lock

    async def acquire(self, node: str, ttl: float, above: int = 0) -> Term | None:
        before = time.monotonic()
        self._ttl = ttl

        def steps() -> Term | None:
            with self._folder.locked() as state:
                now = time.monotonic()
                if self._holds(state, now) and state.lead and state.lead.token != self._token:
                    return None
                state.epoch = max(state.epoch, above) + 1
                state.lead = Lead(node, self._token, now + ttl, self._boot)
                self._folder.replace(state, [])
                return Term(state.epoch, contract.deadline(before, ttl), self._token)

        return await self._run(steps)

    async def renew(self, term: Term) -> Term:
        before, ttl = time.monotonic(), self._ttl

        def steps() -> Term:
            with self._folder.locked() as state:
                lead = self._lead_of(state, term)
                state.lead = Lead(lead.node, lead.token, time.monotonic() + ttl, self._boot)
                self._folder.replace(state, [])
                return term._replace(deadline=contract.deadline(before, ttl))

        return await self._run(steps)

    async def release(self, term: Term) -> None:
        def steps() -> None:
            with self._folder.locked() as state:
                self._lead_of(state, term)
                state.lead = None
                self._folder.replace(state, [])

        await self._run(steps)

    async def holder(self) -> Holder | None:
        state = await self._run(self._folder.read)
        if state.lead is None or not self._holds(state, time.monotonic()):
            return None
        return Holder(state.lead.node, state.epoch)

    def _holds(self, state: State, now: float) -> bool:
        return state.lead is not None and state.lead.boot == self._boot and now < state.lead.until

    def _lead_of(self, state: State, term: Term) -> Lead:
        lead = state.lead
        if (
            lead is None
            or lead.token != term.proof
            or state.epoch != term.epoch
            or not self._holds(state, time.monotonic())
        ):
            raise Deposed(f"{self._where}: the term of epoch {term.epoch} is over")
        return lead

    # the store

    async def get(self, key: str) -> Entry | None:
        def steps() -> Entry | None:
            with self._folder.locked() as state:
                version = state.entries.get(key)
                return None if version is None else Entry(self._folder.value(version), version)

        return await self._run(steps)

    async def list(self, prefix: str) -> Mapping[str, Entry]:
        def steps() -> dict[str, Entry]:
            with self._folder.locked() as state:
                return {
                    key: Entry(self._folder.value(version), version)
                    for key, version in sorted(state.entries.items())
                    if key.startswith(f"{prefix}/")
                }

        return await self._run(steps)

    async def put(self, write: Write) -> int:
        contract.check([write], self.value_limit)
        return await self._run(lambda: self._write(None, [write]))

    async def commit(self, term: Term, writes: Sequence[Write]) -> None:
        contract.check(writes, self.value_limit)
        await self._run(lambda: self._write(term, writes))

    def _write(self, term: Term | None, writes: Sequence[Write]) -> int:
        """The version of the last write."""
        with self._folder.locked() as state:
            if term is not None:
                self._lead_of(state, term)
            for write in writes:
                found = state.entries.get(write.key, 0)
                if write.version is not None and write.version != found:
                    raise Conflict(
                        f"{self._where}: {write.key} has version {found}, expected {write.version}"
                    )
            dropped, last = [], 0
            for write in writes:
                state.version += 1
                if write.key in state.entries:
                    dropped.append(state.entries.pop(write.key))
                last = 0
                if write.value is not None:
                    last = state.entries[write.key] = state.version
                    self._folder.add(last, write.value)
            self._folder.replace(state, dropped)
            return last

    async def changed(self, prefix: str, wait: float) -> bool:
        end = time.monotonic() + wait
        known = prefix in self._seen
        seen = self._seen.setdefault(prefix, -1)
        while True:
            version = (await self._run(self._folder.read)).version
            if not known and seen == -1:
                known, seen = True, version
                self._seen[prefix] = version
            if version != seen:
                self._seen[prefix] = version
                return True
            left = end - time.monotonic()
            if left <= 0:
                return False
            await asyncio.sleep(min(POLL, left))

    # the thread

    @property
    def _where(self) -> str:
        return f"local engine, folder {self._folder.path}"

    async def _run(self, steps: Callable[[], T]) -> T:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._timeout * 1.5):
                return await loop.run_in_executor(self._thread, steps)
        except EngineError:
            raise
        except TimeoutError as error:
            raise EngineError(f"{self._where}: {error or 'no answer in time'}") from None
        except (OSError, ValueError, RuntimeError) as error:
            raise EngineError(f"{self._where}: {error}") from None
