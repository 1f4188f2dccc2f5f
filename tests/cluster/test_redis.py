"""The Redis engine keeps the contract; the well-known recipe does not."""

from __future__ import annotations

import pytest

redis = pytest.importorskip("redis")

from tests.cluster.real import running  # noqa: E402
from tests.cluster.remote import RemoteSuite  # noqa: E402


@pytest.fixture(scope="module")
def redis_server():
    yield from running("redis")


def run(cluster, *command):
    with redis.Redis(port=cluster.real.port) as connection:
        return connection.execute_command(*command)


class RedisSuite(RemoteSuite):
    ENGINE = "redis"
    TAKES_LOCK = b"lb-1"

    def section(self, port):
        return {"url": f"redis://127.0.0.1:{port}"}

    @pytest.fixture
    def real(self, redis_server):
        return redis_server

    async def forget(self, cluster):
        run(cluster, "FLUSHALL")

    async def drop_lock(self, cluster):
        run(cluster, "DEL", f"{{lb/{cluster.name}}}:lock")


class TestRedis(RedisSuite):
    pass
