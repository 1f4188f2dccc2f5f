"""The scheduler of active checks: every check at its time, not too many at once.

Lives here: when a probe runs. Must not live here: how (lb.health.probe), and what its result means.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Iterable
from random import Random
from time import perf_counter  # uvloop's clock counts whole milliseconds
from typing import TypeAlias

from lb.health.attempt import Outcome
from lb.health.plan import AgentState, CheckPlan, Key, Pace, Result
from lb.health.probe import CannotProbeError, run
from lb.worker.journal import Journal

# Probes at a time. Servers that hang hold a place for their whole time-out: of 2,000 such with 2 s
# each, 128 are probed in a second.
LIMIT = 256
FIRST = 500  # first probes a second, when very many checks are new at once
# A check with jitter comes the second time after a share of its interval that is drawn from here to 1: those
# that began together are spread over it, and the machine is not busy in bursts.
EARLIEST_SECOND = 0.1
SILENCE = 10.0  # seconds between two complaints of one kind

Run: TypeAlias = Callable[[CheckPlan, AgentState], Awaitable[Outcome]]

log = Journal("lb.health")


class Check:
    """One check and its rhythm. At most one of `timer` and `task` is there; neither while it waits for a
    place."""

    __slots__ = ("agent", "gone", "pace", "plan", "spread", "started", "task", "timer")

    def __init__(self, plan: CheckPlan) -> None:
        self.plan = plan
        self.agent = AgentState()
        self.pace: Pace = "steady"
        self.started = 0.0
        self.spread = False
        self.timer: asyncio.TimerHandle | None = None
        self.task: asyncio.Task[None] | None = None
        self.gone = False

    def interval(self) -> float:
        """Seconds, before jitter."""
        plan = self.plan
        special = {"down": plan.interval_down, "rising": plan.interval_rising}.get(self.pace)
        return plan.interval if special is None else special


class Checks:
    """The checks of one lb, in the running loop. `report` gets every result, must not block, and says how the
    server stands after it (lb.health.plan.Pace). `limit`: probes at a time."""

    def __init__(
        self,
        report: Callable[[Result], Pace],
        *,
        limit: int = LIMIT,
        probe: Run = run,
        random: Random | None = None,
    ) -> None:
        self._report = report
        self._limit = limit
        self._probe = probe
        self._random = random or Random()
        self._checks: dict[Key, Check] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: deque[Check] = deque()
        self._silent_until = 0.0

    def __repr__(self) -> str:
        return f"<Checks {len(self._checks)}, {self.running} running, {self.waiting} waiting for a place>"

    @property
    def running(self) -> int:
        """Probes under way."""
        return len(self._tasks)

    @property
    def waiting(self) -> int:
        """Probes that are due and have no place: above 0 for long, the servers are probed too seldom."""
        return sum(not check.gone for check in self._waiting)

    def reconcile(self, wanted: Iterable[CheckPlan], services: Collection[str] | None = None) -> None:
        """Make `wanted` what is checked, of all services or of these: new keys are probed at once, those that
        stay go on in their rhythm, those that went are stopped and not reported any more."""
        plans = {plan.key: plan for plan in wanted}
        now = asyncio.get_running_loop().time()
        known = (
            self._checks.keys() if services is None else {k for k in self._checks if k.service in services}
        )
        for key in known - plans.keys():
            self._stop(self._checks.pop(key))
        fresh = 0
        for key, plan in plans.items():
            check = self._checks.get(key)
            if check is None:
                check = self._checks[key] = Check(plan)
                self._at(check, now + fresh / FIRST)
                fresh += 1
            elif check.plan != plan:
                check.plan = plan
                if check.timer is not None and check.started:
                    check.timer.cancel()
                    self._next(check)

    async def close(self) -> None:
        """Stop all; returns when no probe is left."""
        tasks = tuple(self._tasks)
        self.reconcile(())
        await asyncio.gather(*tasks, return_exceptions=True)

    def _stop(self, check: Check) -> None:
        check.gone = True
        if check.timer is not None:
            check.timer.cancel()
        if check.task is not None:
            check.task.cancel()

    def _at(self, check: Check, when: float) -> None:
        check.timer = asyncio.get_running_loop().call_at(when, self._due, check)

    def _next(self, check: Check) -> None:
        """From start to start, so that a slow answer does not make probes rarer."""
        swing = 1 + check.plan.jitter * self._random.uniform(-1, 1)
        if not check.spread and check.plan.jitter > 0:
            check.spread = True
            swing = self._random.uniform(EARLIEST_SECOND, 1)
        self._at(check, check.started + check.interval() * swing)

    def _due(self, check: Check) -> None:
        check.timer = None
        self._waiting.append(check)
        self._fill()

    def _fill(self) -> None:
        while self._waiting and len(self._tasks) < self._limit:
            check = self._waiting.popleft()
            if not check.gone:
                loop = asyncio.get_running_loop()
                check.started = loop.time()
                check.task = loop.create_task(self._once(check))
                self._tasks.add(check.task)
                check.task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._fill()

    async def _once(self, check: Check) -> None:
        plan = check.plan
        began = perf_counter()
        try:
            ok, why, agent = await self._probe(plan, check.agent)
            if not check.gone:
                check.agent = agent or check.agent
                took = perf_counter() - began
                check.pace = self._report(
                    Result(plan.service, plan.address, plan.probe, ok, why, took, agent)
                )
        except CannotProbeError as error:
            self._complain(str(error), plan)
        except Exception as error:
            # no server goes down because lb has a bug
            log.bug("a bug in a check; it goes on", error, service=plan.service, server=plan.address)
        check.task = None
        if not check.gone:
            self._next(check)

    def _complain(self, why: str, plan: CheckPlan) -> None:
        """Once in a while: what one probe lacks, a thousand will."""
        now = asyncio.get_running_loop().time()
        if now >= self._silent_until:
            self._silent_until = now + SILENCE
            log.warning(
                "this machine cannot run a probe; servers keep the state that they have", why=why,
                service=plan.service, server=plan.address,
            )  # fmt: skip
