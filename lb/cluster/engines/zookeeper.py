"""The ZooKeeper engine: an ephemeral node is the lock, a transaction takes it together with a new epoch.

Lives here: the lock and its epochs. Must not live here: sessions (zookeepersession), the store
(zookeeperstore).

    /lb/NAME/lock          ephemeral: exists while somebody leads; says who
    /lb/NAME/terms/TOKEN   ephemeral, one for each term: nothing else ever has its name
    /lb/NAME/epoch         the last epoch, written in the transaction that takes the lock
    /lb/NAME/keys, /lb/NAME/deleted: the store

There is no queue of sequential nodes: it would be fair, but the epoch could not be written in the transaction
that wins. A term's proof is its own node and the version of the epoch. The lock has a session of its own,
whose heartbeats are in a thread; so it is ended where the term is not renewed in time. When its connection is
lost, terms are over at once, and a new one must be had.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from kazoo.exceptions import NoNodeError

from lb.cluster import contract
from lb.cluster.contract import Deposed, Entry, Holder, Term, Write
from lb.cluster.engines.zookeepersession import Access, Session
from lb.cluster.engines.zookeeperstore import Store


class ZookeeperEngine:
    """See lb.cluster.contract.Engine."""

    name = "zookeeper"
    value_limit = 900 * 1024  # a request is at most 1 MiB

    def __init__(self, access: Access, cluster: str, timeout: float) -> None:
        """`timeout`: seconds, of every call."""
        self._access = access
        self._timeout = timeout
        self._place = f"/lb/{cluster}"
        self._lock, self._epoch = f"{self._place}/lock", f"{self._place}/epoch"
        self._store = Store(access, self._place, timeout)
        self._session: Session | None = None  # of the lock
        self._ttl = 0.0
        self._breaks = 0  # how often the lock's connection was lost
        self._lapse: threading.Timer | None = None

    async def close(self) -> None:
        self._end()
        self._store.close()

    # the lock

    async def acquire(self, node: str, ttl: float, above: int = 0) -> Term | None:
        session = self._session_for(ttl)
        try:
            return await self._taken(session, node, ttl, above)
        except NoNodeError:  # the first time of all, or somebody deleted the folder
            await session.make(f"{self._place}/terms")
            await session.make(self._epoch, b"0")
        try:
            return await self._taken(session, node, ttl, above)
        except NoNodeError:
            return None

    async def _taken(self, session: Session, node: str, ttl: float, above: int) -> Term | None:
        breaks = self._breaks
        value, epoch = await self._synced(session, self._epoch)
        old = await session.ask("get_children", f"{self._place}/terms")
        give_up: list[tuple[Any, ...]] = []
        with contextlib.suppress(NoNodeError):
            _, lock = await session.ask("get", self._lock)
            if lock.ephemeralOwner != session.identity:
                return None
            give_up.append(("delete", self._lock, lock.version))
        # whatever terms there are, are over
        give_up += [("delete", f"{self._place}/terms/{name}") for name in old]
        number = max(int(value) if value.isdigit() else 0, above) + 1
        token = f"{number}-{secrets.token_hex(8)}"
        says = json.dumps({"node": node, "epoch": number}).encode()
        before = time.monotonic()
        self._lapse_at(before + ttl)  # before it is sent: its answer may get lost
        results = await session.transaction(
            ("set_data", self._epoch, str(number).encode(), epoch.version),
            *give_up,
            ("create", self._lock, says, None, True),
            ("create", f"{self._place}/terms/{token}", b"", None, True),
        )
        if isinstance(results, int):
            return None
        self._ttl = min(ttl, session.lease)
        proof = f"{token} {results[0].version} {breaks}"
        return Term(number, contract.deadline(before, self._ttl), proof)

    async def renew(self, term: Term) -> Term:
        session = self._session
        if session is None or not self._unbroken(term):
            raise self._over(term)
        before = time.monotonic()
        if isinstance(await session.transaction(*self._checks(term)), int) or not self._unbroken(term):
            raise self._over(term)
        self._lapse_at(before + self._ttl)
        return term._replace(deadline=contract.deadline(before, self._ttl))

    async def release(self, term: Term) -> None:
        session = self._session
        if session is None:
            raise self._over(term)
        token, _, _ = term.proof.split(" ")
        gone = await session.transaction(
            *self._checks(term), ("delete", f"{self._place}/terms/{token}"), ("delete", self._lock)
        )
        if isinstance(gone, int):
            raise self._over(term)
        if self._lapse is not None:
            self._lapse.cancel()

    async def holder(self) -> Holder | None:
        try:
            value, _ = await self._synced(self._store.session(), self._lock)
            says = json.loads(value)
            return Holder(str(says["node"]), int(says["epoch"]))
        except NoNodeError:
            return None
        except (KeyError, TypeError, ValueError, RecursionError):
            return Holder("", 0)  # made by somebody who is no lb

    async def _synced(self, session: Session, path: str) -> Any:
        """What is at `path`, not what a server has that is behind."""
        await session.ask("sync", self._place)
        return await session.ask("get", path)

    def _checks(self, term: Term) -> list[tuple[Any, ...]]:
        token, version, _ = term.proof.split(" ")
        return [("check", f"{self._place}/terms/{token}", 0), ("check", self._epoch, int(version))]

    def _unbroken(self, term: Term) -> bool:
        return int(term.proof.split(" ")[2]) == self._breaks

    def _over(self, term: Term) -> Deposed:
        return Deposed(f"{self._access.where}: the term of epoch {term.epoch} is over")

    # the session

    def _session_for(self, ttl: float) -> Session:
        if self._session is None:
            self._session = Session(self._access, ttl, self._timeout, self._broke)
        return self._session

    def _broke(self) -> None:
        self._breaks += 1

    def _lapse_at(self, moment: float) -> None:
        """End the session at `moment` (time.monotonic()), should nobody renew the term before. A timer of a
        thread: the loop may be what hangs."""
        if self._lapse is not None:
            self._lapse.cancel()
        self._lapse = threading.Timer(max(0.0, moment - time.monotonic()), self._end)
        self._lapse.daemon = True
        self._lapse.start()

    def _end(self) -> None:
        if self._lapse is not None:
            self._lapse.cancel()
        self._broke()
        session, self._session = self._session, None
        if session is not None:
            session.end()

    # the store

    async def get(self, key: str) -> Entry | None:
        return await self._store.get(key)

    async def list(self, prefix: str) -> Mapping[str, Entry]:
        return await self._store.list(prefix)

    async def put(self, write: Write) -> int:
        contract.check([write], self.value_limit)
        version = await self._store.write([write], [])
        return 0 if write.value is None else version or 0

    async def commit(self, term: Term, writes: Sequence[Write]) -> None:
        contract.check(writes, self.value_limit)
        if not self._unbroken(term) or await self._store.write(writes, self._checks(term)) is None:
            raise self._over(term)

    async def changed(self, prefix: str, wait: float) -> bool:
        return await self._store.changed(prefix, wait)
