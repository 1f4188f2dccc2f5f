"""The etcd engine (3.4 or later): a lease holds the lock, a transaction checks its revision.

Lives here: lock, epochs and store. Must not live here: which member is asked (lb.cluster.engines.http); the
words of the gateway: base64, numbers as text, logging in (lb.cluster.engines.etcdgateway).

    lb/NAME/lock          bound to the holder's lease; its value names the holder
    lb/NAME/epoch         the last epoch, written in the transaction that takes the lock
    lb/NAME/keys/KEY      what is stored

A term's proof is its lease and the revision at which the lock was written: nothing else ever has that one.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Any

from lb.cluster import contract
from lb.cluster.contract import Conflict, Deposed, EngineError, Entry, Holder, Term, Write
from lb.cluster.engines.etcdgateway import Gateway, Pair, compare, delete, fetch, store

Compares = list[dict[str, Any]]


class EtcdEngine:
    """See lb.cluster.contract.Engine."""

    name = "etcd"
    value_limit = 2**20  # a request is at most 1.5 MiB

    def __init__(self, gateway: Gateway, cluster: str) -> None:
        self._gateway = gateway
        self._lock = f"lb/{cluster}/lock"
        self._epoch = f"lb/{cluster}/epoch"
        self._keys = f"lb/{cluster}/keys/"
        self._token = secrets.token_hex(16)  # this object, among those with the same node name
        self._ttl = 0.0
        self._seen: dict[str, int] = {}

    async def close(self) -> None:
        await self._gateway.close()

    # the lock

    async def acquire(self, node: str, ttl: float, above: int = 0) -> Term | None:
        lock, epoch = await self._gateway.read(fetch(self._lock), fetch(self._epoch))
        if lock and _said(lock[0]).get("token") != self._token:
            return None
        self._ttl = ttl
        before = time.monotonic()
        lease = await self._gateway.grant(math.ceil(ttl))
        number = max(_number(epoch), above) + 1
        says = json.dumps({"node": node, "epoch": number, "token": self._token}).encode()
        done = await self._gateway.write(
            [compare(self._lock, lock[0].version if lock else 0),
             compare(self._epoch, epoch[0].version if epoch else 0)],
            [store(self._lock, says, lease), store(self._epoch, str(number).encode())],
        )  # fmt: skip
        if not done.succeeded:
            await self._forget(lease)
            return None
        return Term(number, contract.deadline(before, ttl), f"{lease} {done.revision}")

    async def renew(self, term: Term) -> Term:
        lease, revision = _proof(term)
        before = time.monotonic()
        if not await self._gateway.keep_alive(lease):
            raise self._over(term)
        (lock,) = await self._gateway.read(fetch(self._lock))
        if not lock or lock[0].version != revision:
            raise self._over(term)
        return term._replace(deadline=contract.deadline(before, self._ttl))

    async def release(self, term: Term) -> None:
        lease, revision = _proof(term)
        done = await self._gateway.write([compare(self._lock, revision)], [delete(self._lock)])
        if not done.succeeded:
            raise self._over(term)
        await self._forget(lease)

    async def holder(self) -> Holder | None:
        (lock,) = await self._gateway.read(fetch(self._lock))
        if not lock:
            return None
        said = _said(lock[0])
        try:
            return Holder(str(said["node"]), int(said["epoch"]))
        except (KeyError, TypeError, ValueError):
            return Holder("", 0)  # written by somebody who is no lb

    async def _forget(self, lease: int) -> None:
        """Nothing depends on a lease any more; that it lapses by itself is good enough."""
        with contextlib.suppress(EngineError):
            await self._gateway.revoke(lease)

    def _over(self, term: Term) -> Deposed:
        return Deposed(f"{self._gateway.where}: the term of epoch {term.epoch} is over")

    # the store

    async def get(self, key: str) -> Entry | None:
        (found,) = await self._gateway.read(fetch(self._keys + key))
        return Entry(found[0].value, found[0].version) if found else None

    async def list(self, prefix: str) -> Mapping[str, Entry]:
        (found,) = await self._gateway.read(fetch(f"{self._keys}{prefix}/", below=True))
        return {one.key.removeprefix(self._keys): Entry(one.value, one.version) for one in found}

    async def put(self, write: Write) -> int:
        contract.check([write], self.value_limit)
        done = await self._gateway.write(self._expected([write]), [self._change(write)])
        if not done.succeeded:
            raise Conflict(f"{self._gateway.where}: {write.key} does not have the version {write.version}")
        return 0 if write.value is None else done.revision

    async def commit(self, term: Term, writes: Sequence[Write]) -> None:
        contract.check(writes, self.value_limit)
        _, revision = _proof(term)
        done = await self._gateway.write(
            [compare(self._lock, revision), *self._expected(writes)],
            [self._change(write) for write in writes],
            [fetch(self._lock)],
        )
        if not done.succeeded:
            (lock,) = done.found
            if not lock or lock[0].version != revision:
                raise self._over(term)
            keys = ", ".join(write.key for write in writes if write.version is not None)
            raise Conflict(f"{self._gateway.where}: not the version that was expected: {keys}")

    def _expected(self, writes: Sequence[Write]) -> Compares:
        return [compare(self._keys + one.key, one.version) for one in writes if one.version is not None]

    def _change(self, write: Write) -> dict[str, Any]:
        key = self._keys + write.key
        return delete(key) if write.value is None else store(key, write.value)

    async def changed(self, prefix: str, wait: float) -> bool:
        end = time.monotonic() + wait
        place = f"{self._keys}{prefix}/"
        if prefix not in self._seen:
            self._seen[prefix] = -1
            self._seen[prefix] = await self._gateway.revision()
        seen = self._seen[prefix]
        now = await self._gateway.revision()
        if seen < 0 or now < seen:  # nothing is known, or the store lost its memory
            self._seen[prefix] = now
            return True
        left = end - time.monotonic()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, left)):
                self._seen[prefix] = await self._gateway.next_change(place, seen + 1) or now
                return True
        # a member that is cut off from the others shows no change: ask what only a majority can answer
        await self._gateway.revision()
        return False


def _said(lock: Pair) -> dict[str, Any]:
    try:
        said = json.loads(lock.value)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _number(found: Sequence[Pair]) -> int:
    return int(found[0].value) if found and found[0].value.isdigit() else 0


def _proof(term: Term) -> tuple[int, int]:
    lease, _, revision = term.proof.partition(" ")
    return int(lease), int(revision)
