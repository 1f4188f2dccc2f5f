"""The suite of all Providers on a real Consul."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from lb.discovery.consul import ConsulProvider
from lb.discovery.consul_http import ConsulClient
from lb.discovery.consul_settings import ConsulConnection, ConsulQuery
from lb.discovery.contract import Provider
from tests.cluster.real import running
from tests.discovery.suite import ProviderSuite
from tests.scenarios.test_consul import Agent

from .harness import eventually


@pytest.fixture(scope="module")
def agent():
    for server in running("consul"):
        found = Agent(server)
        eventually(found.leads, 20, "Consul has no leader")
        yield found


class Registered:
    """An instance an address."""

    def __init__(self, agent: Agent) -> None:
        self.agent = agent

    def provider(self) -> Provider:
        connection = ConsulConnection(addresses=(f"http://127.0.0.1:{self.agent.server.port}",))
        return ConsulProvider(ConsulClient(connection), ConsulQuery(service="app"))

    async def set(self, addresses: list[str]) -> None:
        await asyncio.to_thread(self._set, addresses)

    def _set(self, addresses: list[str]) -> None:
        ports = {address.rpartition(":")[2]: address for address in addresses}
        for old in self.agent.ask("GET", "agent/services").keys() - ports:
            self.agent.ask("PUT", f"agent/service/deregister/{old}")
        for port in ports:
            body = {"ID": port, "Name": "app", "Address": "127.0.0.1", "Port": int(port)}
            self.agent.ask("PUT", "agent/service/register", body)

    async def spoil(self) -> None:
        await asyncio.to_thread(self.agent.server.stop)

    async def mend(self) -> None:
        self.agent.server.launch()
        await asyncio.to_thread(self.agent.server.ready)
        await asyncio.to_thread(eventually, self.agent.leads, 20)


class TestTheSuite(ProviderSuite):
    @pytest.fixture(autouse=True)
    def _agent(self, agent):
        self.agent = agent

    @asynccontextmanager
    async def source(self) -> AsyncIterator[Registered]:
        source = Registered(self.agent)
        await source.set([])
        yield source
