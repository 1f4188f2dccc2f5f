"""Providers: from what a service's `discover` says to the object that follows it.

Lives here: which class stands for which source. Must not live here: their rules (lb.discovery), running them
(lb.control.discovering). Sources are imported when they are used: one that needs much costs nobody else.
"""

from __future__ import annotations

import hashlib
import json
from importlib import import_module
from typing import Any

from lb.config.discovery import DiscoverSpec, DiscoverySpec
from lb.discovery.asking import Telling
from lb.discovery.catalog import Catalog
from lb.discovery.contract import Provider, ProviderError
from lb.discovery.dns import ResolvedServer

Followed = DiscoverSpec | tuple[ResolvedServer, ...]


class Providers:
    """Makes Providers; those of one connection to Consul share its client. One per control process."""

    def __init__(self) -> None:
        self._clients: dict[Any, Any] = {}

    def make(self, discover: Followed, discovery: DiscoverySpec) -> Provider:
        """Raises ProviderError where a class of the operator's own cannot be had."""
        if isinstance(discover, tuple):
            from lb.discovery.dns import ResolveProvider

            return ResolveProvider(discover)
        if discover.file is not None:
            from lb.discovery.file import FileProvider

            return FileProvider(discover.file)
        if discover.dns is not None:
            from lb.discovery.dns import DnsProvider

            return DnsProvider(discover.dns.query())
        if discover.consul is not None:
            from lb.discovery.consul import ConsulProvider

            return ConsulProvider(self._consul(discovery), discover.consul.query())
        return _own(discover.provider or "", discover.options)

    def catalog(self, discovery: DiscoverySpec) -> Telling[Catalog]:
        """The catalogue that routes are made of."""
        from lb.discovery.consul_catalog import ConsulCatalogProvider

        assert discovery.consul.catalog is not None
        return ConsulCatalogProvider(self._consul(discovery), discovery.consul.catalog.catalog())

    def _consul(self, discovery: DiscoverySpec) -> Any:
        from lb.discovery.consul_http import ConsulClient

        connection = discovery.consul.connection()
        return self._clients.setdefault(connection, ConsulClient(connection))


def described(discover: Followed) -> str:
    """The source for people: two that differ may look the same."""
    if isinstance(discover, tuple):
        return "dns " + ", ".join(f"{one.name}:{one.port}" for one in discover)
    if discover.file is not None:
        return f"file {discover.file}"
    if discover.dns is not None:
        return f"dns {discover.dns.name} ({discover.dns.records})"
    if discover.consul is not None:
        query = discover.consul
        what = query.service or f"prepared query {query.prepared_query}"
        tags = "".join(f" #{tag}" for tag in query.tags)
        return f"consul {what}{tags}" + (f" @{query.datacenter}" if query.datacenter else "")
    return f"provider {discover.provider}"


def told_apart(discover: Followed, discovery: DiscoverySpec) -> str:
    """A digest of all that says what is followed, which tells one source from another; of options that are
    secrets it betrays nothing. The agents of Consul, token and TLS are ways to a source and no part of it."""
    if isinstance(discover, tuple):
        return _digest({"resolve": [repr(one) for one in discover]})
    said = discover.model_dump(exclude_defaults=True)
    if discover.consul is not None:
        consul = discovery.consul
        said["where"] = [consul.datacenter, consul.namespace, consul.partition]
    return _digest(said)


def catalog_told_apart(discovery: DiscoverySpec) -> str:
    """The same for the catalogue that routes are made of."""
    consul = discovery.consul
    assert consul.catalog is not None
    said = consul.catalog.model_dump(exclude_defaults=True)
    return _digest({"catalog": said, "where": [consul.datacenter, consul.namespace, consul.partition]})


def _digest(said: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(said, sort_keys=True, default=repr).encode()).hexdigest()


def _own(name: str, options: dict[str, Any]) -> Provider:
    module, _, attribute = name.partition(":")
    try:
        made: Provider = getattr(import_module(module), attribute)(**options)
    except Exception as error:  # the operator's own code
        raise ProviderError(f"the Provider {name} cannot be made: {type(error).__name__}: {error}") from None
    if not hasattr(made, "watch"):
        raise ProviderError(f"{name} is no Provider: it has no method `watch`")
    return made
