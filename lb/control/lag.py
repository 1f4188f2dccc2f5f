"""How late control's loop is: what it holds up, checks, discovery and the admin API wait for.

Lives here: measuring it. Must not live here: what is done about it.
"""

from __future__ import annotations

import asyncio
import time

TICK = 0.5  # seconds between measurements: each wakes control, which may share a core with a worker


class Lag:
    """Seconds: `last`, of the last tick, and `most`, of the latest one."""

    def __init__(self) -> None:
        self.last = self.most = 0.0

    async def run(self) -> None:
        """For ever."""
        while True:
            due = time.perf_counter() + TICK
            await asyncio.sleep(TICK)
            self.last = max(0.0, time.perf_counter() - due)
            self.most = max(self.most, self.last)
