"""The Consul engine keeps the contract."""

from __future__ import annotations

import asyncio
from functools import partial

import aiohttp
import pytest

from tests.cluster.ground import LONG, until
from tests.cluster.real import running
from tests.cluster.remote import RemoteSuite


@pytest.fixture(scope="module")
def consul_server():
    for server in running("consul"):  # it listens before it leads, and leads before it knows its own node
        asyncio.run(until(partial(leads, server.port), 20))
        yield server


async def leads(port):
    try:
        return await ask(port, "GET", "status/leader") and await ask(port, "GET", "catalog/nodes")
    except (AssertionError, aiohttp.ClientError):  # "No cluster leader" has status 500
        return False


async def ask(port, method, path, body=None):
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, f"http://127.0.0.1:{port}/v1/{path}", json=body) as answer,
    ):
        assert answer.status == 200, await answer.text()
        return await answer.json()


class TestConsul(RemoteSuite):
    ENGINE = "consul"
    LAPSE = 25.0  # Consul lets a session live up to twice its TTL, of 10 s at least
    NEW_LEASE_LAPSES = 2 * LONG + 5
    TAKES_LOCK = b'"Verb": "lock"'

    def section(self, port):
        return {"address": f"http://127.0.0.1:{port}"}

    @pytest.fixture
    def real(self, consul_server):
        return consul_server

    async def forget(self, cluster):
        await ask(cluster.real.port, "DELETE", f"kv/lb/{cluster.name}/?recurse")

    async def drop_lock(self, cluster):
        await ask(cluster.real.port, "DELETE", f"kv/lb/{cluster.name}/lead/lock")
