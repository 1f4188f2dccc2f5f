"""The leader's watch over a staged revision: who runs it, and how it does beside the others.

Lives here: collecting what nodes report, adding it up in the store, giving up on nodes that do not run it or
are silent. Must not live here: the comparison (lb.cluster.verdict), publishing what follows from it
(lb.cluster.desk).

Only time counts in which every first node runs the revision and is heard, and only traffic of that time. Sums
are in the store, so a new leader goes on with them; what it has to see twice to make a difference of is lost
to it once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from lb.cluster.contract import Write
from lb.cluster.records import PROGRESS, Progress, Report, Revision, Stage, Traffic, encode
from lb.cluster.shared import Shared
from lb.cluster.verdict import Verdict, Way, judge

SILENT = (
    30.0  # seconds: a first node that says nothing for so long, or does not run it by then, ends the rollout
)
SAVE = 5.0  # seconds between two writes of the sums
BLIND = 10.0  # seconds between two looks: nobody could report meanwhile, or this leader did not look


class Leader(Protocol):
    """Of lb.cluster.electing.Electing."""

    async def commit(self, epoch: int, writes: Sequence[Write]) -> None: ...


class Rollout:
    """One per node, in control's loop; only the leader's desk uses it."""

    def __init__(self, shared: Shared, leader: Leader, now: Callable[[], float] = time.monotonic) -> None:
        self._shared = shared
        self._leader = leader
        self._now = now
        self._watching = (0, 0)  # epoch and revision
        self._began = 0.0  # from when on a node can be silent
        self._looked = 0.0
        self._until: float | None = None  # up to when it was watched
        self._saved = 0.0
        self._progress = self._written = Progress(revision=0)
        self._heard: dict[str, tuple[Report, float]] = {}  # by node: its last report, and when it came
        self._last: dict[str, Traffic] = {}  # by node: what is counted already

    async def look(self, epoch: int, staged: Revision, stage: Stage) -> Verdict:
        """What is to become of `staged`. Raises EngineError, and NotLeading where the term is over."""
        now = self._now()
        if self._watching != (epoch, staged.revision):
            self._watching, self._began, self._until, self._saved = (epoch, staged.revision), now, None, now
            self._heard, self._last = {}, {}
            self._progress = await self._shared.progress(staged.revision)
        reports = await self._shared.nodes()
        if now - self._looked > BLIND:
            self._began = now
        self._looked = now
        for report in reports:
            heard = self._heard.get(report.node)
            if heard is None or heard[0] != report:
                self._heard[report.node] = (report, now)
        verdict = self._away(staged, stage, now)
        if verdict is None:
            self._count(staged, stage)
            verdict = judge(stage, self._progress)
        else:
            self._until, self._last = None, {}
        await self._save(epoch, verdict, now)
        return verdict

    def _away(self, staged: Revision, stage: Stage, now: float) -> Verdict | None:
        """None where all first nodes run it and are heard."""
        waits = []
        for node in stage.first:
            report, at = self._heard.get(node, (None, self._began))
            if report is not None and report.refused == staged.revision:
                return Verdict(Way.BACK, f"{node} refused it: {report.error}")
            if now - max(at, self._began) > SILENT:
                return Verdict(Way.BACK, f"{node} has not been heard for {SILENT:g}s")
            if report is None or report.revision != staged.revision:
                waits.append(node)
        if not waits:
            return None
        if now - self._began > SILENT:
            return Verdict(Way.BACK, f"{' and '.join(waits)} did not put it in force within {SILENT:g}s")
        return Verdict(Way.WAIT, f"waiting until {' and '.join(waits)} runs it")

    def _count(self, staged: Revision, stage: Stage) -> None:
        first, others = self._progress.first, self._progress.others
        for node, (report, _) in self._heard.items():
            if node in stage.first:
                first = self._added(first, report)
            elif report.revision == stage.stable:
                others = self._added(others, report)
        until = min(self._heard[node][1] for node in stage.first)  # of what came after, nothing is known yet
        watched = self._progress.watched
        if self._until is not None:
            watched += until - self._until
        self._until = until
        self._progress = Progress(revision=staged.revision, watched=watched, first=first, others=others)

    def _added(self, sums: Traffic, report: Report) -> Traffic:
        """What is less than before adds nothing, whatever a node says."""
        traffic = report.traffic
        if traffic is None:
            return sums
        last, self._last[report.node] = self._last.get(report.node), traffic
        if last is None:
            return sums
        if last.life != traffic.life:
            last = Traffic()
        longer = max(len(sums.buckets), len(traffic.buckets))
        before, then, grown = (
            [*one.buckets, *[0] * (longer - len(one.buckets))] for one in (last, sums, traffic)
        )
        return Traffic(
            requests=sums.requests + max(0, traffic.requests - last.requests),
            failures=sums.failures + max(0, traffic.failures - last.failures),
            buckets=[
                there + max(0, late - early) for early, there, late in zip(before, then, grown, strict=True)
            ],
        )

    async def _save(self, epoch: int, verdict: Verdict, now: float) -> None:
        self._progress = msgspec.structs.replace(self._progress, text=verdict.text)
        due = verdict.way is not Way.WAIT or now - self._saved >= SAVE
        if due and self._progress != self._written:
            await self._leader.commit(epoch, [Write(PROGRESS, encode(self._progress))])
            self._written, self._saved = self._progress, now
