"""The Redis engine keeps the contract; the well-known recipe does not."""

from __future__ import annotations

import pytest

redis = pytest.importorskip("redis")

from tests.cluster.ground import Cluster  # noqa: E402
from tests.cluster.naive import NaiveEngine  # noqa: E402
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
