"""The elector's thread, and what is seen of it when it dies."""

from __future__ import annotations

import asyncio
import time

from lb.cluster.electing import Electing
from lb.cluster.elector import Elector
from lb.cluster.engines.local import LocalEngine


def test_a_thread_that_ended_by_an_error_says_so():
    async def life():
        def broken():
            raise KeyError("lb")

        bugs = []
        electing = Electing(broken, bugs.append)
        await electing.start()
        await asyncio.to_thread(electing._thread.join, 5)
        assert "KeyError" in electing.standing.error and electing.term is None
        assert [repr(error) for error in bugs] == ["KeyError('lb')"]
        await electing.stop()

    asyncio.run(life())


def test_a_loop_that_stands_still_costs_no_term(tmp_path):
    """Other work in control, computing or blocked, for three leases: the lock is renewed all the while."""

    async def life():
        ttl = 2.0
        electing = Electing(lambda: Elector(LocalEngine(tmp_path), "one", ttl))
        rival = Electing(lambda: Elector(LocalEngine(tmp_path), "two", ttl))
        await electing.start()
        async with asyncio.timeout(10):
            while electing.term is None:
                await asyncio.sleep(0.01)
        await rival.start()
        epoch, end = electing.term.epoch, time.monotonic() + 1.5 * ttl
        while time.monotonic() < end:
            sum(range(1000))
        time.sleep(1.5 * ttl)
        assert electing.term is not None and electing.term.epoch == epoch
        assert electing.transitions == {"elected": 1} and not rival.transitions
        await rival.stop()
        await electing.stop()

    asyncio.run(life())
