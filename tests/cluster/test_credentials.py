"""Users, passwords and tokens: they open what is closed, and stand in no error and in no repr."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import time
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

pytest.importorskip("redis")
pytest.importorskip("kazoo")

from kazoo.client import KazooClient
from kazoo.exceptions import NoAuthError

from lb.cluster.contract import EngineError, Write
from lb.cluster.engines import connect
from lb.config.cluster import ClusterSpec
from tests.cluster.ground import LONG
from tests.cluster.http_server import Served
from tests.cluster.real import Guarded, running
from tests.cluster.test_etcd import ask
from tests.cluster.test_redis import redis

ROOT = Path(__file__).parents[2]
RIGHT, WRONG = "geheim-richtig", "geheim-falsch"


@pytest.fixture
def made(monkeypatch, tmp_path):
    """Makes an engine whose section is `section`, with the secret that the test chooses."""

    def make(engine, secret, key, section):
        monkeypatch.setenv("LB_TEST_SECRET", secret)
        spec = ClusterSpec.model_validate(
            {
                "engine": engine,
                "name": "closed",
                "ttl": "12s",
                engine: {**section, key: {"env": "LB_TEST_SECRET"}},
            }
        )
        return connect(spec, tmp_path)

    return make


def opens(make_one, right_one=RIGHT):
    """What `make_one` makes with the right secret works; with the wrong one every call fails, and says
    nothing of either."""

    async def right():
        engine = make_one(right_one)
        term = await engine.acquire("lb-1", LONG)
        await engine.commit(term, [Write("a", b"1")])
        assert (await engine.get("a")).value == b"1"
        await engine.release(term)
        await engine.close()

    async def wrong():
        engine = make_one(WRONG)
        for call in (engine.acquire("lb-1", LONG), engine.put(Write("a", b"2")), engine.get("a")):
            with pytest.raises(EngineError) as error:
                await call
            assert type(error.value) is EngineError
            said = str(error.value) + repr(error.value) + repr(vars(engine))
            assert "geheim" not in said
            assert error.value.__cause__ is None
        await engine.close()

    asyncio.run(right())
    asyncio.run(wrong())


@pytest.fixture(scope="module")
def redis_server():
    yield from running("redis")


@pytest.fixture(scope="module")
def etcd_server():
    yield from running("etcd")


@pytest.fixture(scope="module")
def zookeeper_server():
    yield from running("zookeeper")


def test_redis_user_and_password(redis_server, made):
    with redis.Redis(port=redis_server.port) as connection:
        connection.execute_command("ACL", "SETUSER", "lb", "on", f">{RIGHT}", "~{lb/*", "&{lb/*", "+@all")
        connection.execute_command("ACL", "SETUSER", "default", "off")
    section = {"url": f"redis://127.0.0.1:{redis_server.port}", "user": "lb"}
    opens(lambda secret: made("redis", secret, "password", section))


def test_etcd_user_and_password(etcd_server, made):
    async def close():
        port = etcd_server.port
        for name, password in (("root", "x"), ("lb", RIGHT)):
            await ask(port, "/v3/auth/user/add", {"name": name, "password": password})
        for role in ("root", "lb"):
            await ask(port, "/v3/auth/role/add", {"name": role})
            await ask(port, "/v3/auth/user/grant", {"user": role, "role": role})
        start, end = (base64.b64encode(key).decode() for key in (b"lb/", b"lb0"))
        may = {"permType": "READWRITE", "key": start, "range_end": end}
        await ask(port, "/v3/auth/role/grant", {"name": "lb", "perm": may})
        await ask(port, "/v3/auth/enable", {})

    asyncio.run(close())
    section = {"endpoints": f"http://127.0.0.1:{etcd_server.port}", "user": "lb"}
    opens(lambda secret: made("etcd", secret, "password", section))

    async def a_token_that_lapsed():
        engine = made("etcd", RIGHT, "password", section)
        await engine.get("a")
        engine._gateway._token = "lapsed.1"
        assert (await engine.get("a")).value == b"1"
        await engine.put(Write("a", b"1"))
        await engine.close()

    asyncio.run(a_token_that_lapsed())


def test_zookeeper_user_and_password(zookeeper_server, made):
    section = {"servers": f"127.0.0.1:{zookeeper_server.port}", "user": "lb"}
    opens(lambda secret: made("zookeeper", secret, "password", section))
    client = KazooClient(f"127.0.0.1:{zookeeper_server.port}")
    client.start()
    for path in ("/lb/closed/epoch", "/lb/closed/keys/a", "/lb/closed/terms"):
        with pytest.raises(NoAuthError):
            client.get(path)
    client.stop()
    client.close()


def test_consul_token(made):
    """With a token of the rights that the page names, and no more."""
    page = (ROOT / "docs/engines.md").read_text()
    rules = re.search(r"In Consul the token needs `([^`]+)` and\s+`([^`]+)`", page)
    assert rules is not None
    for server in running("consul", Guarded):
        section = {"address": f"http://127.0.0.1:{server.port}"}

        def ask(path, body, port=server.port):
            request = Request(
                f"http://127.0.0.1:{port}/v1/acl/{path}", json.dumps(body).encode(),
                {"X-Consul-Token": "root"}, method="PUT",
            )  # fmt: skip
            with urlopen(request, timeout=5) as said:
                return json.loads(said.read())

        end = time.monotonic() + 20
        while True:  # it elects, then it makes its tokens
            try:
                ask("policy", {"Name": "lb", "Rules": " ".join(rules.groups())})
                break
            except OSError:
                assert time.monotonic() < end
                time.sleep(0.1)
        token = ask("token", {"Policies": [{"Name": "lb"}]})["SecretID"]
        opens(lambda secret: made("consul", secret, "token", section), token)  # noqa: B023 - used at once


def test_consul_refuses_inside_a_transaction(made):
    """With 409, as if a version were wrong."""

    async def whole():
        said = {"Results": None, "Errors": [{"OpIndex": 0, "What": "Permission denied"}]}
        async with Served(lambda _: (409, {}, json.dumps(said).encode())) as served:
            engine = made("consul", RIGHT, "token", {"address": f"http://127.0.0.1:{served.port}"})
            with pytest.raises(EngineError, match="Permission denied") as error:
                await engine.put(Write("a", b"", 0))
            assert type(error.value) is EngineError
            await engine.close()

    asyncio.run(whole())
