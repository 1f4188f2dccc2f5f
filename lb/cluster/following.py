"""Following: what every node does with what the leader published.

Lives here: what is accepted, in which order it is remembered and applied, and the report of it. Must not live
here: putting a document in force (`apply`, from lb.control), publishing (lb.cluster.desk).

Nothing that the store says makes a node go backwards, and nothing that is missing or broken there takes away
what runs.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import msgspec

from lb.cluster.contract import Conflict, EngineError, Write
from lb.cluster.memory import Mark, Memory
from lb.cluster.records import CorruptError, Orders, Report, Revision, Traffic, cut, encode
from lb.cluster.shared import Shared

POLL = 5.0  # seconds between two looks where nothing is heard
FAILED = 1.0  # seconds after one that failed: the engine told of the change already
SPACING = 0.1  # seconds between two looks, at the least: engines tell of writes to other keys, too
LOOKS = 10  # at least so many while a staged revision is watched
AGAIN = 30.0  # seconds until a revision that this node refused is tried again
REPORT = 20.0  # seconds between two reports that say the same, while no rollout waits for them
NAMESAKE = 2  # reports in a row that somebody else wrote over: one may be the end of this node's predecessor
ALONE = 3 * REPORT  # seconds without, after which nobody else has this name any more


class Applied(NamedTuple):
    """What became of a document: the generation in force, and why it is not the new one ("": it is)."""

    generation: int
    error: str = ""


class Reached(NamedTuple):
    """`at`: time.monotonic() of the engine's last answer, 0.0 before the first; `error`: why there is none
    now, "" where there is."""

    at: float = 0.0
    error: str = "not asked yet"


class Follower:
    """One per node, in control's loop."""

    def __init__(
        self,
        shared: Shared,
        node: str,
        memory: Memory,
        apply: Callable[[Revision, str], Awaitable[Applied]],
        generation: Callable[[], int],
        *,
        told: Callable[[str, str], None] = lambda reason, text: None,
        bug: Callable[[Exception], None] = lambda error: None,
        traffic: Callable[[], Traffic] = Traffic,
        orders: Callable[[], Orders] = Orders,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`apply`: all or nothing; does not raise. `generation`: the one in force. `told` hears what an
        operator may want to know: reason (taken, refused, distrusted, namesake) and a sentence; `bug`: of
        what nobody expected, after which `run` goes on. `traffic`: this node's since it started, asked for
        while a staged revision is watched. `orders`: the latest that this node obeys."""
        self.running = memory.running
        self.head: Revision | None = None
        self.reached = Reached()
        self._trouble = ""  # why what the store says is not what runs; "" where it is
        self._shared = shared
        self._node = node
        self._memory = memory
        self._apply = apply
        self._generation = generation
        self._told = told
        self._bug = bug
        self._traffic = traffic
        self._orders = orders
        self._now = now
        self._refused = Mark()
        self._again = 0.0
        self._reported: Report | None = None
        self._reported_at = 0.0
        self._version: int | None = None  # of the last report, where it is known
        self._overwritten = 0  # reports in a row
        self._overwritten_at = 0.0
        self._namesake = ""

    @property
    def trouble(self) -> str:
        """Why what the store says is not what runs, or what else is wrong; "" where nothing is."""
        return self._trouble or self._namesake

    async def run(self) -> None:
        """Until cancelled. Nothing that the engine or the store does ends it."""
        while True:
            try:
                await self.step()
            except Exception as error:
                self._bug(error)
                self._trouble = cut(f"an error in lb: {type(error).__name__}: {error}")
            await asyncio.sleep(SPACING)
            await self._wait((FAILED if self.reached.error else self._pace()) - SPACING)

    def _pace(self) -> float:
        """Seconds between two looks where nothing is heard."""
        stage = self.head.stage if self.head is not None else None
        return POLL if stage is None else max(0.5, min(POLL, stage.watch / LOOKS))

    async def step(self) -> None:
        """Look once, take over what is new, report."""
        try:
            await self._look()
            await self._report()
        except EngineError as error:
            self.reached = self.reached._replace(error=str(error))
        else:
            self.reached = Reached(self._now(), "")

    async def _wait(self, seconds: float) -> None:
        before = self._now()
        try:
            await self._shared.engine.changed("current", seconds)
        except EngineError as error:
            self.reached = self.reached._replace(error=str(error))
            await asyncio.sleep(max(0.0, min(1.0, seconds - (self._now() - before))))

    async def _look(self) -> None:
        head, _, corrupt = await self._shared.head()
        if corrupt:
            return self._distrust(corrupt)
        self.head = head
        seen = self._memory.seen
        if head is None:
            if seen.revision:
                return self._distrust(f"the store has no revision; revision {seen.revision} was seen")
            self._trouble = ""
            return None
        mark = _mark(head)
        if mark != seen and not (mark.revision > seen.revision and mark.epoch >= seen.epoch):
            return self._distrust(
                f"the store says revision {mark.revision} of epoch {mark.epoch}; "
                f"revision {seen.revision} of epoch {seen.epoch} was seen before"
            )
        if self.running != self._memory.applied and not await self._keep():
            return None
        try:
            mine = await self._mine(head)
        except CorruptError as error:
            return self._distrust(str(error))
        if mine is None or _mark(mine) == self.running:
            self._trouble = ""
            await self._remember(mark)
        elif _mark(mine) != self._refused or self._now() >= self._again:
            await self._take(mine, mark)
        return None

    async def _mine(self, head: Revision) -> Revision | None:
        """What this node is to run; None: what it runs already, where others are first. Raises
        CorruptError."""
        stage = head.stage
        if stage is None or self._node in stage.first:
            return head
        if stage.stable <= self.running.revision:
            return None
        return await self._shared.revision(stage.stable)

    async def _take(self, mine: Revision, seen: Mark) -> None:
        """Put `mine` in force, which is in force by the publication `seen`."""
        try:
            data = await self._shared.document(mine)
            text = data.decode()
        except (CorruptError, UnicodeDecodeError) as error:
            return self._distrust(f"revision {mine.revision}: {error}")
        mark = _mark(mine)
        # On disk first: after a crash this node must not take an older one.
        if not await self._remember(seen, mark, data):
            return None
        applied = await self._apply(mine, text)
        if applied.error:
            self._refused, self._again = mark, self._now() + AGAIN
            self._say("refused", f"revision {mine.revision} is not put in force here: {applied.error}")
            try:
                await asyncio.to_thread(self._memory.refuse, mark)
            except OSError as error:
                self._distrust(f"revision {mine.revision} is refused, and that cannot be saved: {error}")
            return None
        self.running, self._refused, self._trouble = mark, Mark(), ""
        await self._keep()
        by = f" by {mine.author}" if mine.author else ""
        self._told("taken", f"revision {mine.revision}{by} is in force")
        return None

    async def _keep(self) -> bool:
        """Save that `running` is in force; the next look tries again where it fails."""
        try:
            await asyncio.to_thread(self._memory.keep, self.running)
        except OSError as error:
            self._distrust(f"revision {self.running.revision} runs, and cannot be saved: {error}")
            return False
        return True

    async def _remember(self, seen: Mark, coming: Mark | None = None, data: bytes = b"") -> bool:
        try:
            await asyncio.to_thread(self._memory.remember, seen, coming, data)
        except OSError as error:
            self._distrust(f"revision {seen.revision} cannot be remembered: {error}")
            return False
        return True

    def _distrust(self, text: str) -> None:
        self._say("distrusted", f"{text}; revision {self.running.revision} goes on")

    def _say(self, reason: str, text: str) -> None:
        if text != self._trouble:
            self._told(reason, text)
        self._trouble = text

    async def _report(self) -> None:
        last = self._reported
        watched = self.head is not None and self.head.stage is not None
        seen = self._memory.seen
        report = Report(
            node=self._node, revision=self.running.revision, epoch=self.running.epoch,
            generation=self._generation(), at=time.time(), refused=self._refused.revision,
            error=cut(self.trouble), traffic=self._traffic() if watched else None, seen=seen.revision,
            seen_epoch=max(seen.epoch, self._orders().epoch),
        )  # fmt: skip
        kept = not self.reached.error  # an engine that was away may have lost what it was told
        due = self._reported_at + (self._pace() - SPACING if watched else REPORT)
        if kept and last is not None and self._now() < due:
            # A report that says what the one before said would wake all nodes, this one too.
            traffic = last.traffic if watched and last.traffic is not None else report.traffic
            if msgspec.structs.replace(report, at=last.at, traffic=traffic) == last:
                return
        await self._put(encode(report))
        self._reported, self._reported_at = report, self._now()

    async def _put(self, report: bytes) -> None:
        """Two nodes of one name take turns, and whoever counts nodes counts one."""
        key, version, self._version = f"nodes/{self._node}", self._version, None
        try:
            self._version = await self._shared.engine.put(Write(key, report, version))
            self._overwritten = 0
        except Conflict:
            if await self._shared.engine.get(key) is not None:  # not thrown away, or lost with the store
                self._overwritten += 1
                self._overwritten_at = self._now()
            self._version = await self._shared.engine.put(Write(key, report))
        if self._overwritten >= NAMESAKE and not self._namesake:
            self._namesake = (
                f"another node calls itself {self._node}; give each a name of its own (cluster.node)"
            )
            self._told("namesake", self._namesake)
        elif self._namesake and self._now() - self._overwritten_at > ALONE:
            self._namesake = ""


def _mark(revision: Revision) -> Mark:
    return Mark(revision.revision, revision.epoch, revision.digest)
