"""A reload: from files to a generation that all workers run, or to the reasons why not.

Lives here: the order of the steps, one reload at a time, the record of the last one. Must not live here:
what is valid (lb.config), how workers are spoken to (lb.control.supervisor), why a reload is wanted.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path

from lb.admin.view import Reload
from lb.config import ConfigError, Problem, SharedText, Spec, diff
from lb.config.restart import waits_for_restart
from lb.control.checking import lacking_of
from lb.control.events import Events
from lb.control.listeners import BindError
from lb.control.loading import Reading, read_valid
from lb.control.planning import Members, make_plan, nobody, service_plan
from lb.control.supervisor import PlanRefusedError, Supervisor
from lb.plan import Plan, Update
from lb.telemetry.ledger import ServerId
from lb.worker.journal import Journal
from lb.worker.messages import updated

SHOWN_CHANGES = 50  # lines of a diff in the log
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0  # seconds before refused members are tried again, doubled each time

Reconcile = Callable[[Spec, Plan, bool], None]

log = Journal("lb.control")


class Reloader:
    """Holds the configuration in force, `since` when (unix seconds). `counts` and `last` are for the admin
    API. `prepare` is waited for before a valid configuration becomes a plan, and again with the old one where
    that is refused; it gives the configuration with what sources add to it."""

    def __init__(
        self,
        path: Path,
        reading: Reading,
        supervisor: Supervisor,
        reconcile: Reconcile = lambda spec, plan, whole: None,
        events: Events | None = None,
        sticky_key: str = "",
        members: Members = nobody,
    ) -> None:
        """`reading`: what `path` held when lb started; in force after `start`. `reconcile` lets what outlives
        a configuration follow one that all workers have accepted, before they go over to it; not `whole`: its
        plan has those services alone that an update changes. `sticky_key` and `members`: as in make_plan."""
        self.path = path
        self.reading = reading
        self.spec = reading.spec
        self.shared: SharedText | None = None  # what the cluster shares, once that is in force
        self.supervisor = supervisor
        self.reconcile = reconcile
        self.events = events or Events()
        self.sticky_key = sticky_key
        self.members = members
        self.listeners = supervisor.listeners
        self.ledger = supervisor.ledger
        self.plan: Plan | None = None
        self.last: Reload | None = None
        self.since = 0.0
        self.counts = {"success": 0, "unchanged": 0, "failure": 0}
        self._started_with = reading.spec
        self._generation = 0  # the last number given out, to a refused plan too
        self._one_at_a_time = asyncio.Lock()
        self._next: asyncio.Task[Reload] | None = None
        self._refreshing: asyncio.Task[None] | None = None
        self._whole = reading.spec  # the Spec with what a catalogue added to it, as it is in force
        self._changed: set[str] = set()  # services whose members are others than the plan's
        self._anew = False  # the next refresh is a whole plan: routes changed, or the last one was refused
        self._refused = 0  # times in a row that the members of now were
        self._again: asyncio.TimerHandle | None = None
        self.prepare: Callable[[Spec], Awaitable[Spec]] = _unchanged

    def make_plan(self, spec: Spec) -> Plan:
        """Raises PlanRefusedError where something that the Spec needs is not installed."""
        missing = lacking_of(spec)
        if missing is not None:
            raise PlanRefusedError(missing)
        self._generation += 1
        self.ledger.begin(self._generation)
        return make_plan(spec, self._generation, self.ledger, self.sticky_key, self.members)

    async def start(self) -> Plan:
        """The first generation. Raises BindError, PlanRefusedError, WorkerFailedError or OSError."""
        async with self._one_at_a_time:  # the admin API answers by now: who asks it for a reload waits
            whole = await self.prepare(self.spec)
            self._changed.clear()
            plan = self.make_plan(whole)
            self.listeners.open_missing(plan.listeners)
            warn(self.reading)
            self.reconcile(whole, plan, True)
            self._whole = whole
            await self.supervisor.start(plan)
            self.plan = plan
            self.since = time.time()
            self.last = Reload(True, plan.generation, self.since, "start")
            # Sources were heard while workers started; the first words of a catalogue are in `whole`.
            if self._anew:
                self._anew = False
                if await self.prepare(self.spec) is not whole:
                    self._anew = True
            if self._changed or self._anew:
                self._wish()
            return plan

    async def reload(self, trigger: str) -> Reload:
        """Read the files and put them in force, all or nothing. While one reload runs, all further
        wishes become one more; each gets the result of a reload that began after it was asked for."""
        if self._next is None:
            self._next = asyncio.create_task(self._when_free(trigger))
        return await asyncio.shield(self._next)

    async def _when_free(self, trigger: str) -> Reload:
        async with self._one_at_a_time:
            self._next = None
            if self.plan is None:
                return Reload(False, 0, time.time(), trigger, error="lb ended before it served")
            return await self._guarded(trigger, self.shared)

    def make_update(self, plan: Plan, names: Collection[str]) -> Update:
        """What becomes of these services of `plan`, which is in force, with the members of now. It costs what
        they hold, and not what the plan holds."""
        before = [service for service in plan.services if service.name in names]
        self._generation += 1
        self.ledger.begin(
            self._generation,
            [ServerId(service.name, server.address) for service in before for server in service.servers],
        )
        fresh = tuple(
            service_plan(
                service.name, self._whole.services[service.name], self.ledger, self.sticky_key,
                self.members(service.name),
            )
            for service in before
        )  # fmt: skip
        return Update(plan.generation, self._generation, fresh)

    def refresh(self, service: str) -> None:
        """Put a generation in force with the members that this service has now, of the configuration as it
        is. While one is under way, all further wishes become one more."""
        self._changed.add(service)
        self._wish()

    def refresh_all(self) -> None:
        """The same with the routes and the members of now."""
        self._anew = True
        self._wish()

    def _wish(self) -> None:
        if self.plan is not None and self._refreshing is None:
            self._refreshing = asyncio.create_task(self._refresh())

    async def _refresh(self) -> None:
        async with self._one_at_a_time:
            self._refreshing = None
            if self.plan is None or self.supervisor.stopping:
                return
            began = time.monotonic()
            names, self._changed = self._changed, set()
            try:
                if self._anew:
                    self._anew = False
                    plan = await self._apply(self.spec, await self.prepare(self.spec))
                else:
                    update = self.make_update(self.plan, names)
                    if not update.services:  # a reload took them away in the meantime
                        return
                    plan = await self._update(self.plan, update)
            except (BindError, PlanRefusedError) as error:
                log.error(f"discovered servers cannot be put in force yet, the old ones stay: {error}")
                return self._try_again()
            except Exception as error:
                self._anew = True
                log.bug("discovered servers cannot be put in force: this is a bug in lb", error)
                return self._try_again()
        took = f"{(time.monotonic() - began) * 1000:.0f}ms"
        log.note("discovered servers are in force", generation=plan.generation, took=took)

    def _try_again(self) -> None:
        """No source says its members again only because lb could not take them."""
        self._settled(self._refused + 1)
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(self._refused - 1, 16))
        self._again = asyncio.get_running_loop().call_later(pause, self._wish)

    def _settled(self, refused: int = 0) -> None:
        self._refused = refused
        if self._again is not None:
            self._again.cancel()
            self._again = None

    async def adopt(self, shared: SharedText) -> Reload:
        """Put what the cluster shares in force, all or nothing, with what is this node's own of the files."""
        async with self._one_at_a_time:
            result = await self._guarded("cluster", shared)
            if result.ok:
                self.shared = shared
            return result

    async def _guarded(self, trigger: str, shared: SharedText | None) -> Reload:
        try:
            self.last = await self._reload(trigger, shared)
        except Exception as error:
            log.bug("a reload failed: this is a bug in lb; the old configuration stays in force", error)
            self.last = self._result("failure", trigger, error=f"internal error: {type(error).__name__}")
        return self.last

    async def _reload(self, trigger: str, shared: SharedText | None) -> Reload:
        before = self.spec
        try:
            # In a thread: thousands of routes take seconds, and workers are watched in this one.
            reading = await asyncio.to_thread(read_valid, self.path, shared)
            spec = reading.spec
            changes = await asyncio.to_thread(diff, before, spec)
        except ConfigError as error:
            log.error("reload refused, the old configuration stays in force", trigger=trigger)
            for problem in error.problems:
                log.error(f"  {problem}")
            return self._result("failure", trigger, problems=tuple(error.problems))
        if spec == before:
            log.note("reload: nothing changed", trigger=trigger, generation=self.generation)
            return self._result("unchanged", trigger)
        began = time.monotonic()
        whole = await self.prepare(spec)
        try:
            plan = await self._apply(spec, whole)
        except (BindError, PlanRefusedError) as error:
            await self.prepare(before)
            log.error(f"reload refused, the old configuration stays in force: {error}", trigger=trigger)
            return self._result("failure", trigger, error=str(error))
        self.since = time.time()
        took = f"{(time.monotonic() - began) * 1000:.0f}ms"
        log.note("reloaded", trigger=trigger, generation=plan.generation, changes=len(changes), took=took)
        for change in changes[:SHOWN_CHANGES]:
            log.note(f"  {change}")
        if len(changes) > SHOWN_CHANGES:
            log.note(f"  … and {len(changes) - SHOWN_CHANGES} more changes")
        warn(reading)
        waiting = waits_for_restart(self._started_with, spec).values()
        for change in waiting:
            log.warning(change)
        return self._result("success", trigger, changes=(*changes, *waiting))

    async def _apply(self, spec: Spec, whole: Spec) -> Plan:
        plan = self.make_plan(whole)
        opened = self.listeners.open_missing(plan.listeners)
        try:
            await self.supervisor.apply(plan, lambda: self.reconcile(whole, plan, True))
        except PlanRefusedError:
            self._anew = True
            self.listeners.forget(opened)
            raise
        for bound in opened:
            log.note("listening", address=bound.shown)
        self.listeners.forget(self.listeners.unused(plan.listeners))
        self.spec, self.plan, self._whole = spec, plan, whole
        self._settled()
        self.ledger.sweep(self.supervisor.cells)
        return plan

    async def _update(self, before: Plan, update: Update) -> Plan:
        plan, part = updated(before, update), Plan(update.generation, services=update.services)
        try:
            await self.supervisor.apply(plan, lambda: self.reconcile(self._whole, part, False), update)
        except PlanRefusedError:
            self._anew = True
            raise
        self.plan = plan
        self._settled()
        self.ledger.sweep(self.supervisor.cells)
        return plan

    @property
    def generation(self) -> int:
        return self.plan.generation if self.plan is not None else 0

    def _result(
        self,
        outcome: str,
        trigger: str,
        *,
        changes: tuple[str, ...] = (),
        problems: tuple[Problem, ...] = (),
        error: str = "",
    ) -> Reload:
        """`outcome`: a key of `counts`."""
        self.counts[outcome] += 1
        ok = outcome != "failure"
        if outcome != "unchanged":
            said = (
                f"generation {self.generation} is in force" if ok else "refused, the old one stays in force"
            )
            why = list(changes) if ok else [str(problem) for problem in problems] or [error]
            self.events.emit(
                "reload", outcome, said, logged=True, trigger=trigger, generation=self.generation, why=why
            )
        return Reload(ok, self.generation, time.time(), trigger, changes, problems, error)


async def _unchanged(spec: Spec) -> Spec:
    """Until somebody has something to prepare."""
    return spec


def warn(reading: Reading) -> None:
    """Log what is valid and hardly meant: a route that never wins, a test that fails."""
    for problem in reading.warnings:
        log.warning(f"configuration: {problem}")
