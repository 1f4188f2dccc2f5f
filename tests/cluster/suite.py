"""What every coordination engine keeps, against the real server: one suite for all of them.

A test class of an engine derives from EngineSuite and says how its engine is made and its server damaged.
Time is real here: leases are short, nothing sleeps for a time that could be waited for.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import secrets
import time
from pathlib import Path
from typing import Any

import pytest

from lb.cluster import contract
from lb.cluster.contract import Conflict, Deposed, Engine, EngineError, Write
from lb.cluster.engines import connect
from lb.config.cluster import ClusterSpec

TTL = 2.0  # seconds, of leases that lapse
LONG = 12.0  # seconds, of those that must not lapse while a test runs
TIMEOUT = 2.0  # seconds, of one call
SLACK = 1.0  # seconds that this machine may be late


class Cluster:
    """The engines of one test: all in one cluster of its own. `section` makes the engine's part of the
    configuration from the port where its server, or a wire to it, answers."""

    def __init__(self, suite: EngineSuite, real: Any, folder: Path) -> None:
        self.suite = suite
        self.real = real
        self.folder = folder
        self.name = f"t{secrets.token_hex(6)}"
        self.open: list[Engine] = []

    def spec(self, port: int | None = None) -> ClusterSpec:
        engine = self.suite.ENGINE
        section = self.suite.section(port or self.real.port) if self.real else {"folder": str(self.folder)}
        return ClusterSpec.model_validate(
            {"engine": engine, "name": self.name, "ttl": f"{TIMEOUT * 4 if engine != 'consul' else 10}s",
             engine: section}
        )  # fmt: skip

    def engine(self, port: int | None = None) -> Engine:
        engine = self.suite.connect(self.spec(port), self.folder)
        self.open.append(engine)
        return engine

    async def close(self) -> None:
        for engine in self.open:
            await engine.close()


def awaited(test: Any) -> Any:
    """A test that is a coroutine; its engines are closed at its end."""

    @functools.wraps(test)
    def run(self: Any, cluster: Cluster, **rest: Any) -> None:
        async def whole() -> None:
            try:
                await test(self, cluster, **rest)
            finally:
                await cluster.close()

        asyncio.run(whole())

    return run


async def until(call: Any, seconds: float) -> Any:
    """The first result of `call` that is true, asked for again and again; an EngineError is not yet one."""
    end = time.monotonic() + seconds
    last: Any = None
    while time.monotonic() < end:
        try:
            last = await call()
        except EngineError as error:
            last = error
        else:
            if last:
                return last
        await asyncio.sleep(0.1)
    raise AssertionError(f"not within {seconds:g} s: {last!r}")


class EngineSuite:
    ENGINE = ""
    LAPSE = TTL + 3.0
    """Seconds after which a lock of TTL that nobody renews can be had."""
    NEW_LEASE_LAPSES = LONG + 3.0
    """The same of LONG."""
    TAKES_LOCK = b""
    """What the request that takes the lock has in it, and none before it."""

    def connect(self, spec: ClusterSpec, folder: Path) -> Engine:
        return connect(spec, folder)

    def section(self, port: int) -> dict[str, Any]:
        raise NotImplementedError

    async def forget(self, cluster: Cluster) -> None:
        """Delete all that the engine keeps for this cluster, as an operator can by mistake."""
        raise NotImplementedError

    async def drop_lock(self, cluster: Cluster) -> None:
        """Delete the lock alone."""
        raise NotImplementedError

    @pytest.fixture
    def real(self) -> Any:
        return None

    @pytest.fixture
    def cluster(self, real: Any, tmp_path: Path) -> Cluster:
        return Cluster(self, real, tmp_path)

    # the lock

    @awaited
    async def test_one_holds_it_until_it_is_given_back(self, cluster):
        one, other = cluster.engine(), cluster.engine()
        assert await one.holder() is None
        first = await one.acquire("lb-1", LONG)
        assert first is not None and first.epoch >= 1
        assert await other.acquire("lb-2", LONG) is None
        for engine in (one, other):
            assert await engine.holder() == ("lb-1", first.epoch)
        await one.release(first)
        assert await other.holder() is None
        second = await other.acquire("lb-2", LONG)
        assert second is not None and second.epoch > first.epoch
        assert await one.holder() == ("lb-2", second.epoch)

    @awaited
    async def test_the_same_name_is_not_the_same_holder(self, cluster):
        one, other = cluster.engine(), cluster.engine()
        assert await one.acquire("lb-1", LONG) is not None
        assert await other.acquire("lb-1", LONG) is None

    @awaited
    async def test_the_deadline_is_counted_from_before_the_request(self, cluster):
        engine = cluster.engine()
        before = time.monotonic()
        term = await engine.acquire("lb-1", LONG)
        after = time.monotonic()
        assert before < term.deadline < after + LONG * (1 - contract.MARGIN)
        before = time.monotonic()
        renewed = await engine.renew(term)
        after = time.monotonic()
        assert before + 1 < renewed.deadline < after + LONG * (1 - contract.MARGIN)
        assert renewed.deadline > term.deadline
        assert (renewed.epoch, renewed.proof) == (term.epoch, term.proof)

    @awaited
    async def test_a_term_that_is_not_renewed_lapses(self, cluster):
        one, other = cluster.engine(), cluster.engine()
        term = await one.acquire("lb-1", TTL)
        version = await one.put(Write("a", b"old"))
        next_term = await until(lambda: other.acquire("lb-2", LONG), self.LAPSE)
        assert time.monotonic() >= term.deadline, "two hold it"
        assert next_term.epoch > term.epoch
        with pytest.raises(Deposed):
            await one.renew(term)
        with pytest.raises(Deposed):
            await one.commit(term, [Write("a", b"new", version)])
        with pytest.raises(Deposed):
            await one.release(term)
        assert (await one.get("a")).value == b"old"
        assert await other.holder() == ("lb-2", next_term.epoch)
        await other.commit(next_term, [Write("a", b"new", version)])

    @awaited
    async def test_a_term_that_is_renewed_stays(self, cluster):
        one, other = cluster.engine(), cluster.engine()
        term = await one.acquire("lb-1", TTL)
        end = time.monotonic() + 2 * TTL
        while time.monotonic() < end:
            term = await one.renew(term)
            assert await other.acquire("lb-2", TTL) is None
            await asyncio.sleep(TTL / 6)
        await one.commit(term, [Write("a", b"1")])

    @awaited
    async def test_epochs_grow_over_many_holders(self, cluster):
        engines = [cluster.engine() for _ in range(3)]
        last = 0
        for engine in (*engines, engines[1], engines[1], engines[0]):
            term = await engine.acquire("lb-1", LONG)
            assert term.epoch > last
            last = term.epoch
            await engine.release(term)
            with pytest.raises(Deposed):
                await engine.release(term)

    @awaited
    async def test_one_object_that_asks_twice_gets_a_new_term(self, cluster):
        engine = cluster.engine()
        first = await engine.acquire("lb-1", LONG)
        second = await engine.acquire("lb-1", LONG)
        assert second is not None and second.epoch > first.epoch
        with pytest.raises(Deposed):
            await engine.commit(first, [Write("a", b"1")])
        with pytest.raises(Deposed):
            await engine.renew(first)
        assert await engine.get("a") is None
        await engine.commit(await engine.renew(second), [Write("a", b"1")])

    @awaited
    async def test_the_epoch_is_above_what_the_node_remembers(self, cluster):
        engine = cluster.engine()
        term = await engine.acquire("lb-1", LONG, above=41)
        assert term.epoch > 41
        await engine.release(term)
        assert (await engine.acquire("lb-1", LONG, above=7)).epoch > term.epoch

    @awaited
    async def test_a_store_that_forgot_everything_deposes_and_goes_on(self, cluster):
        one, other = cluster.engine(), cluster.engine()
        term = await one.acquire("lb-1", LONG)
        await one.commit(term, [Write("a", b"1")])
        await self.forget(cluster)
        new = await until(lambda: other.acquire("lb-2", LONG, above=term.epoch), 5)
        assert new.epoch > term.epoch
        with pytest.raises(Deposed):
            await one.commit(term, [Write("a", b"2")])
        with pytest.raises(Deposed):
            await one.renew(term)
        assert await other.get("a") is None

    @awaited
    async def test_a_lock_that_was_deleted_deposes(self, cluster):
        one, other = cluster.engine(), cluster.engine()
        term = await one.acquire("lb-1", LONG)
        await self.drop_lock(cluster)
        new = await other.acquire("lb-2", LONG)
        assert new.epoch > term.epoch
        for refused in (one.renew(term), one.commit(term, [Write("a", b"1")]), one.release(term)):
            with pytest.raises(Deposed):
                await refused
        assert await other.holder() == ("lb-2", new.epoch)
        await other.commit(new, [Write("a", b"1")])

    @awaited
    async def test_many_who_ask_at_once(self, cluster):
        engines = [cluster.engine() for _ in range(4)]
        terms = await asyncio.gather(*(engine.acquire("lb", LONG) for engine in engines))
        assert len([term for term in terms if term]) <= 1, "two hold it"
        await asyncio.sleep(0)
        if not any(terms):
            assert await until(lambda: engines[0].acquire("lb", LONG), self.NEW_LEASE_LAPSES)

    # the store

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
                term, [Write("c", b"2"), Write("old/x", None), Write("a", b"2", a.version), Write("b", b"2", 0)]
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
            [Write("a", value + b"x")], [Write("a", value), Write("b", b"x")], [Write("a", b""), Write("a", None)],
            [Write(f"a/{number}", b"") for number in range(contract.MOST_WRITES + 1)],
            *([Write(key, b"")] for key in ("", "/a", "a/", "a//b", "a b", "A", "../x", "a/../b", "ä", "a\n")),
        ):  # fmt: skip
            with pytest.raises(ValueError, match="."):
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
            calls = (engine.acquire("lb-1", LONG), engine.put(Write("a", b"1")), engine.get("a"), engine.list("a"))
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


__all__ = ["LONG", "SLACK", "TIMEOUT", "TTL", "Cluster", "EngineSuite", "awaited", "until"]
