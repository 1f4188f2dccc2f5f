"""The Consul Provider: the servers of one service by blocking queries, those of a prepared query by polling.

Lives here: what is asked. Must not live here: asking it again and again (consul_watch), what an entry means
(consul_entries).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from urllib.parse import quote

from lb.discovery.consul_entries import membership
from lb.discovery.consul_http import ConsulClient
from lb.discovery.consul_settings import ConsulQuery
from lb.discovery.consul_watch import ConsulWatch, Question
from lb.discovery.contract import Membership


class ConsulProvider(ConsulWatch[Membership]):
    """`clock` and `sleep` for tests: monotonic seconds."""

    def __init__(
        self,
        client: ConsulClient,
        query: ConsulQuery,
        clock: Callable[[], float] | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        asked = Question(path(query), question(client, query), not query.prepared_query, query.service)
        super().__init__(client, asked, partial(membership, query=query), clock, sleep)


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
