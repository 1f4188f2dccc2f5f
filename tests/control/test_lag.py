"""Control's loop lag: what held the loop up is measured."""

from __future__ import annotations

import asyncio
import time

from lb.control.lag import TICK, Lag


def test_a_loop_that_was_held_up_was_late():
    async def script() -> Lag:
        lag = Lag()
        running = asyncio.create_task(lag.run())
        await asyncio.sleep(0)
        time.sleep(TICK + 0.3)
        async with asyncio.timeout(10):
            while not lag.most:
                await asyncio.sleep(0)
        held = lag.last
        async with asyncio.timeout(30):
            while lag.last >= held:  # a later tick
                await asyncio.sleep(0.01)
        running.cancel()
        return lag

    lag = asyncio.run(script())
    assert lag.most >= 0.25
    assert lag.last < lag.most
