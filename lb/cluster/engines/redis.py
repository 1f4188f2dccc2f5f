"""The Redis engine: a key that expires holds the lock, scripts check it. Best effort under failover.

Lives here: running the scripts, waiting for changes, what a failure means. Must not live here: the scripts
(lb.cluster.engines.redisscripts).

Redis copies to its replicas afterwards: a primary that dies can take a lock or a write with it, and an epoch
or a version can then be given a second time. So where the primary has replicas, what one of them did not
confirm in time is an error, not a success; that makes the gap small and does not close it. Followers that
remember the highest epoch refuse the rest. One Redis without replicas, with appendfsync always, forgets
nothing. Leases run by the clock of the Redis machine.

    {lb/NAME}:lock      "TOKEN EPOCH NODE", expires
    {lb/NAME}:epoch     the last epoch
    {lb/NAME}:values    hash: key → value
    {lb/NAME}:versions  hash: key → version
    {lb/NAME}:counter   the last version given; also what a waiting node compares
    {lb/NAME}:changed   channel: something was written
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import urlsplit

import redis.asyncio as aioredis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ReadOnlyError, RedisError, ResponseError

from lb.cluster import contract
from lb.cluster.contract import Conflict, Deposed, EngineError, Entry, Holder, Term, Write
from lb.cluster.engines.redisscripts import ACQUIRE, READ, RELEASE, RENEW, WRITE
from lb.config.cluster import EngineTlsSpec

POLL = 1.0  # seconds between two looks at the counter, should a message have got lost

T = TypeVar("T")
Arguments = list[str | int | bytes]


def client(
    url: str, user: str | None, password: str, tls: EngineTlsSpec | None, timeout: float
) -> aioredis.Redis:
    """A connection to the Redis at `url`. Nothing is sent twice: the first may have happened."""
    parts = urlsplit(url)
    tls = tls or EngineTlsSpec()
    return aioredis.Redis(
        host=parts.hostname or "127.0.0.1",
        port=parts.port or 6379,
        db=int(parts.path.strip("/") or 0),
        username=user,
        password=password or None,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        retry=Retry(NoBackoff(), 0),
        ssl=parts.scheme == "rediss",
        ssl_ca_certs=tls.ca,
        ssl_certfile=tls.cert,
        ssl_keyfile=tls.key,
        ssl_cert_reqs="required" if tls.verify else "none",
        ssl_check_hostname=tls.verify,
    )


class RedisEngine:
    """See lb.cluster.contract.Engine."""

    name = "redis"
    value_limit = 4 * 2**20

    def __init__(self, connection: aioredis.Redis, url: str, cluster: str, timeout: float) -> None:
        """`timeout`: seconds, of every call."""
        self._redis = connection
        self._where = f"redis at {url}"
        self._timeout = timeout
        self._token = secrets.token_hex(16)  # this object, among those with the same node name
        self._ttl = 0.0
        self._seen: dict[str, int] = {}
        place = f"{{lb/{cluster}}}:"
        self._lock, self._epoch, self._counter = f"{place}lock", f"{place}epoch", f"{place}counter"
        self._values, self._versions, self._channel = f"{place}values", f"{place}versions", f"{place}changed"
        self._acquire, self._renew, self._release, self._write, self._read = (
            connection.register_script(script) for script in (ACQUIRE, RENEW, RELEASE, WRITE, READ)
        )

    async def close(self) -> None:
        await self._redis.aclose()

    # the lock

    async def acquire(self, node: str, ttl: float, above: int = 0) -> Term | None:
        self._ttl = ttl
        before = time.monotonic()
        arguments: Arguments = [self._token, node, int(ttl * 1000), above]

        async def steps() -> Any:
            epoch = await self._acquire(keys=[self._lock, self._epoch], args=arguments)
            if epoch is not None:
                await self._confirmed(before)
            return epoch

        epoch = await self._bounded(steps())
        if epoch is None:
            return None
        return Term(
            self._number(epoch), contract.deadline(before, ttl), f"{self._token} {self._number(epoch)}"
        )

    async def renew(self, term: Term) -> Term:
        before = time.monotonic()
        held = await self._bounded(self._renew(keys=[self._lock], args=[term.proof, int(self._ttl * 1000)]))
        if self._number(held) != 1:
            raise self._over(term)
        return term._replace(deadline=contract.deadline(before, self._ttl))

    async def release(self, term: Term) -> None:
        if self._number(await self._bounded(self._release(keys=[self._lock], args=[term.proof]))) != 1:
            raise self._over(term)

    async def holder(self) -> Holder | None:
        held = await self._bounded(self._redis.get(self._lock))
        if held is None:
            return None
        text = held.decode("utf-8", "replace") if isinstance(held, bytes) else held
        words = text.split(" ", 2)
        if len(words) != 3 or not words[1].isdigit():
            return Holder("", 0)  # written by somebody who is no lb
        return Holder(words[2], int(words[1]))

    async def _confirmed(self, before: float) -> None:
        """Where there are replicas, wait for one to have what was written."""
        said = await self._redis.info("replication")
        replicas = said.get("connected_slaves", 0)
        if not replicas:
            return
        left = self._timeout - (time.monotonic() - before)
        if await self._redis.wait(1, max(1, int(left * 900))) < 1:
            raise EngineError(f"{self._where}: none of {replicas} replicas confirmed a write in time")

    def _over(self, term: Term) -> Deposed:
        return Deposed(f"{self._where}: the term of epoch {term.epoch} is over")

    # the store

    async def get(self, key: str) -> Entry | None:
        return (await self._entries(key)).get(key)

    async def list(self, prefix: str) -> Mapping[str, Entry]:
        return await self._entries(f"{prefix}/*")

    async def _entries(self, wanted: str) -> dict[str, Entry]:
        found = await self._bounded(self._read(keys=[self._values, self._versions], args=[wanted]))
        try:
            return {
                bytes(key).decode(): Entry(bytes(value), self._number(version))
                for key, value, version in zip(found[::3], found[1::3], found[2::3], strict=True)
            }
        except (TypeError, ValueError):
            raise EngineError(f"{self._where}: the answer makes no sense") from None

    async def put(self, write: Write) -> int:
        return await self._written(None, [write])

    async def commit(self, term: Term, writes: Sequence[Write]) -> None:
        await self._written(term, writes)

    async def _written(self, term: Term | None, writes: Sequence[Write]) -> int:
        contract.check(writes, self.value_limit)
        before = time.monotonic()
        arguments: Arguments = [term.proof if term else "", term.epoch if term else 0, self._channel]
        for write in writes:
            expected = "" if write.version is None else str(write.version)
            arguments += [write.key, "del" if write.value is None else "set", expected, write.value or b""]
        keys = [self._lock, self._epoch, self._values, self._versions, self._counter]

        async def steps() -> Any:
            said = await self._write(keys=keys, args=arguments)
            if said and said[0] == b"ok":
                await self._confirmed(before)
            return said

        said = await self._bounded(steps())
        match said:
            case [b"ok", version]:
                return self._number(version)
            case [b"deposed"] if term:
                raise self._over(term)
            case [b"conflict", key]:
                raise Conflict(f"{self._where}: {bytes(key).decode()} does not have the version expected")
        raise EngineError(f"{self._where}: the answer makes no sense")

    async def changed(self, prefix: str, wait: float) -> bool:
        end = time.monotonic() + wait
        known = prefix in self._seen
        self._seen.setdefault(prefix, -1)
        async with self._redis.pubsub() as channel:
            await self._bounded(channel.subscribe(self._channel))
            while True:
                version = self._number(await self._bounded(self._redis.get(self._counter)) or b"0")
                if not known:
                    known, self._seen[prefix] = True, version
                if version != self._seen[prefix]:
                    self._seen[prefix] = version
                    return True
                left = end - time.monotonic()
                if left <= 0:
                    return False
                pause = min(POLL, left)
                await self._bounded(channel.get_message(True, timeout=pause), pause)

    # what is asked and what comes

    def _number(self, said: Any) -> int:
        try:
            return int(said)
        except (TypeError, ValueError):
            raise EngineError(f"{self._where}: the answer makes no sense") from None

    async def _answered(self, call: Awaitable[T]) -> T:
        """A primary that became a replica keeps its connections, though its name may lead elsewhere: so they
        are left. Before Redis 7 a script's error has the word in its text alone."""
        try:
            return await call
        except ResponseError as error:
            if isinstance(error, ReadOnlyError) or "READONLY" in str(error):
                with contextlib.suppress(RedisError, OSError):
                    await self._redis.connection_pool.disconnect()
            raise

    async def _bounded(self, call: Awaitable[T], wait: float = 0.0) -> T:
        """The answer, or EngineError after the time-out (and `wait`, where the answer may take so long)."""
        before = _cancelled()
        try:
            async with asyncio.timeout(self._timeout + wait):
                return await self._answered(call)
        except TimeoutError:
            raise EngineError(f"{self._where}: no answer in {self._timeout + wait:g} s") from None
        except (RedisError, OSError, ValueError) as error:
            raise EngineError(f"{self._where}: {error or type(error).__name__}") from None
        finally:
            if (
                _cancelled() > before
            ):  # the library swallowed it, and whoever waits for the end would for ever
                raise asyncio.CancelledError


def _cancelled() -> int:
    """How often the running task was asked to end."""
    task = asyncio.current_task()
    return task.cancelling() if task is not None else 0
