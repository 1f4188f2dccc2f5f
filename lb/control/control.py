"""The control process: its start, its life, its end.

Lives here: the order in which things come up and go down. Must not live here: how each of them works
(supervisor, listeners, reload, admin_site, filewatch, signals).
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import resource
import sys
import time
from collections.abc import Coroutine, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import lb
from lb import build
from lb.admin.app import make_app
from lb.config import ConfigError, Spec, sources
from lb.config.restart import worker_count
from lb.control.admin_site import AdminSite
from lb.control.cataloguing import Cataloguing
from lb.control.checking import checks_of
from lb.control.clustering import Clustering, memory_of, recalled
from lb.control.clusterview import ClusterView
from lb.control.differences import tell_difference
from lb.control.discovering import Discovering
from lb.control.ejection import Ejections
from lb.control.events import Events
from lb.control.filewatch import watch
from lb.control.kept import KeptDecisions
from lb.control.listeners import BoundAddress, Listeners
from lb.control.loading import Reading
from lb.control.looperrors import report
from lb.control.notify import notify, reloading
from lb.control.overrides import Overrides
from lb.control.redacted import exported, redacted
from lb.control.registering import Registering
from lb.control.reload import Reloader
from lb.control.signals import Signals
from lb.control.statedir import state_dir, sticky_key
from lb.control.statuses import Statuses
from lb.control.succession import Succession
from lb.control.supervisor import Supervisor
from lb.control.tails import Tails
from lb.control.tracing import SpanExport
from lb.control.traffic import Totals
from lb.control.trips import tell_trip
from lb.control.view import View
from lb.control.webhook import Webhook
from lb.health.checks import Checks
from lb.plan import Plan
from lb.telemetry.cells import Cells
from lb.telemetry.layout import REGION
from lb.telemetry.ledger import Ledger, create_cells_file
from lb.worker.journal import Journal
from lb.worker.messages import Decisions

# -P: the folder that lb was started in comes first for nobody; a worker gets control's own module path.
WORKER = (sys.executable, "-P", "-m", "lb.worker")
TICK = 1.0  # seconds between looks at what ends by itself (slow starts, ejections, what others found)
NOTICE = 1.0  # seconds between /readyz failing and the listeners closing: who asks it gets to know first

log = Journal("lb.control")


class Control:
    """One running lb. `ready` is set when clients are served."""

    def __init__(
        self,
        path: Path,
        reading: Reading,
        worker: Sequence[str] = WORKER,
        successor: Sequence[str] = (),
    ) -> None:
        """`path`: the configuration, a file or a folder; `reading`: what it holds. `worker`: the command that
        starts a worker; `successor`: the one that starts an lb to replace this one, empty where that cannot
        be. Raises OSError where there is no memory to share, or no state_dir."""
        workers = worker_count(reading.spec)
        self.state_dir = state_dir(reading.spec, path)
        self.path = path
        memory = memory_of(reading.spec, self.state_dir)
        reading, shared = recalled(path, reading, memory)
        self.spec = reading.spec
        self._seen = reading.seen
        self.cells_fd = create_cells_file(workers)
        # Control only reads; the number of its "own" region is of no importance.
        self.cells = Cells(self.cells_fd, 0, workers, REGION)
        self.ledger = Ledger()
        self.listeners = Listeners(workers)
        self.events = Events()
        self.supervisor = Supervisor(
            worker, self.cells_fd, self.cells, self.ledger, self.listeners, self.events
        )
        self.statuses = Statuses(self.supervisor.tell_states, self.events)
        self.supervisor.states = self.statuses.states
        self.ejections = Ejections(self.statuses, self.events, self.cells, self.ledger)
        self.statuses.recovered = self.ejections.recovered
        self.statuses.evidence = self.ejections.evidence
        self.supervisor.suspected = self.ejections.suspect
        self.supervisor.tripped = partial(tell_trip, self.events)
        self.supervisor.differed = partial(tell_difference, self.events)
        self.kept = KeptDecisions(self.spec.decisions.keep)
        self.tails = Tails(workers, self.supervisor.watch)
        self.spans = SpanExport()
        self.supervisor.decided = self._decided
        self.checks: Checks | None = None
        self.discovering = Discovering(self.state_dir, self.statuses, self.events)
        self.cataloguing = Cataloguing(self.state_dir, self.discovering.providers, self.events)
        self.registering = Registering()
        self.reloader = Reloader(
            path, reading, self.supervisor, self._reconcile, self.events, sticky_key(self.state_dir),
            self.discovering.members,
        )  # fmt: skip
        self.reloader.prepare = self._prepare
        self.discovering.refresh = self.reloader.refresh
        self.cataloguing.refresh = self.reloader.refresh_all
        self.reloader.shared = shared
        self.clustering: Clustering | None = None
        if self.spec.cluster is not None and memory is not None:
            self.clustering = Clustering(
                self.spec.cluster, self.state_dir, memory, self.reloader, self.statuses, self.events,
                Totals(self.cells, self.ledger, time.time()).read,
            )  # fmt: skip
        self.webhook = Webhook(lambda: self.reloader.spec.events.url)
        self.events.listeners.add(self.webhook.tell)
        self.overrides = Overrides(self.state_dir, self.statuses, self.events)
        self.view = View(
            self.reloader, self.supervisor, self.statuses, self.overrides, self.events, self.webhook,
            self.discovering, self.cataloguing, lambda: self.checks.waiting if self.checks is not None else 0,
            ClusterView(self.clustering) if self.clustering is not None else None, self.registering.shown,
            self.kept.newest, self.tails, self.spans,
        )  # fmt: skip
        self.admin: AdminSite | None = None
        self.succession = Succession(
            self.state_dir,
            self.listeners.inherited,
            self._addresses,
            self.statuses.found_down,
            lambda: [worker.pid for worker in self.supervisor.facts()],
            successor,
        )
        self.supervisor.command = (*worker, f"--doors={self.succession.doors}")
        self.ready = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Serve until a signal ends it. Where it cannot start, raises BindError, PlanRefusedError,
        WorkerFailedError or OSError, and leaves nothing running."""
        asyncio.get_running_loop().set_exception_handler(report)
        signals = Signals(
            asyncio.get_running_loop(),
            lambda: self._spawn(self._reload("signal")),
            self._reopen,
            lambda: self.succession.upgrading.start(lambda _: None),
        )
        starting = asyncio.create_task(self._start())
        try:
            await first(starting, signals.stop.wait())
            if starting.done():
                starting.result()
                await first(signals.stop.wait(), self.succession.relieved.wait())
                if not signals.at_once.is_set():
                    end = self._drain() if signals.stop.is_set() else self._retire()
                    await first(end, signals.at_once.wait())
        finally:
            starting.cancel()
            with contextlib.suppress(BaseException):
                await starting
            await self._end()

    async def _start(self) -> None:
        try:
            await self._come_up()
        except Exception as error:
            self.succession.failed(str(error))
            raise

    async def _come_up(self) -> None:
        began = time.monotonic()
        log.note(
            f"lb {lb.__version__} starts",
            config=self.path, workers=self.supervisor.count, build=build.status().kind, pid=os.getpid(),
        )  # fmt: skip
        self._raise_file_limit()
        if self.clustering is not None:
            self.clustering.prepare()
        await self.succession.begin()
        self.statuses.begin_with(self.succession.down)
        if self.spec.admin is not None:
            self.admin = AdminSite(self.spec.admin.bind, self.listeners.inherited)
        # An address that is handed over is still served by the one before, who is right until we serve.
        if self.admin is not None and not self.succession.replacing:
            await self.admin.start(make_app(self.view))
        self._spawn(self.webhook.run())
        self._spawn(self.spans.run())
        plan = await self.reloader.start()
        if self.admin is not None and self.succession.replacing:
            await self.admin.start(make_app(self.view))
        for listener in plan.listeners:
            for address in listener.bind:
                log.note("listening", listener=listener.name, address=self.listeners.bound[address].shown)
        if self.admin is not None:
            log.note("admin API", address=self.admin.shown)
        self._spawn(self._tick())
        self._spawn(self.view.lag.run())
        self._spawn(self.view.live.run())
        self._spawn(self.overrides.run())
        if self.clustering is not None:
            await self.clustering.start()
        self._spawn(watch(self._files, lambda: self._reload("file"), self._seen))
        log.note(
            "ready", generation=plan.generation, routes=len(plan.routes), services=len(plan.services),
            took=f"{time.monotonic() - began:.2f}s",
        )  # fmt: skip
        self.succession.serving()
        self.registering.begin(self.reloader.spec)
        if self.succession.replacing:
            self.overrides.load()  # what was ordered of the one before while we came up
        gc.collect()
        gc.freeze()  # the configuration and its classes: a look through them takes tens of milliseconds
        notify("READY=1")
        self.ready.set()

    def _addresses(self) -> list[BoundAddress]:
        """What a successor is given."""
        admin = [self.admin.bound] if self.admin is not None else []
        return [*self.listeners.bound.values(), *admin]

    def _raise_file_limit(self) -> None:
        """Take all open files that the system grants; the workers inherit it. An exchange needs two."""
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        wanted = max((listener.limits.max_connections for listener in self.spec.listeners), default=0)
        if hard != resource.RLIM_INFINITY and hard < wanted:
            log.warning(
                "the limit on open files is below max_connections; raise it (ulimit -n, LimitNOFILE=)",
                limit=hard, max_connections=wanted,
            )  # fmt: skip

    def _reconcile(self, spec: Spec, plan: Plan, whole: bool) -> None:
        """Let what outlives a configuration follow the one that comes into force now; not `whole`: `plan` has
        those services alone that discovery changed."""
        changed = None if whole else {service.name for service in plan.services}
        if whole:
            self.kept.configure(spec.decisions.keep)
            self.spans.configure(spec.tracing)
        self.statuses.reconcile(spec, plan, whole)
        self.discovering.tell_states(changed)
        self.ejections.reconcile(spec, plan, whole)
        self.registering.follow(spec)
        sharing = self.clustering.sharing if self.clustering is not None else None
        if self.checks is None:
            self.checks = Checks(sharing.probed if sharing is not None else self.statuses.probed)
            if sharing is not None:
                sharing.run = self.checks.reconcile
        wanted = checks_of(spec, plan)
        if sharing is None:
            self.checks.reconcile(wanted, changed)
        else:
            self.checks.reconcile(sharing.follow(wanted, changed))

    def _decided(self, said: Decisions) -> None:
        log = self.reloader.plan.access_log if self.reloader.plan is not None else None
        decisions = [redacted(decision, log) for decision in said.decisions]
        self.kept.take(decisions)
        self.tails.take(decisions, said.left_out)
        self.spans.take(exported(decisions, log))
        self.view.exemplars.take(decisions)

    async def _prepare(self, spec: Spec) -> Spec:
        whole = await self.cataloguing.prepare(spec)
        await self.discovering.prepare(whole)
        return whole

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            self.statuses.tick()
            self.ejections.tick()
            if self.clustering is not None and self.clustering.sharing is not None:
                self.clustering.sharing.heard()

    # ------------------------------------------------------------------------------- commands

    async def _reload(self, trigger: str) -> None:
        await self.ready.wait()
        await self.succession.upgrading.over()
        if not self.supervisor.stopping:
            reloading()
            await self.reloader.reload(trigger)
            notify("READY=1")

    def _files(self) -> list[Path]:
        try:
            return sources(self.path)
        except ConfigError:  # moved away: a change, which the reload reports
            return [self.path]

    def _reopen(self) -> None:
        log.note("reopening the access log")
        self.supervisor.reopen_logs()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.bug("an error in control; it goes on", error)

    # ------------------------------------------------------------------------------------ end

    async def _drain(self) -> None:
        """Readiness fails first, then the listeners stop, then exchanges finish."""
        notify("STOPPING=1")
        self.view.draining = True
        grace = self.reloader.plan.shutdown_grace if self.reloader.plan is not None else 0.0
        log.note("draining", notice=f"{NOTICE:g}s", grace=f"{grace:g}s")
        self.events.emit("drain", "signal", "lb drains, then ends", logged=True, grace=grace)
        await asyncio.gather(asyncio.sleep(NOTICE), self.registering.stop())
        await self._stop_serving(grace)

    async def _retire(self) -> None:
        """A successor serves on the same sockets, so nothing is closed to clients: what is ours drains."""
        grace = self.reloader.plan.shutdown_grace if self.reloader.plan is not None else 0.0
        log.note("replaced: draining", successor=self.succession.pid, grace=f"{grace:g}s")
        notify(f"MAINPID={self.succession.pid}")
        self.view.draining = True
        self.overrides.retire()
        await self.registering.stop(leave=False)
        self.listeners.hand_over()
        if self.admin is not None:
            self.admin.bound.hand_over()
            self._spawn(self.admin.close())
        await self._stop_serving(grace)

    async def _stop_serving(self, grace: float) -> None:
        if self.clustering is not None:
            await self.clustering.stop()
        self.supervisor.tell_drain()
        self.listeners.close()
        cut = await self.supervisor.drained(grace)
        if cut:
            log.warning("shutdown_grace is over: exchanges were cut off", cut=cut, grace=f"{grace:g}s")

    async def _end(self) -> None:
        self.view.draining = True
        await asyncio.gather(self.webhook.finish(), self.spans.finish())
        await self.succession.close()
        if self.clustering is not None:
            await self.clustering.stop()
        for task in self._tasks:
            task.cancel()
        await self.registering.stop()
        await self.cataloguing.close()
        await self.discovering.close()
        if self.checks is not None:
            await self.checks.close()
        cut = await self.supervisor.abort()
        self.listeners.close()
        if self.admin is not None:
            await self.admin.close()
        os.close(self.cells_fd)
        log.note("ended", **({"cut": cut} if cut else {}))


async def first(*works: Coroutine[Any, Any, Any] | asyncio.Task[Any]) -> None:
    """Wait until one of them is done; cancel those that were started for this."""
    tasks = [work if isinstance(work, asyncio.Task) else asyncio.create_task(work) for work in works]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task, work in zip(tasks, works, strict=True):
            if task is not work:
                task.cancel()
