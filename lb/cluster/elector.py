"""Leading: campaigning for the lock, renewing it on time, stepping down on doubt, giving it back.

Lives here: when to ask, when to stop. Must not live here: the lock (lb.cluster.engines), the thread that this
runs in (lb.cluster.electing), what a leader does (lb.cluster.desk).

Who leads is decided by time: past the deadline of the last term nobody here is a leader, whether this loop
got to run or not. So `term` looks at the clock every time that it is read.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable, Sequence
from random import Random
from typing import NamedTuple

from lb.cluster.contract import Deposed, Engine, EngineError, Term, Write

RENEWALS = 3  # in one lease
RETRIES = 20  # in one lease, after a renewal that failed


class NotLeading(EngineError):  # noqa: N818  (what is so, not a failure)
    """This node does not lead now. Nothing was written."""


class Standing(NamedTuple):
    """What the elector knows; replaced as a whole, so that any thread may read it. `since`: unix seconds of
    the last change; `latency`: seconds of the last renewal; `lateness`: seconds that the latest renewal began
    after its time; `error`: why the engine could not be asked, "" when it could."""

    term: Term | None = None
    since: float = 0.0
    latency: float = 0.0
    lateness: float = 0.0
    error: str = ""


class Elector:
    """Campaigns as long as `run` runs. All but `standing`, `term` and `guard` for its own loop only."""

    def __init__(
        self,
        engine: Engine,
        node: str,
        ttl: float,
        *,
        above: Callable[[], int] = lambda: 0,
        told: Callable[[str, int, str], None] = lambda reason, epoch, text: None,
        bug: Callable[[Exception], None] = lambda error: None,
        now: Callable[[], float] = time.monotonic,
        random: Random | None = None,
    ) -> None:
        """`engine` is this elector's alone; `ttl`: seconds. `above`: the highest epoch that this node
        remembers. `told`: hears of every change, called in this loop: reason (elected, deposed, expired,
        resigned, ended), epoch and a sentence. `bug` hears of what an engine raises and may not, once as
        long as it is the same; it counts as no answer."""
        self.standing = Standing(since=time.time())
        self.transitions: Counter[str] = Counter()
        self._engine = engine
        self._node = node
        self._ttl = ttl
        self._above = above
        self._told = told
        self._bug = bug
        self._now = now
        self._random = random or Random()
        self._wake = asyncio.Event()
        self._ending = False
        self._resigning = False
        self._doubted = ""

    @property
    def term(self) -> Term | None:
        """The term that holds now; None where this node does not lead."""
        term = self.standing.term
        return term if term is not None and self._now() < term.deadline else None

    def guard(self) -> Term:
        """The same. Raises NotLeading where there is none."""
        term = self.term
        if term is None:
            raise NotLeading(f"{self._node} does not lead")
        return term

    def resign(self) -> None:
        """Give the lock back, and let others have it for a lease."""
        self._resigning = self.standing.term is not None
        self._wake.set()

    def outdated(self) -> None:
        """A node saw a higher epoch: this term is over, and the next one begins above that."""
        if self.standing.term is not None and self.standing.term.epoch < self._above():
            self._doubted = "deposed"
            self._wake.set()

    def end(self) -> None:
        """Give the lock back; `run` ends."""
        self._ending = True
        self._wake.set()

    async def commit(self, epoch: int, writes: Sequence[Write]) -> None:
        """Write as the leader of `epoch`. Raises NotLeading, and what Engine.commit raises."""
        term = self.guard()
        if term.epoch != epoch:
            raise NotLeading(f"{self._node} leads in epoch {term.epoch}, no more in {epoch}")
        try:
            await self._engine.commit(term, writes)
        except Deposed:
            standing = self.standing.term
            if standing is not None and standing.epoch == epoch:  # not what an earlier term hears late
                self._doubted = "deposed"
                self._wake.set()
            raise

    async def run(self) -> None:
        """Until `end`; closes the engine."""
        try:
            while not self._ending:
                sent = self._now()
                term = await self._acquire()
                if term is None:
                    await self._pause(self._ttl / RENEWALS * self._random.uniform(0.5, 1.0))
                    continue
                self._stand(term, "elected", term.epoch)
                reason, last = await self._keep(term, sent)
                self._stand(None, reason, last.epoch)
                resigned, self._resigning, self._doubted = self._resigning, False, ""  # of that term alone
                await self._release(last)
                if resigned:
                    await self._pause(self._ttl * self._random.uniform(1.0, 1.5))
        finally:
            self.standing = self.standing._replace(term=None)
            await self._engine.close()

    async def _acquire(self) -> Term | None:
        try:
            term = await self._engine.acquire(self._node, self._ttl, self._above())
        except Exception as error:
            self._failed(error)
            return None
        self._note(error="")
        if term is not None and self._now() >= term.deadline:  # the answer took longer than the lease
            await self._release(term)
            return None
        return term

    async def _keep(self, term: Term, sent: float) -> tuple[str, Term]:
        """Renew until it is over; why, and the last term."""
        due = sent + self._ttl / RENEWALS
        while True:
            await self._pause(due - self._now())
            if self._ending or self._resigning or self._doubted:
                return "ended" if self._ending else self._doubted or "resigned", term
            began = self._now()
            if began < due:
                continue
            if began >= term.deadline:
                return "expired", term
            try:
                async with asyncio.timeout(term.deadline - began):
                    renewed = await self._engine.renew(term)
            except Deposed as error:
                self._failed(error)
                return "deposed", term
            except Exception as error:
                self._failed(error)
                due = self._now() + self._ttl / RETRIES
                if due >= term.deadline:
                    return "expired", term
                continue
            if renewed.epoch != term.epoch:
                return "deposed", term
            term = renewed
            self._note(term=term, error="", latency=self._now() - began, lateness=began - due)
            due = began + self._ttl / RENEWALS

    async def _release(self, term: Term) -> None:
        """It may be over already, or the engine away: then it lapses."""
        try:
            await self._engine.release(term)
        except EngineError:
            pass
        except Exception as error:
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        """The engine did not answer, or it raised what it may not: nonsense that it was told, most likely."""
        if isinstance(error, TimeoutError):
            return self._note(error="no answer before the term was over")
        if isinstance(error, EngineError):
            return self._note(error=str(error))
        text = f"an error in lb, asking the engine: {type(error).__name__}: {error}"
        if text != self.standing.error:
            self._bug(error)
        return self._note(error=text)

    def _note(self, **known: object) -> None:
        self.standing = self.standing._replace(**known)  # type: ignore[arg-type]

    def _stand(self, term: Term | None, reason: str, epoch: int) -> None:
        self._note(term=term, since=time.time())
        self.transitions[reason] += 1
        said = "leads" if term is not None else f"leads no more ({reason})"
        self._told(reason, epoch, f"{self._node} {said}, epoch {epoch}")

    async def _pause(self, seconds: float) -> None:
        """At most so long; ends at once where something is wanted."""
        if seconds <= 0:
            return
        self._wake.clear()
        if self._ending or self._resigning or self._doubted:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()
