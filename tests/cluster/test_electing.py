"""The elector's thread, and what is seen of it when it dies."""

from __future__ import annotations

import asyncio

from lb.cluster.electing import Electing


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
