"""The elector's thread: a loop of its own, so that nothing that control does delays a renewal.

Lives here: starting and ending the thread, and the calls into it. Must not live here: when to renew or to
step down (lb.cluster.elector).
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Sequence

from lb.cluster.contract import EngineError, Term, Write
from lb.cluster.elector import Elector, NotLeading, Standing

LAST = 5.0  # seconds for giving the lock back at the end; then it lapses


class Electing:
    """All methods are for control's loop."""

    def __init__(
        self, make: Callable[[], Elector], bug: Callable[[Exception], None] = lambda error: None
    ) -> None:
        """`make` is called in the thread: what it makes belongs to the thread's loop. `bug` hears, in the
        thread, of the error that ended it."""
        self._make = make
        self._bug = bug
        self._died = ""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._elector: Elector | None = None
        self._began = threading.Event()
        self._thread = threading.Thread(target=self._live, name="lb-elector", daemon=True)

    async def start(self) -> None:
        """Returns when the elector is there; it need not have asked anybody yet."""
        self._thread.start()
        await asyncio.to_thread(self._began.wait)

    async def stop(self) -> None:
        """Give the lock back and end the thread; the lock lapses where that takes longer than LAST."""
        if self._elector is not None and self._loop is not None:
            with contextlib.suppress(RuntimeError):  # ended already
                self._loop.call_soon_threadsafe(self._elector.end)
            await asyncio.to_thread(self._thread.join, LAST)

    @property
    def standing(self) -> Standing:
        known = self._elector.standing if self._elector is not None else Standing()
        return known._replace(term=None, error=self._died) if self._died else known

    @property
    def term(self) -> Term | None:
        """The term that holds now; None where this node does not lead."""
        return self._elector.term if self._elector is not None else None

    @property
    def transitions(self) -> dict[str, int]:
        """How often leadership changed here, by reason."""
        return dict(self._elector.transitions) if self._elector is not None else {}

    def resign(self) -> None:
        """See Elector.resign."""
        if self._elector is not None and self._loop is not None:
            self._loop.call_soon_threadsafe(self._elector.resign)

    def outdated(self) -> None:
        """See Elector.outdated."""
        if self._elector is not None and self._loop is not None:
            self._loop.call_soon_threadsafe(self._elector.outdated)

    async def commit(self, epoch: int, writes: Sequence[Write]) -> None:
        """See Elector.commit."""
        if self._elector is None or self._loop is None:
            raise NotLeading("there is no elector")
        work = self._elector.commit(epoch, writes)
        try:
            asked = asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError:
            work.close()
            raise EngineError("the elector has ended") from None
        await asyncio.wrap_future(asked)

    def _live(self) -> None:
        try:
            asyncio.run(self._main())
        except Exception as error:
            self._died = f"the elector ended by an error in lb: {type(error).__name__}: {error}"
            self._bug(error)
        finally:
            self._began.set()

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._elector = self._make()
        self._began.set()
        await self._elector.run()
