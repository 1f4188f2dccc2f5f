"""The ZooKeeper engine keeps the contract."""

from __future__ import annotations

import pytest

kazoo = pytest.importorskip("kazoo.client")

from tests.cluster.real import running  # noqa: E402
from tests.cluster.remote import RemoteSuite  # noqa: E402


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
