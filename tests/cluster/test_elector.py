"""When a node leads, and when it stops, in virtual time."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from lb.cluster.contract import Deposed, EngineError, Write
from lb.cluster.elector import Elector, NotLeading
from tests.cluster.memory import MemoryEngine, MemoryStore
from tests.cluster.virtual import run

TTL = 12.0


class Node:
    def __init__(self, store: MemoryStore, name: str, seed: int = 1) -> None:
        self.engine = MemoryEngine(store, Random(seed))
        self.told: list[tuple[str, int]] = []
        self.elector = Elector(
            self.engine, name, TTL, told=lambda reason, epoch, _: self.told.append((reason, epoch)),
            now=asyncio.get_running_loop().time, random=Random(seed),
        )  # fmt: skip
        self.task = asyncio.create_task(self.elector.run())

    async def stop(self) -> None:
        self.elector.end()
        await self.task


async def until(what, seconds: float = 100.0) -> float:
    """Virtual seconds that it took."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    while not what():
        assert loop.time() < began + seconds
        await asyncio.sleep(0.05)
    return loop.time() - began


def test_it_leads_and_renews_three_times_in_a_lease():
    async def life():
        node = Node(MemoryStore(), "a")
        await until(lambda: node.elector.term)
        node.engine.calls.clear()
        await asyncio.sleep(TTL * 10)
        assert node.elector.guard().epoch == 1
        assert 29 <= node.engine.calls.count("renew") <= 31
        assert node.elector.standing.latency < 0.1
        assert node.elector.standing.lateness < 0.1
        await node.stop()
        assert node.told == [("elected", 1), ("ended", 1)]
        assert node.engine.closed

    run(life())


def test_an_end_gives_the_lock_back_at_once():
    async def life():
        store = MemoryStore()
        a = Node(store, "a", 1)
        await until(lambda: a.elector.term)
        b = Node(store, "b", 2)
        await asyncio.sleep(TTL)
        assert b.elector.term is None
        await a.stop()
        assert await until(lambda: b.elector.term) <= TTL / 3 + 0.2
        assert b.elector.guard().epoch == 2
        await b.stop()

    run(life())


def test_cut_off_it_stops_before_anybody_else_can_lead():
    async def life():
        store = MemoryStore()
        a, b = Node(store, "a", 1), Node(store, "b", 2)
        await until(lambda: a.elector.term or b.elector.term)
        leads, follows = (a, b) if a.elector.term else (b, a)
        for _ in range(20):
            leads.engine.cut = True
            gone = await until(lambda: leads.elector.term is None)  # noqa: B023
            assert gone < TTL
            assert follows.elector.term is None
            await until(lambda: leads.told[-1][0] == "expired", 1)  # noqa: B023
            assert await until(lambda: follows.elector.term) < TTL  # noqa: B023
            leads.engine.cut = False
            leads, follows = follows, leads
        await a.stop()
        await b.stop()

    run(life())


def test_a_short_outage_of_the_engine_costs_nothing():
    async def life():
        node = Node(MemoryStore(), "a")
        await until(lambda: node.elector.term)
        for _ in range(10):
            node.engine.cut = True
            await asyncio.sleep(TTL * 0.3)
            assert node.elector.term
            node.engine.cut = False
            await asyncio.sleep(TTL)
        assert node.told == [("elected", 1)]
        assert node.elector.standing.error == ""
        await node.stop()

    run(life())


def test_past_its_deadline_a_term_is_none_though_the_loop_never_ran():
    async def life():
        node = Node(MemoryStore(), "a")
        await until(lambda: node.elector.term)
        deadline = node.elector.guard().deadline
        asyncio.get_running_loop().clock = deadline - 0.01
        assert node.elector.term
        asyncio.get_running_loop().clock = deadline
        assert node.elector.term is None
        with pytest.raises(NotLeading):
            node.elector.guard()
        with pytest.raises(NotLeading):
            await node.elector.commit(1, [Write("x", b"")])
        await until(lambda: node.told[-1] == ("expired", 1) or len(node.told) > 2, 1)
        assert node.told[1] == ("expired", 1)
        await node.stop()

    run(life())


def test_who_resigns_leaves_it_to_others_for_a_lease():
    async def life():
        store = MemoryStore()
        a = Node(store, "a", 1)
        await until(lambda: a.elector.term)
        b = Node(store, "b", 2)
        for _ in range(10):
            leads, follows = (a, b) if a.elector.term else (b, a)
            leads.elector.resign()
            assert await until(lambda: follows.elector.term) < TTL / 2  # noqa: B023
            await asyncio.sleep(TTL * 2)
            assert follows.elector.term
        assert a.elector.transitions["resigned"] == 5
        await a.stop()
        await b.stop()

    run(life())


def test_deposed_by_a_commit_it_steps_down_at_once():
    async def life():
        store = MemoryStore()
        node = Node(store, "a")
        await until(lambda: node.elector.term)
        store.holder = ("thief", object(), 7, store.now() + 1000)
        with pytest.raises(Deposed):
            await node.elector.commit(1, [Write("x", b"")])
        await until(lambda: node.elector.standing.term is None, 0.2)
        assert node.told[-1] == ("deposed", 1)
        assert "x" not in store.entries
        await node.stop()

    run(life())


def test_a_commit_of_an_earlier_term_of_its_own_is_refused():
    async def life():
        node = Node(MemoryStore(), "a")
        await until(lambda: node.elector.term)
        node.elector.resign()
        await until(lambda: node.elector.term and node.elector.guard().epoch == 2)
        with pytest.raises(NotLeading):
            await node.elector.commit(1, [Write("x", b"")])
        await node.elector.commit(2, [Write("x", b"")])
        await node.stop()

    run(life())


def test_it_begins_above_the_epoch_that_it_remembers():
    async def life():
        engine = MemoryEngine(MemoryStore())
        elector = Elector(engine, "a", TTL, above=lambda: 41, now=asyncio.get_running_loop().time)
        task = asyncio.create_task(elector.run())
        await until(lambda: elector.term)
        assert elector.guard().epoch == 42
        elector.end()
        await task

    run(life())


def test_a_term_below_what_a_node_saw_is_over_and_the_next_begins_above():
    async def life():
        above = 0
        engine = MemoryEngine(MemoryStore())
        elector = Elector(engine, "a", TTL, above=lambda: above, now=asyncio.get_running_loop().time)
        task = asyncio.create_task(elector.run())
        await until(lambda: elector.term)
        elector.outdated()
        await asyncio.sleep(1)
        assert elector.guard().epoch == 1, "nobody saw a higher one"
        above = 41
        elector.outdated()
        elector.outdated()
        await until(lambda: elector.term and elector.guard().epoch == 42)
        assert elector.transitions == {"elected": 2, "deposed": 1}
        elector.end()
        await task

    run(life())


@pytest.mark.parametrize("seed", range(25))
def test_never_two_at_once_whatever_the_engine_does(seed):
    """Answers lost, requests late by more than a lease, nodes cut off at random."""

    async def life():
        store, random = MemoryStore(), Random(seed)
        nodes = [Node(store, name, seed * 10 + at) for at, name in enumerate("abc")]
        loop = asyncio.get_running_loop()
        end, led, last = loop.time() + 600, 0, 0.0
        for node in nodes:
            node.engine.lose, node.engine.slow = 0.1, 0.05
        while loop.time() < end:
            leading = [node.elector.guard().epoch for node in nodes if node.elector.term]
            assert len(leading) <= 1
            led += len(leading)
            for epoch in leading:
                assert epoch >= last
                last = epoch
            await asyncio.sleep(random.uniform(0.05, 1))
            if random.random() < 0.05:
                random.choice(nodes).engine.cut ^= True
        assert led > 50
        for node in nodes:
            node.engine.cut, node.engine.lose, node.engine.slow = False, 0, 0
        await asyncio.sleep(TTL * 4)
        assert sum(node.elector.term is not None for node in nodes) == 1
        for node in nodes:
            await node.stop()

    run(life())


def test_errors_are_shown():
    async def life():
        node = Node(MemoryStore(), "a")
        node.engine.cut = True
        await until(lambda: "no answer" in node.elector.standing.error)
        assert issubclass(NotLeading, EngineError)
        await node.stop()

    run(life())


def taken(store, epoch):
    store.holder, store.epoch = ("b", object(), epoch, store.now() + 1000), epoch


@pytest.mark.parametrize("resigning", [False, True])
def test_deposed_it_campaigns_at_its_ease(resigning):
    """By a commit; or by a renewal while it was about to resign."""

    async def life():
        store = MemoryStore()
        a = Node(store, "a")
        await until(lambda: a.elector.term)
        taken(store, 9)
        if resigning:
            renew = a.engine.renew

            async def meanwhile(term):
                a.elector.resign()
                return await renew(term)

            a.engine.renew = meanwhile
            await until(lambda: a.elector.standing.term is None)
        else:
            with pytest.raises(Deposed):
                await a.elector.commit(1, [Write("x", b"")])
        await asyncio.sleep(60)
        assert a.told[-1] == ("deposed", 1)
        assert 5 < a.engine.calls.count("acquire") < 40
        await a.stop()

    run(life())


def test_a_late_word_about_an_earlier_term_does_not_end_this_one():
    async def life():
        node = Node(MemoryStore(), "a")
        await until(lambda: node.elector.term)
        commit = node.engine.commit

        async def late(term, writes):
            node.elector.resign()
            await until(lambda: node.elector.term and node.elector.guard().epoch == 2)
            await commit(term, writes)

        node.engine.commit = late
        with pytest.raises(Deposed):
            await node.elector.commit(1, [Write("x", b"")])
        await asyncio.sleep(TTL)
        assert node.elector.guard().epoch == 2
        assert [reason for reason, _ in node.told] == ["elected", "resigned", "elected"]
        await node.stop()

    run(life())


@pytest.mark.parametrize("what", ["acquire", "renew"])
def test_what_an_engine_may_not_raise_counts_as_no_answer(what):
    async def life():
        node = Node(MemoryStore(), "a")
        bugs, honest = [], getattr(node.engine, what)
        node.elector._bug = bugs.append

        async def nonsense(*_):
            raise RecursionError("nested too deeply")

        if what == "renew":
            await until(lambda: node.elector.term)
        setattr(node.engine, what, nonsense)
        await asyncio.sleep(TTL * 2)
        assert "RecursionError: nested too deeply" in node.elector.standing.error or what == "renew"
        assert isinstance(bugs[0], RecursionError) and not node.task.done()
        setattr(node.engine, what, honest)
        await until(lambda: node.elector.term and not node.elector.standing.error)
        await node.stop()

    run(life())
