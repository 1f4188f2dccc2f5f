"""What every engine with a server keeps when the server, or the wire to it, fails."""

from __future__ import annotations

import asyncio
import time

import pytest

from lb.cluster.contract import EngineError, Write
from tests.cluster.ground import LONG, SLACK, TIMEOUT, awaited, until
from tests.cluster.suite import EngineSuite
from tests.cluster.wire import Wire


def all_calls(engine, term):
    return [
        engine.acquire("lb-1", LONG),
        engine.renew(term),
        engine.release(term),
        engine.holder(),
        engine.get("a"),
        engine.list("a"),
        engine.put(Write("a", b"1")),
        engine.commit(term, [Write("a", b"1")]),
        engine.changed("a", 0.1),
    ]


async def all_fail_in_time(engine, term):
    """One by one: a failure may not lengthen the next."""
    for call in all_calls(engine, term):
        name, begun = call.__name__, time.monotonic()
        with pytest.raises(EngineError) as failure:
            await call
        assert time.monotonic() - begun < 2.5 + 0.1 + SLACK, name
        assert type(failure.value) is EngineError or term is not None, name
        assert str(failure.value).startswith(engine.name)


class RemoteSuite(EngineSuite):
    @awaited
    async def test_a_lost_answer_of_acquire(self, cluster):
        wire = await Wire(cluster.real.port).start()
        one, other = cluster.engine(wire.port), cluster.engine()
        wire.deaf_after = self.TAKES_LOCK
        with pytest.raises(EngineError):
            await one.acquire("lb-1", LONG)
        assert wire.deaf, "the request that takes the lock was never sent"
        assert wire.heard.count(self.TAKES_LOCK) == 1, "it was sent twice"
        held = await other.holder()
        assert await other.acquire("lb-2", LONG) is None
        wire.deaf_after, wire.deaf = b"", False
        wire.hang_up()
        term = await until(lambda: one.acquire("lb-1", LONG), 5)
        assert term.epoch > held.epoch
        assert await other.acquire("lb-2", LONG) is None
        await one.commit(term, [Write("a", b"1")])
        await wire.stop()

    @awaited
    async def test_a_server_that_is_silent(self, cluster):
        wire = await Wire(cluster.real.port).start()
        engine = cluster.engine(wire.port)
        term = await engine.acquire("lb-1", LONG)
        wire.deaf = True
        await all_fail_in_time(engine, term)
        wire.deaf = False
        wire.hang_up()
        await until(lambda: engine.put(Write("b", b"2")), 10)
        assert (await engine.get("b")).value == b"2"
        await wire.stop()

    @awaited
    async def test_a_server_that_talks_nonsense(self, cluster):
        async def talk(reader, writer):
            await reader.read(100)
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n[1,{}, \xff\n" * 3)
            writer.close()

        nonsense = await asyncio.start_server(talk, "127.0.0.1", 0)
        engine = cluster.engine(nonsense.sockets[0].getsockname()[1])
        good = cluster.engine()
        term = await good.acquire("lb-2", LONG)
        await all_fail_in_time(engine, term)
        nonsense.close()

    @awaited
    async def test_a_server_that_is_killed_and_comes_back(self, cluster):
        engine = cluster.engine()
        term = await engine.acquire("lb-1", LONG)
        await engine.commit(term, [Write("a", b"1")])
        await engine.changed("a", 0.1)
        waiting = asyncio.create_task(engine.changed("a", 30))
        await asyncio.sleep(0.3)
        cluster.real.stop()
        try:
            begun = time.monotonic()
            while not waiting.done() and time.monotonic() - begun < TIMEOUT + 2 * SLACK:
                await asyncio.sleep(0.05)
            with pytest.raises(EngineError):
                assert not await waiting or await engine.get("a")
            await all_fail_in_time(engine, term)
        finally:
            cluster.real.start()
        assert (await until(lambda: engine.get("a"), 20)).value == b"1"
        new = await until(lambda: engine.acquire("lb-1", LONG), self.NEW_LEASE_LAPSES)
        assert new.epoch > term.epoch
        await until(lambda: changed_without_fault(engine), 10)
        await engine.commit(new, [Write("a", b"2")])
        assert (await cluster.engine().get("a")).value == b"2"


async def changed_without_fault(engine):
    await engine.changed("a", 0.1)
    return True
