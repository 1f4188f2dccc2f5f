"""The Consul Provider: the servers of one service by blocking queries, those of a prepared query by polling.

Lives here: the loop — ask, read what came, tell it where it is new, wait. Must not live here: HTTP
(consul_http), the rules of the index and of the pace (consul_index), what an entry means (consul_entries).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from urllib.parse import quote

from lb.discovery.consul_entries import membership
from lb.discovery.consul_http import Answer, ConsulClient
from lb.discovery.consul_index import Cursor, Pace
from lb.discovery.consul_settings import ConsulQuery
from lb.discovery.contract import Membership, ProviderError

POLL = 5.0  # seconds between two questions that cannot block
READ_AGAIN = 300.0  # seconds after which all is read without index: the index is not to be trusted for ever
LEADER_SPARED = 30.0  # seconds without reads from the leader after one was refused


class ConsulProvider:
    """`clock` and `sleep` for tests: monotonic seconds."""

    def __init__(
        self,
        client: ConsulClient,
        query: ConsulQuery,
        clock: Callable[[], float] | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._client = client
        self._query = query
        self._clock = clock
        self._sleep = sleep
        self._path = path(query)
        self._asked = question(client, query)

    async def watch(self) -> AsyncGenerator[Membership, None]:
        """See the contract. Raises ProviderError alone."""
        now = self._clock or asyncio.get_running_loop().time
        pace = Pace(now)
        cursor = Cursor()
        told: Membership | None = None
        read_at = now()  # when all was read last
        spared = 0.0  # until when the leader is not asked
        blocking = False
        news = True
        async with self._client as client:
            try:
                while True:
                    blocking = blocking or (not self._query.prepared_query and client.take_watch())
                    if now() - read_at >= READ_AGAIN:
                        cursor.reset()
                    if told is not None:
                        pause = pace.delay(news)
                        await self._sleep(pause if blocking else max(pause, POLL))
                    if not cursor.index:
                        read_at = now()
                    index = cursor.index if blocking else 0
                    answer = await client.ask(self._path, self._asked, index, client.connection.stale)
                    age = self._too_old(answer)
                    if age and now() >= spared:
                        try:
                            answer = await client.ask(self._path, self._asked)
                            age = 0.0
                        except ProviderError:
                            spared = now() + LEADER_SPARED
                    cursor.advance(answer.index)
                    found = membership(answer.body, self._query)
                    if age:
                        found = Membership(found.members, found.unusable, age)
                    news = told is None or (found.members, found.unusable) != (told.members, told.unusable)
                    if found != told:
                        told = found
                        yield found
            finally:
                if blocking:
                    client.free_watch()

    def _too_old(self, answer: Answer) -> float:
        """The age of an answer that was read from a server too long without a leader, otherwise 0."""
        bound = self._client.connection.max_stale
        if not answer.leader:
            return max(answer.age, 0.001)
        return answer.age if answer.age > bound else 0.0


def path(query: ConsulQuery) -> str:
    if query.prepared_query:
        return f"/v1/query/{quote(query.prepared_query, safe='')}/execute"
    return f"/v1/health/service/{quote(query.service, safe='')}"


def question(client: ConsulClient, query: ConsulQuery) -> dict[str, str]:
    """The parameters of every question. What the query does not say, the connection says."""
    connection = client.connection
    asked = {
        "dc": query.datacenter or connection.datacenter,
        "ns": query.namespace or connection.namespace,
        "partition": query.partition or connection.partition,
        "filter": "" if query.prepared_query else filter_of(query),
    }
    return {name: value for name, value in asked.items() if value}


def filter_of(query: ConsulQuery) -> str:
    """The filter expression. Servers in every state are asked for: what a state means is decided here."""
    parts = [f'"{tag}" in Service.Tags' for tag in query.tags]
    parts += [f'"{key}" in Node.Meta and Node.Meta["{key}"] == "{value}"' for key, value in query.meta]
    parts += [f"({query.filter})"] if query.filter else []
    return " and ".join(parts)
