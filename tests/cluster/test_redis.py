"""The Redis engine keeps the contract; the well-known recipe does not."""

from __future__ import annotations

import asyncio
import os
import signal
import time

import pytest

redis = pytest.importorskip("redis")

from lb.cluster.contract import EngineError, Write  # noqa: E402
from tests.cluster.ground import LONG, SLACK, TIMEOUT, Cluster, awaited, until  # noqa: E402
from tests.cluster.naive import NaiveEngine  # noqa: E402
from tests.cluster.real import Server, running  # noqa: E402
from tests.cluster.remote import RemoteSuite  # noqa: E402
from tests.cluster.wire import Wire  # noqa: E402


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
    @awaited
    async def test_what_no_replica_confirms_is_an_error(self, cluster):
        engine = cluster.engine()
        term = await engine.acquire("lb-1", LONG)
        replica = Server("redis")
        try:
            port = cluster.real.port
            with redis.Redis(port=replica.port) as connection:
                connection.execute_command("REPLICAOF", "127.0.0.1", port)
                await until(lambda: linked(connection), 10)
                await engine.commit(term, [Write("a", b"1")])
                values = f"{{lb/{cluster.name}}}:values"
                assert connection.hget(values, "a") == b"1", "commit did not wait"
                os.kill(replica.process.pid, signal.SIGSTOP)
                begun = time.monotonic()
                with pytest.raises(EngineError, match="none of 1 replicas confirmed"):
                    await engine.commit(term, [Write("a", b"2")])
                with pytest.raises(EngineError, match="none of 1 replicas confirmed"):
                    await engine.acquire("lb-1", LONG)
                assert time.monotonic() - begun < 2 * TIMEOUT + SLACK
                os.kill(replica.process.pid, signal.SIGCONT)
                term = await until(lambda: engine.acquire("lb-1", LONG), 5)
                await engine.commit(term, [Write("a", b"3")])
                assert connection.hget(values, "a") == b"3"
        finally:
            replica.close()

    @awaited
    async def test_a_primary_that_became_a_replica_is_left(self, cluster):
        """It keeps its connections, and its name may lead to the new one."""
        other = Server("redis")
        wire = await Wire(cluster.real.port).start()
        engine = cluster.engine(wire.port)
        try:
            await asyncio.gather(*[engine.put(Write(f"key-{at}", b"1")) for at in range(3)])
            run(cluster, "REPLICAOF", "127.0.0.1", other.port)
            wire.server = other.port
            with pytest.raises(EngineError, match="read only"):
                await engine.put(Write("key", b"2"))
            await until(lambda: engine.put(Write("key", b"2")), 10)  # when its new replica follows
            with redis.Redis(port=other.port) as connection:
                assert connection.hget(f"{{lb/{cluster.name}}}:values", "key") == b"2"
        finally:
            run(cluster, "REPLICAOF", "NO", "ONE")
            await wire.stop()
            other.close()


async def linked(connection):
    return connection.info("replication").get("master_link_status") == "up"


class NaiveSuite(RedisSuite):
    def connect(self, spec, folder):
        return NaiveEngine(spec.redis.url, spec.name)

    async def drop_lock(self, cluster):
        run(cluster, "DEL", f"naive:{cluster.name}:lock")


CAUGHT = [
    "a_term_that_is_not_renewed_lapses",  # it never does
    "the_same_name_is_not_the_same_holder",
    "a_lock_that_was_deleted_and_taken_under_the_same_name",  # GET, then DEL: it gives back another's
    "writers_who_compare_lose_no_write",
    "a_commit_is_all_or_nothing",
]


@pytest.mark.parametrize("name", CAUGHT)
def test_the_suite_catches_the_well_known_recipe(name, redis_server, tmp_path):
    """SETNX without expiry, GET then DEL, a check before the write: a suite that lets this pass is none."""
    suite = NaiveSuite()
    suite.LAPSE = 3.0
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        getattr(suite, f"test_{name}")(cluster=Cluster(suite, redis_server, tmp_path))


def test_the_well_known_recipe_passes_where_nothing_goes_wrong(redis_server, tmp_path):
    """So it is not refused for being something else than an engine."""
    suite = NaiveSuite()
    for name in (
        "one_holds_it_until_it_is_given_back",
        "what_is_put_can_be_read",
        "a_list_has_what_is_below",
    ):
        getattr(suite, f"test_{name}")(cluster=Cluster(suite, redis_server, tmp_path))
