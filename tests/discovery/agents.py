"""A scripted agent of Consul on a port of its own, and the entries that it gives."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from lb.discovery.consul import ConsulProvider
from lb.discovery.consul_http import ConsulClient
from lb.discovery.consul_settings import ConsulConnection, ConsulQuery
from lb.discovery.contract import Membership

Said = web.StreamResponse | Callable[[web.Request], Any]


def entry(address="10.0.0.1", port=8080, *, id="web-1", node="n1", checks=(), **service) -> dict[str, Any]:
    return {
        "Node": {"Node": node, "Address": "10.9.9.9", "Meta": {"zone": "a"}},
        "Service": {"ID": id, "Service": "web", "Address": address, "Port": port, **service},
        "Checks": [{"CheckID": name, "Name": name, "Status": status} for name, status in checks],
    }


def said(body: Any = (), index: int | None = 7, status=200, **headers) -> web.Response:
    """An answer; `body` as it is where it is bytes, otherwise as JSON."""
    given = {name.replace("_", "-"): str(value) for name, value in headers.items()}
    if index is not None:
        given["X-Consul-Index"] = str(index)
    raw = body if isinstance(body, bytes) else json.dumps(list(body) if isinstance(body, tuple) else body)
    return web.Response(body=raw, status=status, headers=given)


class Agent:
    """Answers from the script, one after another; then it holds its questions for ever, as it does those of
    the `held` paths."""

    def __init__(self, script: list[Said]) -> None:
        self.script = list(script)
        self.asked: list[dict[str, str]] = []
        self.tokens: list[str | None] = []
        self.paths: list[str] = []
        self.address = ""
        self.held: frozenset[str] = frozenset()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(dict(request.query))
        self.paths.append(request.raw_path.partition("?")[0])
        self.tokens.append(request.headers.get("X-Consul-Token"))
        if not self.script or self.paths[-1] in self.held:
            await asyncio.Event().wait()
        given = self.script.pop(0)
        return given if isinstance(given, web.StreamResponse) else await given(request)


@asynccontextmanager
async def playing(*script: Said) -> AsyncIterator[Agent]:
    agent = Agent(list(script))
    app = web.Application()
    app.router.add_get("/{path:.*}", agent.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.01)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    agent.address = "http://{}:{}".format(*runner.addresses[0][:2])
    try:
        yield agent
    finally:
        await runner.cleanup()


class Pauses:
    """A sleep that only notes for how long, and a clock that it moves."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


def provider(
    *agents: Agent, pauses: Pauses | None = None, query: ConsulQuery | None = None, **connection
) -> ConsulProvider:
    pauses = pauses or Pauses()
    settings = ConsulConnection(addresses=tuple(agent.address for agent in agents), **connection)
    client = ConsulClient(settings, pauses.clock)
    return ConsulProvider(client, query or ConsulQuery(service="web"), pauses.clock, pauses.sleep)


async def words(source: ConsulProvider, count: int, seconds: float = 5.0) -> list[Membership]:
    """The first `count` words of a Provider."""
    found: list[Membership] = []
    async with contextlib.aclosing(source.watch()) as watch, asyncio.timeout(seconds):
        async for one in watch:
            found.append(one)
            if len(found) == count:
                return found
    raise AssertionError("the watch ended by itself")


async def silent(source: ConsulProvider, agent: Agent, asked: int, seconds: float = 5.0) -> list[Membership]:
    """All words until the agent was asked `asked` times."""
    found: list[Membership] = []

    async def collect() -> None:
        async with contextlib.aclosing(source.watch()) as watch:
            async for one in watch:
                found.append(one)

    task = asyncio.create_task(collect())
    async with asyncio.timeout(seconds):
        while len(agent.asked) < asked and not task.done():
            await asyncio.sleep(0.005)
    if task.done():
        await task
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    return found


def addresses(word: Membership) -> list[str]:
    return [member.address for member in word.members]
