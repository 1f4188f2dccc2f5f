"""The ZooKeeper engine keeps the contract."""

from __future__ import annotations

import time

import pytest

kazoo = pytest.importorskip("kazoo.client")

from lb.cluster.contract import Deposed, Write  # noqa: E402
from tests.cluster.ground import LONG, TTL, awaited, until  # noqa: E402
from tests.cluster.real import running  # noqa: E402
from tests.cluster.remote import RemoteSuite  # noqa: E402
from tests.cluster.wire import Wire  # noqa: E402


@pytest.fixture(scope="module")
def zookeeper_server():
    yield from running("zookeeper")


def delete(cluster, path, recursive=False):
    client = kazoo.KazooClient(f"127.0.0.1:{cluster.real.port}")
    client.start()
    client.delete(path, recursive=recursive)
    client.stop()
    client.close()


class TestZookeeper(RemoteSuite):
    ENGINE = "zookeeper"
    TAKES_LOCK = b"/terms/"

    def section(self, port):
        return {"servers": [f"127.0.0.1:{port}"]}

    @pytest.fixture
    def real(self, zookeeper_server):
        return zookeeper_server

    async def forget(self, cluster):
        delete(cluster, f"/lb/{cluster.name}", recursive=True)

    async def drop_lock(self, cluster):
        delete(cluster, f"/lb/{cluster.name}/lock")

    @awaited
    async def test_a_connection_that_was_lost_ends_the_term_at_once(self, cluster):
        """Though the session, and with it the lock, may live on: nobody can know."""
        wire = await Wire(cluster.real.port).start()
        engine, other = cluster.engine(wire.port), cluster.engine()
        term = await engine.acquire("lb-1", LONG)
        await engine.renew(term)
        wire.hang_up()

        async def deposed():
            try:
                await engine.renew(term)
            except Deposed:
                return True

        await until(deposed, 3)
        with pytest.raises(Deposed):
            await engine.commit(term, [Write("a", b"1")])
        assert time.monotonic() < term.deadline
        assert await other.acquire("lb-2", LONG) is None, "its session is still there"
        new = await until(lambda: engine.acquire("lb-1", LONG), 5)
        assert new.epoch > term.epoch
        await engine.commit(await engine.renew(new), [Write("a", b"2")])
        await wire.stop()

    @awaited
    async def test_heartbeats_alone_do_not_keep_the_lock(self, cluster):
        """kazoo sends them in a thread, whatever the loop does: a loop that hangs must lose the lock."""
        one, other = cluster.engine(), cluster.engine()
        await other.holder()
        await one.acquire("lb-1", TTL)
        time.sleep(TTL + 0.5)  # nothing of asyncio runs
        assert await until(lambda: other.acquire("lb-2", LONG), 2)
