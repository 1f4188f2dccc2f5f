"""Consul's catalogue: which of its services have tags that ask for routes.

Lives here: the question, and the shape of the answer. Must not live here: asking it again and again
(consul_watch), what a route tag means (lb.config.catalog).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

import msgspec
from msgspec import Raw

from lb.discovery.catalog import Catalog
from lb.discovery.consul_http import ConsulClient
from lb.discovery.consul_settings import ConsulCatalog
from lb.discovery.consul_watch import ConsulWatch, Question
from lb.discovery.contract import ProviderError, Unusable, printable

PATH = "/v1/catalog/services"

_SERVICES = msgspec.json.Decoder(dict[str, Raw])
_TAGS = msgspec.json.Decoder(list[str] | None)


class ConsulCatalogProvider(ConsulWatch[Catalog]):
    """Watches the names and tags of all services; `clock` and `sleep` for tests: monotonic seconds."""

    def __init__(
        self,
        client: ConsulClient,
        settings: ConsulCatalog,
        clock: Callable[[], float] | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        connection = client.connection
        where = {"dc": connection.datacenter, "ns": connection.namespace, "partition": connection.partition}
        asked = Question(PATH, {name: value for name, value in where.items() if value})
        super().__init__(client, asked, partial(catalog, settings=settings), clock, sleep)


def catalog(body: bytes, settings: ConsulCatalog) -> Catalog:
    """The services with route tags and with all of `settings.tags`; a tag with the prefix that is no route
    tag is set aside. Raises ProviderError where the answer is none of Consul."""
    try:
        services = _SERVICES.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProviderError(f"Consul's answer on its services is not what it should be: {error}") from None
    routed = []
    unusable = []
    for name, raw in sorted(services.items()):
        try:
            tags = _TAGS.decode(raw) or []
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            unusable.append(Unusable(printable(name), str(error)))
            continue
        ours = sorted(tag for tag in set(tags) if tag.startswith(f"{settings.prefix}."))
        unusable += [
            Unusable(
                printable(f"{name}: {tag}"), f"lb does not know this tag; it knows {settings.route}HOST/PATH"
            )
            for tag in ours
            if not tag.startswith(settings.route)
        ]
        routes = tuple(tag for tag in ours if tag.startswith(settings.route))
        if routes and all(tag in tags for tag in settings.tags):
            routed.append((name, routes))
    return Catalog(tuple(routed), tuple(unusable))
