"""What every engine keeps of the store, and of waiting for changes."""

from __future__ import annotations

import asyncio
import itertools
import secrets
import time

import pytest

from lb.cluster import contract
from lb.cluster.contract import Conflict, Deposed, Write
from tests.cluster.ground import LONG, SLACK, TIMEOUT, Ground, awaited


class StoreSuite(Ground):
    @awaited
    async def test_what_is_put_can_be_read(self, cluster):
        one, other = cluster.engine(), cluster.engine()
        assert await one.get("a/b") is None
        assert await one.list("a") == {}
        value = bytes(range(256))
        version = await one.put(Write("a/b", value))
        assert version >= 1
        assert await other.get("a/b") == (value, version)
        again = await one.put(Write("a/b", b""))
        assert again != version
        assert await other.get("a/b") == (b"", again)
        assert await one.put(Write("a/b", None)) == 0
        assert await other.get("a/b") is None
        assert await one.put(Write("a/b", None)) == 0

    @awaited
    async def test_a_list_has_what_is_below(self, cluster):
        engine = cluster.engine()
        for key in ("a", "a/b", "a/b/c", "a.b", "ab/c", "b"):
            await engine.put(Write(key, key.encode()))
        found = await engine.list("a")
        assert {key: entry.value for key, entry in found.items()} == {"a/b": b"a/b", "a/b/c": b"a/b/c"}
        assert found["a/b"] == await engine.get("a/b")

    @pytest.mark.parametrize("with_term", [False, True])
    @awaited
    async def test_versions_are_compared(self, cluster, with_term):
        engine = cluster.engine()
        term = await engine.acquire("lb-1", LONG)

        async def write(value, version):
            if with_term:
                await engine.commit(term, [Write("k", value, version)])
            else:
                await engine.put(Write("k", value, version))
            entry = await engine.get("k")
            return entry.version if entry else 0

        with pytest.raises(Conflict):
            await write(b"1", 1)
        with pytest.raises(Conflict):
            await write(None, 1)
        assert await write(None, 0) == 0
        first = await write(b"1", 0)
        with pytest.raises(Conflict):
            await write(b"2", 0)
        with pytest.raises(Conflict):
            await write(None, 0)
        second = await write(b"2", first)
        for wrong in (first, second + 1_000_000):
            with pytest.raises(Conflict):
                await write(b"3", wrong)
            with pytest.raises(Conflict):
                await write(None, wrong)
        assert await write(b"3", None) != second
        assert await write(None, (await engine.get("k")).version) == 0
        with pytest.raises(Conflict):
            await write(b"4", second)
        third = await write(b"1", 0)
        assert third not in (0, first, second), "a version is given twice"
        with pytest.raises(Conflict):
            await write(b"5", first)
        assert (await engine.get("k")).value == b"1"

    @awaited
    async def test_a_commit_is_all_or_nothing(self, cluster):
        engine = cluster.engine()
        term = await engine.acquire("lb-1", LONG)
        await engine.commit(term, [Write("a", b"1", 0), Write("b", b"1", 0), Write("old/x", b"1")])
        a, b = await engine.get("a"), await engine.get("b")
        with pytest.raises(Conflict):
            await engine.commit(
                term,
                [Write("c", b"2"), Write("old/x", None), Write("a", b"2", a.version), Write("b", b"2", 0)],
            )
        assert await engine.get("c") is None
        assert (await engine.get("a"), await engine.get("b")) == (a, b)
        assert (await engine.get("old/x")).value == b"1"
        await engine.commit(
            term,
            [Write("c", b"2"), Write("old/x", None), Write("a", b"2", a.version), Write("none", None),
             Write("b", None, b.version), Write("d", None, 0)],
        )  # fmt: skip
        found = [await engine.get(key) for key in ("a", "b", "c", "d", "old/x")]
        assert [entry and entry.value for entry in found] == [b"2", None, b"2", None, None]

    @awaited
    async def test_deposed_comes_before_a_conflict(self, cluster):
        one, other = cluster.engine(), cluster.engine()
        term = await one.acquire("lb-1", LONG)
        await one.release(term)
        await other.acquire("lb-2", LONG)
        await other.put(Write("a", b"1"))
        with pytest.raises(Deposed):
            await one.commit(term, [Write("a", b"2", 0)])

    @awaited
    async def test_the_most_that_fits(self, cluster):
        engine = cluster.engine()
        term = await engine.acquire("lb-1", LONG)
        value = secrets.token_bytes(engine.value_limit)
        await engine.put(Write("a/large", value))
        assert (await engine.get("a/large")).value == value
        half = engine.value_limit // 2
        many = [Write(f"a/{number}", b"x") for number in range(contract.MOST_WRITES - 2)]
        await engine.commit(term, [Write("a/large", value[:half]), Write("a/other", value[half:-100]), *many])
        assert len(await engine.list("a")) == contract.MOST_WRITES
        versions = {key: entry.version for key, entry in (await engine.list("a")).items()}
        await engine.commit(term, [Write(key, None, version) for key, version in versions.items()])
        assert await engine.list("a") == {}
        for refused in (
            [Write("a", value + b"x")],
            [Write("a", value), Write("b", b"x")],
            [Write("a", b""), Write("a", None)],
            [Write(f"a/{number}", b"") for number in range(contract.MOST_WRITES + 1)],
            *([Write(key, b"")] for key in ("", "/a", "a/", "a//b", "a b", "A", "..", "a/../b", "ä", "a\n")),
        ):
            with pytest.raises(ValueError, match=r"store them in pieces|at most|written twice|not a key"):
                await engine.commit(term, refused)

    @awaited
    async def test_writers_who_compare_lose_no_write(self, cluster):
        """Each adds one to a number, with compare and swap: the number counts them all."""
        engines = [cluster.engine() for _ in range(3)]
        await engines[0].put(Write("n", b"0"))

        async def add(engine):
            done = 0
            while done < 8:
                entry = await engine.get("n")
                try:
                    await engine.put(Write("n", str(int(entry.value) + 1).encode(), entry.version))
                    done += 1
                except Conflict:
                    pass

        await asyncio.gather(*(add(engine) for engine in engines))
        assert (await engines[0].get("n")).value == b"24"

    # waiting

    @awaited
    async def test_a_change_wakes(self, cluster):
        one, other = cluster.engine(), cluster.engine()
        await one.put(Write("a/b", b"1"))
        while await other.changed("a", 0.3):
            pass
        for write in (Write("a/b", b"2"), Write("a/c", b"1"), Write("a/b", None)):
            waiting = asyncio.create_task(other.changed("a", 10))
            await asyncio.sleep(0.2)
            begun = time.monotonic()
            await one.put(write)
            while not await waiting:
                waiting = asyncio.create_task(other.changed("a", 10))
            assert time.monotonic() - begun < SLACK
            while await other.changed("a", 0.3):
                pass
        term = await one.acquire("lb-1", LONG)
        waiting = asyncio.create_task(other.changed("a", 10))
        await one.commit(term, [Write("a/d/e", b"1")])
        assert await asyncio.wait_for(waiting, 5)

    @awaited
    async def test_a_change_between_two_calls_is_not_lost(self, cluster):
        one, other = cluster.engine(), cluster.engine()
        await other.changed("a", 0.1)
        for value in (b"1", b"2", None):
            while await other.changed("a", 0.3):
                pass
            await one.put(Write("a/b", value))
            assert await other.changed("a", 5)

    @awaited
    async def test_waiting_ends(self, cluster):
        engine = cluster.engine()
        await engine.put(Write("b/c", b"1"))
        assert await engine.get("b/c")
        for _ in range(50):
            begun = time.monotonic()
            if not await engine.changed("a", 0.4):
                break
        assert 0.2 < time.monotonic() - begun < 0.4 + SLACK

    @awaited
    async def test_a_wait_that_is_cancelled_loses_nothing(self, cluster):
        one, other = cluster.engine(), cluster.engine()
        while await other.changed("a", 0.3):
            pass
        for pause in (0.0, 0.01, 0.1):
            waiting = asyncio.create_task(other.changed("a", 10))
            await asyncio.sleep(pause)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        await one.put(Write("a/b", b"1"))
        assert await other.changed("a", 5)

    @awaited
    async def test_calls_that_are_cancelled_leave_it_usable(self, cluster):
        engine = cluster.engine()
        for steps in itertools.chain(range(6), (0.001, 0.003, 0.01)):
            calls = (
                engine.acquire("lb-1", LONG),
                engine.put(Write("a", b"1")),
                engine.get("a"),
                engine.list("a"),
            )
            for call in calls:
                task = asyncio.create_task(call)
                if isinstance(steps, int):
                    for _ in range(steps):
                        await asyncio.sleep(0)
                else:
                    await asyncio.sleep(steps)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        term = await engine.acquire("lb-1", LONG)
        await engine.commit(term, [Write("a", b"2")])
        assert (await engine.get("a")).value == b"2"
        assert await cluster.engine().acquire("lb-2", LONG) is None

    @awaited
    async def test_whoever_waits_can_be_ended_at_any_moment(self, cluster):
        """Control ends by cancelling these loops, and waits for them."""
        engine = cluster.engine()

        async def follow():
            while True:
                await engine.changed("a", 5)

        for step in range(120):
            waiting = asyncio.create_task(follow())
            await asyncio.sleep(step * 0.00005)
            waiting.cancel()
            await asyncio.wait([waiting], timeout=TIMEOUT + SLACK)
            assert waiting.cancelled(), f"not after {step}"
