"""The lock that many write first, as an engine: what the suite, and every harness, has to catch.

SETNX without expiry, the name of the node as its value; GET, then DEL; a look at the lock before the write
instead of in it. It behaves well as long as nobody dies, pauses or meets another. `expires`: the second
version that many write, after the first holder died: with an expiry, and the rest as before.
"""

from __future__ import annotations

import asyncio
import time

import redis.asyncio as aioredis
from redis.exceptions import RedisError

from lb.cluster.contract import Conflict, Deposed, EngineError, Entry, Holder, Term, Write, deadline


class _Client(aioredis.Redis):
    async def execute_command(self, *words, **more):
        try:
            return await super().execute_command(*words, **more)
        except (RedisError, OSError) as error:
            raise EngineError(f"redis: {error}") from None


class NaiveEngine:
    name = "redis"
    value_limit = 2**20

    def __init__(self, url: str, cluster: str, expires: bool = False) -> None:
        self.redis = _Client.from_url(url)
        self.expires = expires
        self.ttl = 10.0
        self.place = f"naive:{cluster}:"

    async def close(self):
        await self.redis.aclose()

    async def acquire(self, node, ttl, above=0):
        before = time.monotonic()
        self.ttl = ttl
        expiry = int(ttl * 1000) if self.expires else None
        if not await self.redis.set(f"{self.place}lock", node, nx=True, px=expiry):
            if await self.redis.get(f"{self.place}lock") != node.encode():
                return None
        epoch = await self.redis.incr(f"{self.place}epoch")
        return Term(max(epoch, above + 1), deadline(before, ttl), node)

    async def renew(self, term):
        before = time.monotonic()
        await self._check(term)
        if self.expires:
            await self.redis.pexpire(f"{self.place}lock", int(self.ttl * 1000))
        return term._replace(deadline=deadline(before, self.ttl))

    async def release(self, term):
        await self._check(term)
        await self.redis.delete(f"{self.place}lock")

    async def holder(self):
        node = await self.redis.get(f"{self.place}lock")
        return node and Holder(node.decode(), int(await self.redis.get(f"{self.place}epoch")))

    async def _check(self, term):
        if await self.redis.get(f"{self.place}lock") != term.proof.encode():
            raise Deposed("not mine")
        await asyncio.sleep(0)

    async def get(self, key):
        value = await self.redis.hget(f"{self.place}values", key)
        if value is None:
            return None
        return Entry(value, int(await self.redis.hget(f"{self.place}versions", key)))

    async def list(self, prefix):
        keys = [key.decode() for key in await self.redis.hkeys(f"{self.place}values")]
        return {key: await self.get(key) for key in keys if key.startswith(f"{prefix}/")}

    async def put(self, write: Write) -> int:
        if write.version is not None:
            found = await self.get(write.key)
            if (found.version if found else 0) != write.version:
                raise Conflict(write.key)
        version = await self.redis.incr(f"{self.place}version")
        if write.value is None:
            await self.redis.hdel(f"{self.place}values", write.key)
            return 0
        await self.redis.hset(f"{self.place}versions", write.key, version)
        await self.redis.hset(f"{self.place}values", write.key, write.value)
        return version

    async def commit(self, term, writes):
        await self._check(term)
        for write in writes:
            await self.put(write._replace(version=None))

    async def changed(self, prefix, wait):
        await asyncio.sleep(wait)
        return True
