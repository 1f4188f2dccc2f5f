"""The bell for services without a place to be watched, against a scripted agent: who is asked for, when."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from contextlib import asynccontextmanager

import pytest

from lb.discovery import consul_bell
from lb.discovery.consul import ConsulProvider
from lb.discovery.consul_bell import CHECKS, SERVICES, Bell
from lb.discovery.consul_http import ConsulClient
from lb.discovery.consul_settings import ConsulConnection, ConsulQuery
from tests.cluster import virtual
from tests.discovery.agents import entry, playing, said

SOON = 3.0  # seconds


@pytest.fixture(autouse=True)
def _turns(monkeypatch):
    """They do not come within a test, however slow the machine."""
    monkeypatch.setattr(consul_bell, "POLL", 60.0)


def check(service, status="critical", node="n1", **more):
    return {"Node": node, "CheckID": "c", "Status": status, "ServiceName": service, "Output": "", **more}


class Whole:
    """The two answers that speak of all of Consul, held until they change; and who was asked for."""

    def __init__(self):
        self.said = {SERVICES: (7, {}), CHECKS: (7, [])}
        self.asked = Counter()
        self.queries = {}
        self.refused = False
        self.moved = asyncio.Condition()

    async def answer(self, request):
        path, query = request.path, dict(request.query)
        self.asked[path.rpartition("/")[2]] += 1
        if path not in self.said:
            return said([entry()], 7)
        self.queries[path] = query
        if self.refused:
            return said(b"what?", None, 500)
        async with self.moved:
            await self.moved.wait_for(lambda: str(self.said[path][0]) != query.get("index"))
        return said(self.said[path][1], self.said[path][0])

    async def move(self, path, body):
        """Returns who is asked for because of it, as soon as somebody is."""
        await self.settled()
        async with self.moved:
            self.said[path] = self.said[path][0] + 1, body
            self.moved.notify_all()
        return await self.settled()

    async def settled(self):
        """Who was asked for, once nobody was for a while."""
        seen, same = Counter(self.asked), 0
        while same < 20:
            await asyncio.sleep(0.02)
            same = same + 1 if seen == self.asked else 0
            seen = Counter(self.asked)
        self.asked.clear()
        return {name for name in seen if name not in ("services", "any")}


@asynccontextmanager
async def polled(*services, **query):
    """An lb that has no place to watch any of them."""
    whole = Whole()
    async with playing(*[whole.answer] * 1000) as agent, asyncio.TaskGroup() as group:
        client = ConsulClient(ConsulConnection(addresses=(agent.address,), max_watches=0))

        async def follow(name):
            async with contextlib.aclosing(
                ConsulProvider(client, ConsulQuery(service=name, **query)).watch()
            ) as words:
                async for _ in words:
                    pass

        tasks = [group.create_task(follow(name)) for name in services]
        async with asyncio.timeout(30):  # what their turn brings is no proof
            yield whole
        for task in tasks:
            task.cancel()
    assert client._session is None
    assert all(bell._task is None for bell in client._bells.values())


def test_all_are_asked_for_when_one_of_the_services_changes():
    async def run():
        async with polled("a", "b") as whole:
            assert await whole.move(SERVICES, {}) == {"a", "b"}
            assert await whole.settled() == set()
            assert whole.queries[SERVICES].keys() == {"stale", "index", "wait"}

    asyncio.run(run())


@pytest.mark.parametrize(
    ("before", "after", "asked"),
    [
        ([], [check("a")], {"a"}),
        ([check("a")], [], {"a"}),
        ([check("a")], [check("a", "warning")], {"a"}),
        ([check("a")], [check("a", Output="17:05"), check("other")], set()),
        ([check("a")], [check("a"), check("B")], {"b"}),
        ([], [check("")], {"a", "b"}),
        ([], None, set()),
        ([], b"{}", set()),
    ],
    ids=["critical", "passing", "other state", "output", "case", "of a node", "null", "garbage"],
)
def test_a_check_has_those_asked_for_that_it_is_about(before, after, asked):
    async def run():
        async with polled("a", "b") as whole:
            whole.said[CHECKS] = 7, before
            assert await whole.move(CHECKS, after) == asked
            assert whole.queries[CHECKS]["filter"] == 'Status != "passing"'

    asyncio.run(run())


def test_the_same_part_of_consul_is_listened_to():
    async def run():
        async with polled("a", datacenter="dc2", namespace="team", partition="p", tags=("v2",)) as whole:
            await whole.move(CHECKS, [])
            for path in (SERVICES, CHECKS):
                asked = whole.queries[path]
                assert (asked["dc"], asked["ns"], asked["partition"]) == ("dc2", "team", "p")
            assert "filter" not in whole.queries[SERVICES]

    asyncio.run(run())


def test_a_bell_that_fails_begins_anew_and_misses_nothing(monkeypatch):
    monkeypatch.setattr(consul_bell, "POLL", 0.3)

    async def run():
        whole = Whole()
        async with playing(*[whole.answer] * 1000) as agent:
            client = ConsulClient(ConsulConnection(addresses=(agent.address,)))
            async with client, asyncio.timeout(SOON):
                listener = client.bell({}).listen("a")
                await whole.settled()
                whole.refused = True
                async with whole.moved:
                    whole.said[SERVICES] = 8, {}
                    whole.moved.notify_all()
                await listener.rung.wait()
                listener.rung.clear()
                while "index" in whole.queries[SERVICES]:
                    await asyncio.sleep(0.02)
                assert not listener.rung.is_set()
                whole.said[SERVICES] = 9, {}
                whole.refused = False
                await listener.rung.wait()
                listener.leave()

    asyncio.run(run())


class Silent:
    """A client whose questions stay without an answer."""

    connection, news = ConsulConnection(), 0

    async def ask(self, *_):
        await asyncio.Event().wait()


def rings(monkeypatch, news):
    """How often all are asked for in a second of virtual time, while something changes without end."""
    monkeypatch.setattr(consul_bell, "SPACING", 0.03)
    monkeypatch.setattr(consul_bell, "POLL", 0.4)

    async def run():
        client = Silent()
        bell = Bell(client, {})
        listener, count = bell.listen("a"), 0
        end = asyncio.get_running_loop().time() + 1.0
        while asyncio.get_running_loop().time() < end:
            bell._due.set()
            if listener.rung.is_set():
                listener.rung.clear()
                count += 1
                client.news += news
            await asyncio.sleep(0.005)
        listener.leave()
        return count

    return virtual.run(run())


def test_asking_for_nothing_again_and_again_becomes_rare(monkeypatch):
    assert 3 <= rings(monkeypatch, 0) <= 8
    assert rings(monkeypatch, 1) >= 12


def test_many_are_asked_less_often(monkeypatch):
    monkeypatch.setattr(consul_bell, "MOST_ASKED", 5)
    assert 3 <= rings(monkeypatch, 1) <= 6
