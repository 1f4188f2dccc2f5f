"""A loop whose clock jumps: nothing waits, and the order of everything is decided by its time alone."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any


class _Selector(selectors.DefaultSelector):
    loop: VirtualLoop

    def select(self, timeout: float | None = None):
        found = super().select(0)
        if not found and timeout:
            self.loop.clock += timeout
        elif not found and timeout is None:
            found = super().select(0.01)  # only a thread can wake it now
        return found


class VirtualLoop(asyncio.SelectorEventLoop):
    """`clock`: what time() says."""

    def __init__(self) -> None:
        selector = _Selector()
        selector.loop = self
        self.clock = 1000.0
        super().__init__(selector)

    def time(self) -> float:
        return self.clock

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> asyncio.Future[Any]:
        """At once and here: the clock would run ahead of a thread."""
        done: asyncio.Future[Any] = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:
            done.set_exception(error)
        return done


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """As asyncio.run, in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)
