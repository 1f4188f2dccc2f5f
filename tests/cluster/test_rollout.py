"""A revision is tried on some nodes first: who runs what, who decides, and what survives a leader."""

from __future__ import annotations

import asyncio
import time

import msgspec
import pytest

from lb.cluster.records import HEAD, PROGRESS, Progress, Report, Revision, Stage, Traffic, Wish, decode
from lb.cluster.rollout import SILENT, Rollout
from lb.cluster.shared import Shared
from lb.cluster.verdict import Way
from lb.cluster.wishing import ask
from tests.cluster.memory import MemoryEngine, MemoryStore
from tests.cluster.test_agreement import NAMES, Member, heads
from tests.cluster.virtual import run

STAGE = Stage(first=["lb-1"], watch=20.0, requests=10)


class Nodes:
    """Three nodes that begin with revision 1 in force; `failing`: whose requests fail."""

    def __init__(self, folder):
        from random import Random

        self.store = MemoryStore()
        self.members = {name: Member(name, self.store, folder / name, Random(7)) for name in NAMES}
        for member in self.members.values():
            member.traffic = lambda member=member: self.traffic(member)
            member.follower._traffic = member.traffic
        self.failing: set[str] = set()
        self.mute: set[str] = set()

    def traffic(self, member):
        if member.name not in self.mute:
            member.requests += 40
            member.failures += 40 * (member.name in self.failing)
        return Traffic(life=1.0, requests=member.requests, failures=member.failures)

    async def order(self, kind, text=b"", stage=None, **more):
        wish = Wish(kind=kind, author="ada", at=time.time(), stage=stage, **more)
        now = asyncio.get_running_loop().time
        return await ask(self.members["lb-3"].shared, wish, text, 20.0, now)

    async def begin(self):
        assert (await self.order("push", b"one")).revision == 1
        await asyncio.sleep(10)

    def running(self):
        return {name: member.follower.running.revision for name, member in self.members.items()}

    async def end(self):
        for member in self.members.values():
            await member.kill()


def played(script):
    """A test as a coroutine over Nodes, in virtual time."""

    def test(tmp_path):
        async def whole():
            nodes = Nodes(tmp_path)
            try:
                await nodes.begin()
                await script(nodes)
            finally:
                await nodes.end()

        run(whole())

    return test


@played
async def test_it_goes_on_by_itself_where_it_does_well(nodes):
    assert (await nodes.order("push", b"two", STAGE, message="try")).revision == 2
    await asyncio.sleep(10)
    assert nodes.running() == {"lb-1": 2, "lb-2": 1, "lb-3": 1}
    assert not any(member.follower.trouble for member in nodes.members.values())
    await asyncio.sleep(30)
    assert nodes.running() == {"lb-1": 3, "lb-2": 3, "lb-3": 3}
    last = heads(nodes.store)[-1]
    assert (last.author, last.restores, last.previous, last.stage) == ("lb", 2, 2, None)
    assert "goes on to all nodes" in last.message and "0.00% failed" in last.message
    texts = [await nodes.members[name].shared.document(last) for name in NAMES]
    assert texts == [b"two"] * 3


@played
async def test_it_is_taken_back_at_once_where_requests_fail(nodes):
    nodes.failing.add("lb-1")
    await nodes.order("push", b"two", STAGE)
    began = asyncio.get_running_loop().time()
    while nodes.running()["lb-2"] < 3:
        await asyncio.sleep(0.5)
    assert asyncio.get_running_loop().time() - began < STAGE.watch * 0.7, "it waited for the end"
    await asyncio.sleep(5)
    assert nodes.running() == {"lb-1": 3, "lb-2": 3, "lb-3": 3}
    last = heads(nodes.store)[-1]
    assert (last.author, last.restores) == ("lb", 1)
    assert "is taken back: too many of its requests fail" in last.message
    assert await nodes.members["lb-1"].shared.document(last) == b"one"


@played
async def test_all_fail_alike_and_it_goes_on(nodes):
    nodes.failing |= set(NAMES)
    await nodes.order("push", b"two", STAGE)
    await asyncio.sleep(40)
    assert heads(nodes.store)[-1].restores == 2


@played
async def test_without_requests_it_waits_for_an_operator(nodes):
    nodes.mute.add("lb-1")
    await nodes.order("push", b"two", STAGE)
    await asyncio.sleep(300)
    assert nodes.running() == {"lb-1": 2, "lb-2": 1, "lb-3": 1}
    progress = await nodes.members["lb-2"].shared.progress(2)
    assert progress.watched > 200 and "nothing is decided before 10" in progress.text
    again = await nodes.order("push", b"three", STAGE)
    assert again.error == "conflict" and "still tried on lb-1" in again.message
    overtaken = await nodes.order("promote", base=1)
    assert overtaken.error == "conflict"
    assert (await nodes.order("promote", base=2)).revision == 3
    await asyncio.sleep(10)
    assert nodes.running() == {"lb-1": 3, "lb-2": 3, "lb-3": 3}
    assert (await nodes.order("abort")).error == "no_rollout"


@played
async def test_an_operator_takes_it_back(nodes):
    await nodes.order("push", b"two", STAGE)
    await asyncio.sleep(5)
    assert (await nodes.order("abort", message="no")).revision == 3
    await asyncio.sleep(10)
    assert nodes.running() == {"lb-1": 3, "lb-2": 3, "lb-3": 3}
    assert heads(nodes.store)[-1].restores == 1


@played
async def test_a_push_to_all_ends_it(nodes):
    await nodes.order("push", b"two", STAGE)
    await asyncio.sleep(5)
    # the same document, to all: not "in force already"
    assert (await nodes.order("push", b"two", base=2)).revision == 3
    await asyncio.sleep(10)
    assert nodes.running() == {"lb-1": 3, "lb-2": 3, "lb-3": 3}


@played
async def test_the_next_leader_goes_on_with_what_was_seen(nodes):
    await nodes.order("push", b"two", Stage(first=["lb-1"], watch=60.0, requests=10))
    await asyncio.sleep(40)
    leader = next(m for m in nodes.members.values() if m.elector.term is not None)
    before = await leader.shared.progress(2)
    assert before.watched > 20
    leader.elector.resign()
    await asyncio.sleep(30)
    heir = next(m for m in nodes.members.values() if m.elector.term is not None)
    assert heir is not leader
    await asyncio.sleep(15)
    assert nodes.running() == {"lb-1": 3, "lb-2": 3, "lb-3": 3}, await heir.shared.progress(2)
    assert heads(nodes.store)[-1].epoch > heads(nodes.store)[-2].epoch


@played
async def test_a_first_node_that_dies_ends_it(nodes):
    await nodes.order("push", b"two", STAGE)
    await asyncio.sleep(8)
    dead = nodes.members["lb-1"]
    await dead.kill()
    await asyncio.sleep(SILENT + 15)
    last = heads(nodes.store)[-1]
    assert last.restores == 1 and "lb-1 has not been heard for 30s" in last.message
    dead.start()
    await asyncio.sleep(10)
    assert nodes.running() == {"lb-1": 3, "lb-2": 3, "lb-3": 3}


@played
async def test_a_first_node_that_refuses_it_ends_it(nodes):
    async def refuse(revision, text):
        from lb.cluster.following import Applied

        return Applied(1, "the port is taken") if revision.revision == 2 else await honest(revision, text)

    member = nodes.members["lb-1"]
    honest, member.follower._apply = member.follower._apply, refuse
    await nodes.order("push", b"two", STAGE)
    await asyncio.sleep(20)
    last = heads(nodes.store)[-1]
    assert last.restores == 1 and "lb-1 refused it: " in last.message and "the port is taken" in last.message


@played
async def test_restarted_nodes_run_what_is_theirs(nodes):
    nodes.mute.add("lb-1")
    await nodes.order("push", b"two", STAGE)
    await asyncio.sleep(10)
    for member in nodes.members.values():
        await member.kill()
        member.start()
    assert nodes.running() == {"lb-1": 2, "lb-2": 1, "lb-3": 1}
    await asyncio.sleep(20)
    assert nodes.running() == {"lb-1": 2, "lb-2": 1, "lb-3": 1}


@played
async def test_a_node_that_comes_new_runs_the_stable_one(nodes):
    from pathlib import Path

    from lb.cluster.memory import Memory

    nodes.mute.add("lb-1")
    await nodes.order("push", b"two", STAGE)
    await asyncio.sleep(10)
    fresh = nodes.members["lb-2"]
    await fresh.kill()
    for file in fresh.folder.iterdir():
        file.unlink()
    fresh.start()
    await asyncio.sleep(10)
    assert nodes.running() == {"lb-1": 2, "lb-2": 1, "lb-3": 1}
    memory = Memory(fresh.folder, Path.write_bytes)
    assert (memory.seen.revision, memory.applied.revision, memory.kept()[0].data) == (2, 1, b"one")


@played
async def test_what_cannot_be_tried_is_refused(nodes):
    strange = await nodes.order("push", b"two", Stage(first=["lb-9"]))
    assert strange.error == "no_such_node" and "there are lb-1, lb-2, lb-3" in strange.message
    assert (await nodes.order("push", b"two", Stage(first=[]))).error == "no_such_node"
    same = await nodes.order("push", b"one", STAGE)
    assert same.revision == 1 and "in force already" in same.message


def test_nothing_is_tried_before_there_is_something_to_stay_with(tmp_path):
    async def whole():
        nodes = Nodes(tmp_path)
        try:
            answer = await nodes.order("push", b"one", STAGE)
            assert answer.error == "no_rollout" and "push to all" in answer.message
        finally:
            await nodes.end()

    run(whole())


class Commits:
    """The leader's end: writes go straight to the store."""

    def __init__(self, store):
        self.store = store

    async def commit(self, epoch, writes):
        self.store.write(writes)


def reported(node, revision, requests, failures=0, life=1.0, at=0.0):
    from lb.cluster.contract import Write
    from lb.cluster.records import encode

    traffic = Traffic(life=life, requests=requests, failures=failures, buckets=[requests])
    return Write(
        f"nodes/{node}",
        encode(Report(node=node, revision=revision, epoch=1, generation=1, at=at, traffic=traffic)),
    )


STAGED = Revision(
    revision=2,
    epoch=1,
    digest="d",
    size=1,
    pieces=1,
    author="ada",
    message="",
    at=0.0,
    previous=1,
    stage=msgspec.structs.replace(STAGE, stable=1),
)


def looked(looks):
    """The sums after each look; before it, so many seconds pass and these reports come."""

    async def whole():
        store, clock, found = MemoryStore(), [100.0], []
        rollout = Rollout(Shared(MemoryEngine(store)), Commits(store), lambda: clock[0])
        for epoch, seconds, reports in looks:
            clock[0] += seconds
            store.write(reports)
            verdict = await rollout.look(epoch, STAGED, STAGED.stage)
            found.append((rollout._progress, verdict))
        entry = store.entries.get(PROGRESS)
        return found, decode(PROGRESS, entry.value, Progress) if entry is not None else None

    return run(whole())


def test_only_what_comes_while_it_runs_is_counted():
    found, stored = looked([
        (1, 0, [reported("lb-1", 1, 1000, 900), reported("lb-2", 1, 500)]),
        (1, 5, [reported("lb-1", 2, 1100, 950)]),  # runs it now: from here on
        (1, 5, [reported("lb-1", 2, 1107, 951), reported("lb-2", 1, 520)]),
    ])  # fmt: skip
    assert [verdict.way for _, verdict in found] == [Way.WAIT] * 3
    assert "waiting until lb-1" in found[0][1].text
    sums = found[-1][0]
    assert (sums.watched, sums.first.requests, sums.first.failures, sums.others.requests) == (5, 7, 1, 20)
    assert sums.first.buckets[0] == 7
    assert stored == sums


def test_a_node_that_starts_again_is_counted_from_nothing():
    found, _ = looked([
        (1, 0, [reported("lb-1", 2, 1000)]),
        (1, 5, [reported("lb-1", 2, 1010)]),
        (1, 5, [reported("lb-1", 2, 3, life=2.0)]),
        (1, 5, [reported("lb-1", 2, 5, life=2.0)]),
    ])  # fmt: skip
    assert found[-1][0].first.requests == 10 + 3 + 2


def test_counts_that_fall_take_nothing_away():
    """A reload frees what a route counted; the failures of the others must not hide those of the first."""
    found, _ = looked([
        (1, 0, [reported("lb-1", 2, 1000, 10)]),
        (1, 5, [reported("lb-1", 2, 1100, 20)]),
        (1, 5, [reported("lb-1", 2, 100, 5)]),
        (1, 5, [reported("lb-1", 2, 150, 6)]),
    ])  # fmt: skip
    sums = found[-1][0].first
    assert (sums.requests, sums.failures, sums.buckets[0]) == (150, 11, 150)


def test_after_an_outage_nodes_have_their_time_again():
    """The leader looks before they could report."""
    away = SILENT + 10
    found, _ = looked([
        (1, 0, [reported("lb-1", 2, 0)]),
        (1, 5, [reported("lb-1", 2, 1)]),
        (1, away, []),
        (1, 5, [reported("lb-1", 2, 2)]),
        *[(1, 5, [])] * 7,
    ])  # fmt: skip
    assert [verdict.way for _, verdict in found[:-1]] == [Way.WAIT] * 10
    assert found[-1][1].way is Way.BACK, "who is silent while the leader looks is given up"
    waiting, _ = looked([(1, 0, []), (1, 5, []), (1, away, []), (1, 5, [reported("lb-1", 2, 2)])])
    assert waiting[-1][1].way is Way.WAIT


def test_others_that_run_something_else_are_no_measure():
    found, _ = looked([
        (1, 0, [reported("lb-1", 2, 0), reported("lb-2", 0, 0)]),
        (1, 5, [reported("lb-1", 2, 9), reported("lb-2", 0, 50)]),
    ])  # fmt: skip
    assert found[-1][0].others.requests == 0


def test_time_that_nobody_spoke_of_does_not_count():
    found, _ = looked([
        (1, 0, [reported("lb-1", 2, 0)]),
        (1, 5, [reported("lb-1", 2, 1)]),
        (1, 20, []),
        (1, 5, [reported("lb-1", 2, 2)]),
    ])  # fmt: skip
    assert [progress.watched for progress, _ in found] == [0, 5, 5, 30]
    assert found[2][1].way is Way.WAIT


def test_a_new_term_begins_with_the_sums_of_the_store():
    found, _ = looked([
        (1, 0, [reported("lb-1", 2, 0)]),
        (1, 5, [reported("lb-1", 2, 9)]),
        (2, 5, [reported("lb-1", 2, 12)]),  # only seen once: no difference yet
        (2, 5, [reported("lb-1", 2, 20)]),
    ])  # fmt: skip
    assert (found[-1][0].first.requests, found[-1][0].watched) == (9 + 8, 10)


@pytest.mark.parametrize("broken", [b"garbage", b"{}", b'{"revision": 2, "watched": "x"}'])
def test_sums_that_make_no_sense_are_begun_anew(broken):
    async def whole():
        from lb.cluster.contract import Write

        store = MemoryStore()
        store.write([Write(PROGRESS, broken)])
        return await Shared(MemoryEngine(store)).progress(2)

    assert run(whole()) == Progress(revision=2)


def test_the_head_names_its_stage():
    assert decode(HEAD, b'{"revision":1,"epoch":1,"digest":"","size":0,"pieces":1,"author":"","message":"",'
                  b'"at":0,"previous":0}', Revision).stage is None  # fmt: skip
