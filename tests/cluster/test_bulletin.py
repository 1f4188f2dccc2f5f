"""What nodes post for each other: read as it was written, for as long as it counts."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from lb.cluster import bulletin
from lb.cluster.bulletin import BEAT, LITTER, STALE, Bulletin, Finding
from lb.cluster.contract import Write
from tests.cluster.memory import MemoryEngine, MemoryStore
from tests.cluster.virtual import run

LIMIT = 230_000  # Consul's


class Node:
    def __init__(self, store, name, found=None):
        self.found = found or {}
        self.heard = 0
        self.engine = MemoryEngine(store, Random(name), value_limit=LIMIT)
        self.bulletin = Bulletin(
            self.engine, name, lambda: self.found, self.count, now=asyncio.get_running_loop().time
        )
        self.start()

    def start(self):
        self.tasks = [asyncio.create_task(one) for one in (self.bulletin.post(), self.bulletin.look())]

    def stop(self):
        for task in self.tasks:
            task.cancel()

    def count(self):
        self.heard += 1

    def sees(self):
        return {
            node: {key: finding for part in parts for key, finding in part.items()}
            for node, parts in self.bulletin.fresh().items()
        }


def simulated(work):
    async def whole():
        nodes = []
        try:
            await work(MemoryStore(), nodes)
        finally:
            for node in nodes:
                node.stop()

    run(whole())


FOUND = {1: Finding(True), 2**64 - 1: Finding(False, "no connection within 2s"), 7: Finding(True)}


def test_what_one_posts_the_others_read():
    async def work(store, nodes):
        nodes += [Node(store, "one", FOUND), Node(store, "two"), Node(store, "lb.three-3")]
        await asyncio.sleep(BEAT + 2)
        assert nodes[1].sees() == {"one": FOUND, "lb.three-3": {}}
        assert nodes[0].sees() == {"two": {}, "lb.three-3": {}}
        nodes[0].found = {1: Finding(False, "refused")}
        nodes[0].bulletin.post_soon()
        await asyncio.sleep(0.5)
        assert nodes[2].sees()["one"] == {1: Finding(False, "refused")}

    simulated(work)


def test_what_is_there_at_the_start_does_not_count_before_it_changes():
    async def work(store, nodes):
        nodes.append(Node(store, "one", FOUND))
        await asyncio.sleep(3)
        nodes[0].stop()
        nodes.append(Node(store, "two"))
        for _ in range(20):
            await asyncio.sleep(1)
            assert nodes[1].sees() == {}
        nodes[0].start()
        await asyncio.sleep(1)
        assert nodes[1].sees() == {"one": FOUND}

    simulated(work)


@pytest.mark.parametrize("end", ["killed", "cut", "reader cut", "withdrawn"])
def test_the_word_of_a_node_that_is_gone_ends(end):
    async def work(store, nodes):
        nodes += [Node(store, "one", FOUND), Node(store, "two")]
        await asyncio.sleep(5)
        assert nodes[1].sees() == {"one": FOUND}
        match end:
            case "killed":
                nodes[0].stop()
            case "cut":
                nodes[0].engine.cut = True
            case "reader cut":
                nodes[1].engine.cut = True
            case _:
                nodes[0].stop()
                await nodes[0].bulletin.withdraw()
        began = asyncio.get_running_loop().time()
        while nodes[1].sees():
            await asyncio.sleep(0.1)
        took = asyncio.get_running_loop().time() - began
        assert took < 1.5 if end == "withdrawn" else STALE - BEAT - 1.5 < took < STALE + 0.2
        heard = nodes[1].heard
        await asyncio.sleep(5)
        assert nodes[1].heard > heard  # it is looked at the clock too
        if end == "reader cut":
            nodes[1].engine.cut = False
            await asyncio.sleep(BEAT * 2 + 3)
            assert nodes[1].sees() == {"one": FOUND}

    simulated(work)


def test_what_a_node_left_is_thrown_away_in_time():
    async def work(store, nodes):
        nodes += [Node(store, "one", FOUND), Node(store, "two"), Node(store, "three")]
        await asyncio.sleep(5)
        nodes[0].stop()
        await asyncio.sleep(LITTER - 5)
        assert "health/one/0" in store.entries
        await asyncio.sleep(10)
        assert sorted(store.entries) == ["health/three/0", "health/two/0"]
        nodes[0].start()
        await asyncio.sleep(1)
        assert nodes[1].sees()["one"] == FOUND

    simulated(work)


def test_many_are_posted_in_pieces_that_every_engine_takes():
    async def work(store, nodes):
        why = "é" * 1000
        random = Random(3)
        found = {random.getrandbits(64): Finding(at % 3 > 0, why) for at in range(30_000)}
        nodes += [Node(store, "one", found), Node(store, "two")]
        await asyncio.sleep(6)
        sizes = [len(entry.value) for key, entry in store.entries.items() if key.startswith("health/one/")]
        assert len(sizes) == 8 and max(sizes) < LIMIT
        seen = nodes[1].sees()["one"]
        assert {key: finding.up for key, finding in seen.items()} == {key: f.up for key, f in found.items()}
        assert max(len(finding.why) for finding in seen.values()) == bulletin.MOST_WHY
        nodes[0].found = FOUND
        nodes[0].bulletin.post_soon()
        await asyncio.sleep(2)
        assert [key for key in store.entries if key.startswith("health/one/")] == ["health/one/0"]
        assert nodes[1].sees()["one"] == FOUND

    simulated(work)


def test_all_down_fits():
    async def work(store, nodes):
        nodes.append(
            Node(store, "one", {at * 2**40: Finding(False, "\U0001f600\u0001" * 300) for at in range(4000)})
        )
        await asyncio.sleep(3)
        assert len(store.entries["health/one/0"].value) < LIMIT * 0.9

    simulated(work)


@pytest.mark.parametrize(
    "value",
    [b"", b"[]", b"\xff", b'{"at": 1}', b'{"at": 1, "up": "!", "down": {}}',
     b'{"at": 1, "up": "AAAA", "down": {}}', b'{"at": 1, "up": "", "down": {"-000000000000001": ""}}',
     b'{"at": 1, "up": "", "down": {"xyz": ""}}', b'{"at": 1, "up": "", "down": {"1": 5}}'],
)  # fmt: skip
def test_what_makes_no_sense_is_nobodys_word(value):
    async def work(store, nodes):
        nodes += [Node(store, "one", FOUND), Node(store, "two")]
        await asyncio.sleep(3)
        await nodes[0].engine.put(Write("health/three/0", value))
        await nodes[0].engine.put(Write("health/four", value))
        await asyncio.sleep(3)
        assert nodes[1].sees() == {"one": FOUND}

    simulated(work)


def test_reasons_do_not_steer_a_terminal():
    async def work(store, nodes):
        nodes += [Node(store, "one", {5: Finding(False, "\x1b[31mred\nline")}), Node(store, "two")]
        await asyncio.sleep(3)
        assert nodes[1].sees()["one"][5].why == " [31mred line"

    simulated(work)
