"""Shared health: nodes in virtual time, with the real scheduler of checks, over an engine in memory. Servers
are up or down, or cannot be reached by single nodes; the engine and nodes come and go."""

from __future__ import annotations

import asyncio
from collections import Counter
from random import Random

import pytest

from lb.cluster.bulletin import STALE
from lb.config import load
from lb.control.checking import checks_of
from lb.control.events import Events
from lb.control.planning import make_plan
from lb.control.sharing import Sharing
from lb.control.statuses import Statuses
from lb.health.attempt import Outcome
from lb.health.checks import Checks
from lb.telemetry.ledger import Ledger
from tests.cluster.memory import MemoryEngine, MemoryStore
from tests.cluster.virtual import run

INTERVAL, FALL, RISE = 2.0, 3, 2
DETECTED = INTERVAL * FALL * 1.1  # the latest that one node finds a server down


class World:
    """What there is: servers, who is down for whom, the store, and every probe that was made."""

    def __init__(self, folder, servers):
        self.store = MemoryStore()
        self.addresses = [f"10.0.{at // 256}.{at % 256}:80" for at in range(servers)]
        self.down: set[str] = set()
        self.cut: set[tuple[str, str]] = set()  # node, address
        self.probes: Counter[str] = Counter()
        self.probed: Counter[str] = Counter()  # by address
        self.file = folder / "lb.yaml"
        self.write(f"{{http: /healthz, interval: {INTERVAL:g}s, rise: {RISE}, fall: {FALL}}}")
        self.nodes: list[Node] = []

    def write(self, check):
        servers = ", ".join(f'"{address}"' for address in self.addresses)
        self.file.write_text(
            "listeners: ['127.0.0.1:0']\nroutes: {'/': app}\n"
            f"services:\n  app:\n    servers: [{servers}]\n    health_check: {check}\n"
        )

    def add(self, *names, by=2):
        self.nodes += [Node(self, name, by) for name in names]
        return self.nodes[-len(names) :]

    def words(self, address=None):
        return [node.word(address or self.addresses[0]) for node in self.nodes if node.tasks]

    def clear(self):
        self.probes.clear()
        self.probed.clear()


class Node:
    def __init__(self, world, name, by):
        clock = asyncio.get_running_loop().time
        self.world, self.name = world, name
        self.events = []
        events = Events()
        events.listeners.add(self.events.append)
        self.statuses = Statuses(lambda states: None, events, clock)
        self.engine = MemoryEngine(world.store, Random(name), value_limit=100_000)
        self.sharing = Sharing(by, name, self.statuses, events, clock)
        self.checks = Checks(self.sharing.probed, probe=self.probe, random=Random(name))
        self.sharing.run = self.checks.reconcile
        self.bulletin = self.sharing.prepare(self.engine)
        self.reload()
        runs = (self.bulletin.post(), self.bulletin.look(), self.tick())
        self.tasks = [asyncio.create_task(one) for one in runs]

    async def tick(self):
        while True:
            await asyncio.sleep(1)
            self.sharing.heard()

    def reload(self):
        spec = load(self.world.file)
        plan = make_plan(spec, 1, Ledger())
        self.statuses.reconcile(spec, plan)
        self.checks.reconcile(self.sharing.follow(checks_of(spec, plan)))

    async def probe(self, plan, before):
        await asyncio.sleep(0.01)
        self.world.probes[self.name] += 1
        self.world.probed[plan.address] += 1
        if plan.address in self.world.down or (self.name, plan.address) in self.world.cut:
            return Outcome(False, "connection refused")
        return Outcome(True, "HTTP 200")

    def word(self, address):
        return self.statuses.shown("app", address)["status"]

    def vote(self, address):
        return self.statuses.shown("app", address)["vote"]

    async def stop(self):
        for task in self.tasks:
            task.cancel()
        self.tasks = []
        await self.checks.close()

    def broken(self, *addresses):
        """This node cannot reach them."""
        self.world.cut |= {(self.name, address) for address in addresses}


def simulated(work, folder, servers=30):
    async def whole():
        world = World(folder, servers)
        try:
            await work(world)
            bugs = [task for node in world.nodes for task in node.tasks if task.done()]
            assert not bugs, bugs
        finally:
            for node in world.nodes:
                await node.stop()

    run(whole())


async def until(condition, within):
    loop = asyncio.get_running_loop()
    began = loop.time()
    while not condition():
        assert loop.time() - began < within, f"not within {within:g}s"
        await asyncio.sleep(0.05)
    return loop.time() - began


@pytest.mark.parametrize(("count", "by"), [(3, 2), (5, 2), (4, 3)])
def test_each_node_makes_its_share_of_the_checks(tmp_path, count, by):
    async def work(world):
        nodes = world.add(*(f"lb-{at}" for at in range(count)), by=by)
        await asyncio.sleep(20)
        world.clear()
        await asyncio.sleep(60)
        whole = 60 / INTERVAL * len(world.addresses)
        for node in nodes:
            shown = node.sharing.shown()
            share = shown["here"] / len(world.addresses)
            assert share == pytest.approx(
                by / count, rel=0.3
            )  # of few; of many: tests/cluster/test_voting.py
            assert world.probes[node.name] / whole == pytest.approx(share, rel=0.05)
            assert (len(shown["nodes"]), shown["servers"]) == (count, len(world.addresses))
        assert sum(world.probes.values()) / whole == pytest.approx(by, rel=0.05)
        for address in world.addresses:  # none is forgotten
            assert world.probed[address] / (60 / INTERVAL) == pytest.approx(by, rel=0.1)
        assert set(world.words()) == {"up"}

    simulated(work, tmp_path, 100)


def test_a_server_that_dies_is_down_on_all_nodes_and_comes_back_on_all(tmp_path):
    async def work(world):
        world.add("one", "two", "three")
        await asyncio.sleep(20)
        world.down.update(world.addresses[:5])
        took = await until(lambda: all(set(world.words(a)) == {"down"} for a in world.addresses[:5]), 60)
        assert took < DETECTED + INTERVAL + 2
        assert set(world.words(world.addresses[7])) == {"up"}
        away = next(node for node in world.nodes if node.vote(world.addresses[0]) is not None)
        vote = away.vote(world.addresses[0])
        assert vote["state"] == "down" and len(vote["nodes"]) == 2 and vote["disagreements"] == []
        assert {one["why"] for one in vote["nodes"].values()} == {"connection refused"}
        reasons = away.statuses.shown("app", world.addresses[0])["reasons"]
        assert reasons == ["check: down: 2 of 2 nodes: connection refused"]
        world.down.clear()
        took = await until(lambda: all(set(world.words(a)) == {"up"} for a in world.addresses[:5]), 60)
        assert took < INTERVAL * (RISE + 1) * 1.1 + 2

    simulated(work, tmp_path)


@pytest.mark.parametrize("by", [2, 3])
def test_one_node_with_a_broken_network_takes_no_server_down(tmp_path, by):
    async def work(world):
        one, two, _ = world.add("one", "two", "three", by=by)
        await asyncio.sleep(20)
        two.broken(*world.addresses)
        for _ in range(100):
            await asyncio.sleep(1)
            assert all(set(world.words(a)) == {"up"} for a in world.addresses)
        differing = one.sharing.disagreements()["nodes"]
        asked = sum("two" in one.vote(a)["nodes"] for a in world.addresses)
        assert differing == asked > 10
        world.down.add(world.addresses[0])
        await until(lambda: set(world.words()) == {"down"}, DETECTED + INTERVAL + 2)
        # the broken one does not keep what is well down either, when all else is
        world.down.clear()
        world.cut.clear()
        await until(lambda: set(world.words()) == {"up"} and not one.sharing.disagreements()["nodes"], 20)

    simulated(work, tmp_path)


def test_this_nodes_passive_view_is_its_own_and_shown(tmp_path):
    async def work(world):
        one, two = world.add("one", "two")
        await asyncio.sleep(10)
        one.statuses.ejected("app", world.addresses[0], "5 failures in a row")
        assert world.words() == ["ejected", "up"]
        assert one.vote(world.addresses[0])["disagreements"] == ["passive"]
        assert one.sharing.disagreements() == {"passive": 1} and two.sharing.disagreements() == {}

    simulated(work, tmp_path)


def test_without_the_engine_each_node_checks_all_and_no_state_is_lost(tmp_path):
    async def work(world):
        nodes = world.add("one", "two", "three")
        await asyncio.sleep(20)
        dead, dies = world.addresses[:2]
        world.down.add(dead)
        await asyncio.sleep(15)
        assert set(world.words(dead)) == {"down"}
        for node in nodes:
            node.engine.cut = True
        for _ in range(int(STALE + INTERVAL) * 4):
            await asyncio.sleep(0.5)
            assert set(world.words(dead)) == {"down"} and set(world.words(dies)) == {"up"}
        world.clear()
        await asyncio.sleep(20)
        for node in nodes:
            assert node.sharing.shown()["here"] == len(world.addresses)
            assert world.probes[node.name] == pytest.approx(20 / INTERVAL * len(world.addresses), rel=0.1)
            assert [event.reason for event in node.events if event.kind == "cluster_health"][-1] == "alone"
        world.down.add(dies)
        nodes[0].broken(world.addresses[2])  # alone, it decides for itself
        await until(lambda: set(world.words(dies)) == {"down"}, DETECTED + INTERVAL)
        await until(lambda: world.words(world.addresses[2]) == ["down", "up", "up"], DETECTED + INTERVAL)
        for node in nodes:
            node.engine.cut = False
        await until(lambda: set(world.words(world.addresses[2])) == {"up"}, 20)
        await until(lambda: all(node.sharing.shown()["here"] < len(world.addresses) for node in nodes), 20)
        assert set(world.words(dies)) == set(world.words(dead)) == {"down"}

    simulated(work, tmp_path)


def test_an_engine_that_keeps_us_waiting_is_as_one_that_is_away(tmp_path):
    async def work(world):
        one, two = world.add("one", "two")
        (three,) = world.add("three")
        await asyncio.sleep(20)
        assert one.sharing.shown()["here"] < len(world.addresses)
        for node in (one, two, three):
            node.engine.list = lambda prefix: asyncio.sleep(3600)
        await until(lambda: one.sharing.shown()["here"] == len(world.addresses), STALE + 1.1)

    simulated(work, tmp_path)


@pytest.mark.parametrize("end", ["killed", "cut"])
def test_servers_of_a_node_that_goes_are_checked_by_the_others_in_time(tmp_path, end):
    """A server that dies with the node that checked it is down when its word is stale and a check is done."""

    async def work(world):
        one, two, three = world.add("one", "two", "three")
        await asyncio.sleep(20)
        world.down.update(world.addresses)
        if end == "killed":
            await three.stop()
        else:
            three.engine.cut = True
        left = [one, two]
        took = await until(
            lambda: all(node.word(a) == "down" for node in left for a in world.addresses), 60
        )  # fmt: skip
        assert took < STALE + 2 + DETECTED + INTERVAL
        assert one.sharing.nodes == two.sharing.nodes == ["one", "two"]
        (back,) = world.add("four")
        await asyncio.sleep(15)
        assert one.sharing.nodes == back.sharing.nodes == ["four", "one", "two"]
        assert all(back.word(a) == "down" for a in world.addresses)

    simulated(work, tmp_path)


def test_nodes_that_come_and_go_change_no_servers_state(tmp_path):
    async def work(world):
        random = Random(5)
        world.add("n0", "n1", "n2")
        await asyncio.sleep(15)
        dead = set(world.addresses[:5])
        world.down |= dead
        await asyncio.sleep(15)
        told = {}
        for at in range(3, 15):
            live = [node for node in world.nodes if node.tasks]
            if len(live) > 2 and random.random() < 0.5:
                await random.choice(live).stop()
            else:
                world.add(f"n{at}")
            await asyncio.sleep(3)  # a new one finds out by itself
            told.clear()
            for _ in range(random.randrange(1, 12)):
                for node in world.nodes:
                    for a in world.addresses if node.tasks else ():
                        assert node.word(a) == ("down" if a in dead else "up"), (node.name, a)
                await asyncio.sleep(1)

    simulated(work, tmp_path)


def test_another_check_begins_anew_and_is_not_mixed_with_the_one_before(tmp_path):
    async def work(world):
        one, two, three = world.add("one", "two", "three")
        await asyncio.sleep(15)
        world.write(f"{{http: /other, interval: {INTERVAL:g}s, rise: {RISE}, fall: {FALL}}}")
        one.reload()
        assert all(one.vote(a) is None for a in world.addresses)
        assert one.sharing.shown()["here"] == len(world.addresses)  # nobody else makes this one
        assert all(word == "up" for a in world.addresses for word in world.words(a))
        await asyncio.sleep(5)
        two.reload()
        three.reload()
        await until(lambda: one.sharing.shown()["here"] < len(world.addresses), 20)
        assert all(word == "up" for a in world.addresses for word in world.words(a))

    simulated(work, tmp_path)


def test_a_node_that_cannot_probe_has_no_word(tmp_path):
    async def work(world):
        one, two = world.add("one", "two")
        await asyncio.sleep(15)
        await two.checks.close()  # no result comes any more, and it goes on posting
        world.down.update(world.addresses)
        await until(lambda: all(one.word(a) == "down" for a in world.addresses), 60)

    simulated(work, tmp_path)
