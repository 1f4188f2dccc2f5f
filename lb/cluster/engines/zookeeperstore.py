"""What the ZooKeeper engine stores: keys, their versions, and waiting for changes.

Lives here: turning writes into transactions. Must not live here: the lock (zookeeper.py), which gives
what a transaction has to check.

    /lb/NAME/keys/KEY    a value; KEY with "+" for "/"
    /lb/NAME/keys        written with every change, so that one watch sees them all
    /lb/NAME/deleted     written with every deletion

A version is the number of the transaction that wrote the key (mzxid): a node's own version begins anew when
it is made again. ZooKeeper can check a node's own version only, so a write reads both, and checks in its
transaction that nothing was deleted since: without deletions the two belong together.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

from kazoo.exceptions import NoNodeError

from lb.cluster.contract import Conflict, EngineError, Entry, Write
from lb.cluster.engines.zookeepersession import Access, Session

LEASE = 10.0  # seconds; nothing depends on this session

Operation = tuple[Any, ...]
Operations = list[Operation]


class Store:
    """Every method raises EngineError. Used by one loop."""

    def __init__(self, access: Access, place: str, timeout: float) -> None:
        self._access = access
        self._timeout = timeout
        self._place = place
        self._keys, self._deleted = f"{place}/keys", f"{place}/deleted"
        self._open: Session | None = None
        self._closed = False
        self._seen: dict[str, int] = {}
        self._change = asyncio.Event()  # set, and replaced, whenever something may have changed

    def session(self) -> Session:
        if self._closed:
            raise EngineError(f"{self._access.where}: closed")
        if self._open is None:
            self._open = Session(self._access, LEASE, self._timeout)
        return self._open

    def close(self) -> None:
        self._closed = True
        if self._open is not None:
            self._open.end()

    async def get(self, key: str) -> Entry | None:
        session = self.session()
        await session.ask("sync", self._place)
        return await self._entry(session, self._path(key))

    async def list(self, prefix: str) -> Mapping[str, Entry]:
        session = self.session()
        start = f"{prefix}/".replace("/", "+")
        await session.ask("sync", self._place)
        try:
            names = [name for name in await session.ask("get_children", self._keys) if name.startswith(start)]
        except NoNodeError:
            return {}
        found = await asyncio.gather(*(self._entry(session, f"{self._keys}/{name}") for name in names))
        return {
            name.replace("+", "/"): one for name, one in zip(names, found, strict=True) if one is not None
        }

    async def _entry(self, session: Session, path: str) -> Entry | None:
        try:
            value, stat = await session.ask("get", path)
        except NoNodeError:
            return None
        return Entry(value, stat.mzxid)

    async def write(self, writes: Sequence[Write], checks: Sequence[Operation]) -> int | None:
        """All of `writes` or none, if `checks` hold: the number of the transaction; None where they do not
        hold. Raises Conflict."""
        session = self.session()
        end = time.monotonic() + self._timeout
        while time.monotonic() < end:
            await session.ask("sync", self._place)
            try:
                operations = await self._operations(session, writes)
            except Conflict:
                if checks and isinstance(await session.transaction(*checks), int):
                    return None
                raise
            except NoNodeError:  # the first write of all
                await session.make(self._keys)
                await session.make(self._deleted)
                continue
            results = await session.transaction(*checks, *operations)
            if not isinstance(results, int):
                return int(results[-1].mzxid)
            if results < len(checks):
                return None
            # somebody was faster: look again, whether that is a conflict
        raise EngineError(f"{self._access.where}: others write all the time, no turn in {self._timeout:g} s")

    async def _operations(self, session: Session, writes: Sequence[Write]) -> Operations:
        """What the transaction does; the last one writes `keys`."""
        _, deleted = await session.ask("get", self._deleted)
        await session.ask("get", self._keys)  # raises where it is not there
        paths = [self._path(write.key) for write in writes]
        stats = await asyncio.gather(*(session.ask("exists", path) for path in paths))
        operations: Operations = []
        deletes = False
        for write, path, stat in zip(writes, paths, stats, strict=True):
            version = stat.mzxid if stat else 0
            if write.version is not None and write.version != version:
                raise Conflict(
                    f"{self._access.where}: {write.key} has version {version}, expected {write.version}"
                )
            own = stat.version if stat and write.version is not None else -1
            if write.value is not None:
                operations.append(
                    ("set_data", path, write.value, own) if stat else ("create", path, write.value)
                )
            elif stat:
                operations.append(("delete", path, own))
                deletes = True
            elif write.version == 0:  # there is no check for a node that is not there
                operations += [("create", path, b""), ("delete", path)]
        if any(write.version for write in writes):
            operations.insert(0, ("check", self._deleted, deleted.version))
        if deletes:
            operations.append(("set_data", self._deleted, b""))
        return [*operations, ("set_data", self._keys, b"")]

    async def changed(self, prefix: str, wait: float) -> bool:
        session = self.session()
        end = time.monotonic() + wait
        known = prefix in self._seen
        self._seen.setdefault(prefix, -1)
        while True:
            change = self._change
            await session.ask("sync", self._place)
            now = await self._watched(session)
            if not known:
                known, self._seen[prefix] = True, now
            if now != self._seen[prefix]:
                self._seen[prefix] = now
                return True
            left = end - time.monotonic()
            if left <= 0:
                return False
            try:
                async with asyncio.timeout(left):
                    await change.wait()
            except TimeoutError:
                continue  # a last look

    async def _watched(self, session: Session) -> int:
        """The number of the last change of `keys`; the next one, or a lost connection, sets `_change`."""
        try:
            _, stat = await session.ask("get", self._keys, watch=self._noticed)
        except NoNodeError:
            await session.make(self._keys)
            return await self._watched(session)
        return int(stat.mzxid)

    def _noticed(self, _event: object) -> None:
        """In a thread of kazoo's."""
        if self._open is not None:
            self._open.in_loop(self._wake)

    def _wake(self) -> None:
        self._change.set()
        self._change = asyncio.Event()

    def _path(self, key: str) -> str:
        return f"{self._keys}/{key.replace('/', '+')}"
