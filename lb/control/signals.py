"""What the operator says with signals.

Lives here: which signal means what. Must not live here: how it is done (lb.control.control).

SIGTERM drains, a second one ends at once; SIGINT ends at once; SIGHUP reloads; SIGUSR1 reopens the logs;
SIGUSR2 starts a successor and goes over to it.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable


class Signals:
    """`stop` is set by the first SIGTERM or by SIGINT, `at_once` by a second SIGTERM or by SIGINT."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        reload: Callable[[], None],
        reopen: Callable[[], None],
        upgrade: Callable[[], None],
    ) -> None:
        self.stop = asyncio.Event()
        self.at_once = asyncio.Event()
        loop.add_signal_handler(signal.SIGTERM, self._terminate)
        loop.add_signal_handler(signal.SIGINT, self._interrupt)
        loop.add_signal_handler(signal.SIGHUP, reload)
        loop.add_signal_handler(signal.SIGUSR1, reopen)
        loop.add_signal_handler(signal.SIGUSR2, upgrade)

    def _terminate(self) -> None:
        if self.stop.is_set():
            self.at_once.set()
        self.stop.set()

    def _interrupt(self) -> None:
        self.at_once.set()
        self.stop.set()
