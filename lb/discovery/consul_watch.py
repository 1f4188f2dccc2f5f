"""A watch of Consul: one question, asked again when there may be another answer.

Lives here: the loop — ask, read what came, tell it where it is new, wait. Must not live here: HTTP
(consul_http), the rules of the index and of the pace (consul_index), when a question that does not block is
asked out of its turn (consul_bell), what is asked and what an answer means (consul and consul_catalog).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from hashlib import blake2b
from typing import Generic, NamedTuple, TypeVar

from msgspec import structs

from lb.discovery.catalog import Catalog
from lb.discovery.consul_bell import Listener
from lb.discovery.consul_http import Answer, ConsulClient
from lb.discovery.consul_index import POLL, Cursor, Pace
from lb.discovery.contract import Membership, ProviderError

READ_AGAIN = 300.0  # seconds after which all is read without index: the index is not to be trusted for ever
LEADER_SPARED = 30.0  # seconds without reads from the leader after one was refused

Word = TypeVar("Word", Membership, Catalog)


class Question(NamedTuple):
    """`path` as it stands in the URL; `blocks`: whether Consul can hold it until something changes;
    `service`: whose checks are part of the answer, "" for nobody's."""

    path: str
    asked: Mapping[str, str]
    blocks: bool = True
    service: str = ""


class ConsulWatch(Generic[Word]):
    """`read`: what the body of an answer says; it may raise ProviderError. `clock` and `sleep` for tests:
    monotonic seconds."""

    def __init__(
        self,
        client: ConsulClient,
        question: Question,
        read: Callable[[bytes], Word],
        clock: Callable[[], float] | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._client = client
        self._question = question
        self._read: Callable[[bytes], Word] = read
        self._clock = clock
        self._sleep = sleep

    async def watch(self) -> AsyncGenerator[Word, None]:
        """See the contract. Raises ProviderError alone."""
        path, asked, blocks, service = self._question
        now = self._clock or asyncio.get_running_loop().time
        pace = Pace(now)
        cursor = Cursor()
        told: Word | None = None
        read = b""  # digest of the body that it is from
        read_at = now()  # when all was read last
        spared = 0.0  # until when the leader is not asked
        blocking = False
        listener: Listener | None = None
        news = True
        async with self._client as client:
            try:
                while True:
                    if blocks and not blocking:
                        blocking = client.take_watch()
                        if not blocking:
                            listener = listener or client.bell(asked).listen(service)
                        elif listener is not None:
                            listener.leave()
                            listener = None
                    if now() - read_at >= READ_AGAIN:
                        cursor.reset()
                    if told is not None:
                        pause = pace.delay(news)
                        if listener is not None:
                            await listener.rest(pause, self._sleep)
                        else:
                            await self._sleep(pause if blocking else max(pause, POLL))
                    if not cursor.index:
                        read_at = now()
                    index = cursor.index if blocking else 0
                    answer = await client.ask(path, asked, index, client.connection.stale)
                    age = self._too_old(answer)
                    if age and now() >= spared:
                        try:
                            answer = await client.ask(path, asked)
                            age = 0.0
                        except ProviderError:
                            spared = now() + LEADER_SPARED
                    cursor.advance(answer.index)
                    digest = blake2b(answer.body).digest()
                    if told is None or digest != read:  # reading takes half as long as asking
                        found, read = self._read(answer.body), digest
                    else:
                        found = structs.replace(told, age=0.0)
                    news = told is None or found != structs.replace(told, age=0.0)
                    client.news += news
                    if age:
                        found = structs.replace(found, age=age)
                    if found != told:
                        told = found
                        yield found
            finally:
                if blocking:
                    client.free_watch()
                if listener is not None:
                    listener.leave()

    def _too_old(self, answer: Answer) -> float:
        """The age of an answer that was read from a server too long without a leader, otherwise 0."""
        bound = self._client.connection.max_stale
        if not answer.leader:
            return max(answer.age, 0.001)
        return answer.age if answer.age > bound else 0.0
