"""The etcd engine keeps the contract."""

from __future__ import annotations

import base64

import aiohttp
import pytest

from lb.cluster.contract import Write
from tests.cluster.ground import awaited
from tests.cluster.real import running
from tests.cluster.remote import RemoteSuite


@pytest.fixture(scope="module")
def etcd_server():
    yield from running("etcd")


async def ask(port, path, body):
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"http://127.0.0.1:{port}{path}", json=body) as answer,
    ):
        assert answer.status == 200, await answer.text()
        return await answer.json()


async def delete(cluster, key, end=""):
    body = {
        "key": base64.b64encode(key.encode()).decode(),
        "range_end": base64.b64encode(end.encode()).decode(),
    }
    await ask(cluster.real.port, "/v3/kv/deleterange", body)


class TestEtcd(RemoteSuite):
    ENGINE = "etcd"
    TAKES_LOCK = b'"compare"'

    def section(self, port):
        return {"endpoints": [f"http://127.0.0.1:{port}"]}

    @pytest.fixture
    def real(self, etcd_server):
        return etcd_server

    async def forget(self, cluster):
        await delete(cluster, f"lb/{cluster.name}/", f"lb/{cluster.name}0")

    async def drop_lock(self, cluster):
        await delete(cluster, f"lb/{cluster.name}/lock")

    @awaited
    async def test_a_change_in_a_past_that_was_compacted_is_not_lost(self, cluster):
        one, other = cluster.engine(), cluster.engine()
        await other.changed("a", 0.1)
        await one.put(Write("a/b", b"1"))
        last = await one.put(Write("b", b"1"))
        await ask(cluster.real.port, "/v3/kv/compaction", {"revision": str(last), "physical": True})
        assert await other.changed("a", 5)
        await one.put(Write("a/b", None))
        assert await other.changed("a", 5)
