"""The workers: started, given plans and sockets, replaced when they die, ended.

Lives here: the set of workers and the two steps of a reload over all of them. Must not live here: one
worker's process and its questions and answers (lb.control.worker_process), reading configuration, signals.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

from lb.control.events import Events
from lb.control.listeners import Listeners
from lb.control.worker_process import WorkerFailedError, WorkerProcess
from lb.plan import Plan, StatePlan, TailPlan, Update
from lb.telemetry.cells import Cells
from lb.telemetry.facts import WorkerFacts
from lb.telemetry.ledger import Ledger
from lb.worker.channel import ChannelClosedError
from lb.worker.journal import Journal
from lb.worker.messages import (
    Abort,
    Decisions,
    Different,
    Discard,
    Drain,
    ReopenLog,
    Serve,
    States,
    StopServing,
    Suspect,
    Tripped,
    Watch,
)

ANSWER_TIMEOUT = 30.0  # seconds for a worker to start, build or publish before it counts as stuck
DESCRIBE_TIMEOUT = 2.0  # seconds that the admin API waits for a worker
QUICK_DEATH = 10.0  # a worker that lived shorter than this many seconds is replaced with a delay …
FIRST_DELAY = 0.25  # … from its second death in a row on, doubled each time …
MAX_DELAY = 1.0  # … up to this: what the kernel gives the dead worker's socket waits so long
STATES_DELAY = 0.02  # seconds for which changes of servers gather before the workers are told
CLOSE_TIMEOUT = 1.0  # seconds between telling a worker to end at once and killing it

log = Journal("lb.control")


class PlanRefusedError(Exception):
    """A worker could not build the plan; none goes over to it. The text says why."""


class Supervisor:
    """Runs one process per worker; `plan` is what all of them have, or are about to get. `states` says what
    is known of its servers, or of those of some services; `suspected` hears of those that fail, `tripped` of
    circuit breakers, `differed` of copies that were answered
    otherwise, `decided` of what happened to requests."""

    def __init__(
        self,
        command: Sequence[str],
        cells_fd: int,
        cells: Cells,
        ledger: Ledger,
        listeners: Listeners,
        events: Events | None = None,
    ) -> None:
        """`command` starts a worker process; its arguments are appended."""
        self.command = command
        self.events = events or Events()
        self.cells_fd = cells_fd
        self.cells = cells
        self.ledger = ledger
        self.listeners = listeners
        self.count = cells.workers
        self.plan: Plan | None = None
        self.states: Callable[[Collection[str] | None], tuple[StatePlan, ...]] = lambda services: ()
        self.suspected: Callable[[Suspect], None] = lambda suspect: None
        self.tripped: Callable[[int, Tripped], None] = lambda worker, tripped: None
        self.differed: Callable[[int, Different], None] = lambda worker, different: None
        self.decided: Callable[[Decisions], None] = lambda decisions: None
        self.stopping = False
        self.running: list[WorkerProcess | None] = [None] * self.count
        self.restarts = [0] * self.count
        self._tails: tuple[TailPlan, ...] = ()
        self._keepers: list[asyncio.Task[None]] = []
        self._plans = asyncio.Lock()  # one plan at a time, a replaced worker's included
        self._changed: dict[tuple[str, str], StatePlan] = {}  # servers that the workers are to be told of

    # ---------------------------------------------------------------------------------- start

    async def start(self, plan: Plan) -> None:
        """Start all workers with `plan`; its addresses must be bound. Raises PlanRefusedError, or
        WorkerFailedError or OSError where a worker cannot start; then none is left."""
        self.plan = plan
        try:
            async with self._plans:
                workers = await asyncio.gather(*(self._spawn(number) for number in range(self.count)))
                await asyncio.gather(*(self._load(worker, plan) for worker in workers))
        except BaseException:
            await self.abort()
            raise
        self._keepers = [asyncio.create_task(self._keep(number)) for number in range(self.count)]

    async def _spawn(self, number: int) -> WorkerProcess:
        worker = await WorkerProcess.start(self.command, self.cells_fd, number, self.count)
        worker.suspected, worker.tripped, worker.differed = self.suspected, self.tripped, self.differed
        worker.decided = self.decided
        self.running[number] = worker
        if self.stopping:
            worker.kill()
        await worker.ready(ANSWER_TIMEOUT)
        return worker

    async def _load(self, worker: WorkerProcess, plan: Plan) -> None:
        """Give a new worker the plan in force and its sockets."""
        try:
            await self._prepare(worker, plan)
            await worker.commit(plan.generation, self.states(None), ANSWER_TIMEOUT)
        except BaseException:
            worker.kill()
            raise
        self._move_listeners(worker, None, plan)
        if self._tails:
            worker.tell(Watch(self._tails))
        worker.state = "running"
        log.note("worker started", worker=worker.number, pid=worker.pid, generation=worker.generation)

    async def _keep(self, number: int) -> None:
        """Replace worker `number` whenever it dies."""
        deaths = 0
        while True:
            worker = self.running[number]
            if worker is not None:
                status = await worker.ended()
                worker.close()
                self.ledger.wipe_gauges(self.cells, number)
                self.running[number] = None
                if self.stopping:
                    return
                deaths = deaths + 1 if time.monotonic() - worker.started_clock < QUICK_DEATH else 1
                delay = 0.0 if deaths == 1 else min(FIRST_DELAY * 2 ** (deaths - 2), MAX_DELAY)
                log.warning(
                    "worker ended, starting another",
                    worker=number, pid=worker.pid, status=_status(status), delay=f"{delay:g}s",
                )  # fmt: skip
                self.events.emit(
                    "worker_died", "signal" if status < 0 else "exit",
                    f"worker {number} ended ({_status(status)}), another is started",
                    logged=True, worker=number, pid=worker.pid, status=status,
                )  # fmt: skip
                self.restarts[number] += 1
                await asyncio.sleep(delay)
            if self.stopping:
                return
            try:
                replacement = await self._spawn(number)
                async with self._plans:
                    if self.plan is not None:
                        await self._load(replacement, self.plan)
            except Exception as error:  # whatever it is: the next try may succeed, and nobody else tries
                log.error("worker cannot start", worker=number, error=error)
                if self.running[number] is None:  # not even a process: out of memory or descriptors
                    await asyncio.sleep(FIRST_DELAY)

    # ---------------------------------------------------------------------------------- plans

    async def apply(
        self, plan: Plan, accepted: Callable[[], None] = lambda: None, update: Update | None = None
    ) -> None:
        """Put `plan` in force in all workers, or in none: then PlanRefusedError. Its addresses must be bound.
        `update`: by what alone it differs from the plan in force; the workers get no more than that.
        `accepted` is called when all have built it, before the first goes over to it. A worker that is being
        replaced just now gets the plan that is in force then."""
        async with self._plans:
            workers = self._in_force()
            if not workers:
                raise PlanRefusedError(
                    "no worker is running that could build it; see the log for why they ended"
                )
            answers = await asyncio.gather(
                *(self._prepare(worker, update or plan) for worker in workers), return_exceptions=True
            )
            failures = [answer for answer in answers if isinstance(answer, BaseException)]
            if failures:
                for worker in workers:
                    worker.tell(Discard(plan.generation))
                raise failures[0]
            accepted()
            before, self.plan = self.plan, plan
            await asyncio.gather(*(self._publish(worker, before, plan, update) for worker in workers))

    async def _prepare(self, worker: WorkerProcess, plan: Plan | Update) -> None:
        try:
            answer = await worker.prepare(plan, ANSWER_TIMEOUT)
        except TimeoutError:
            worker.kill()
            raise PlanRefusedError(
                f"worker {worker.number} did not build it within {ANSWER_TIMEOUT:g}s"
            ) from None
        except (ChannelClosedError, WorkerFailedError):
            raise PlanRefusedError(f"worker {worker.number} died while it built it") from None
        if answer.error is not None:
            raise PlanRefusedError(answer.error)

    async def _publish(
        self, worker: WorkerProcess, before: Plan | None, plan: Plan, update: Update | None
    ) -> None:
        of = None if update is None else tuple(service.name for service in update.services)
        try:
            applied = await worker.commit(plan.generation, self.states(of), ANSWER_TIMEOUT, of)
            self._move_listeners(worker, before, plan)
        except (TimeoutError, ChannelClosedError, WorkerFailedError) as error:
            # The others are over already: this one's successor starts with the new plan.
            log.error("worker did not go over to the new configuration", worker=worker.number, error=error)
            worker.kill()
            return
        log.note(
            "worker runs the new configuration",
            worker=worker.number, generation=plan.generation, stall=f"{applied.stall_us / 1000:.1f}ms",
        )  # fmt: skip

    # --------------------------------------------------------------------------------- states

    def tell_states(self, states: Sequence[StatePlan]) -> None:
        """Tell all workers what changed: soon, and together with what else changes until then."""
        if not self._changed:
            asyncio.get_running_loop().call_later(STATES_DELAY, self._send_states)
        self._changed.update({(state.service, state.address): state for state in states})

    def _send_states(self) -> None:
        """To those too that are just starting: they may have got all states before this change."""
        message = States(tuple(self._changed.values()))
        self._changed = {}
        for worker in self.running:
            if worker is not None:
                worker.tell(message)

    # ------------------------------------------------------------------------------ listeners

    def _move_listeners(self, worker: WorkerProcess, before: Plan | None, plan: Plan) -> None:
        """Stop what is gone, serve what is new. A listener that lost an address stops as a whole and is
        served again on the others: what arrives in between waits in the socket's queue."""
        if self.stopping:  # the sockets are closed, or about to be
            return
        old = {listener.name: set(listener.bind) for listener in before.listeners} if before else {}
        new = {listener.name: set(listener.bind) for listener in plan.listeners}
        for name in [name for name, addresses in old.items() if addresses - new.get(name, set())]:
            worker.tell(StopServing(name))
            del old[name]
        for listener in plan.listeners:
            for address in listener.bind:
                if address not in old.get(listener.name, ()):
                    for sock in self.listeners.bound[address].of(worker.number, self.count):
                        worker.tell(Serve(listener.name, address), sock.fileno())

    # ------------------------------------------------------------------------- looks and words

    def facts(self) -> list[WorkerFacts]:
        """Every worker's place, dead ones too."""
        found = []
        for number, worker in enumerate(self.running):
            restarts = self.restarts[number]
            if worker is None:
                found.append(WorkerFacts(number, 0, "stopped", 0, 0.0, restarts))
            else:
                state = "draining" if self.stopping else worker.state
                generation = worker.generation
                found.append(WorkerFacts(number, worker.pid, state, generation, worker.started, restarts))
        return found

    async def describe(self) -> list[dict[str, Any]]:
        """What each worker that answers says about itself."""

        async def one(worker: WorkerProcess) -> dict[str, Any] | None:
            try:
                return await worker.describe(DESCRIBE_TIMEOUT)
            except (TimeoutError, ChannelClosedError, WorkerFailedError):
                return None

        answers = await asyncio.gather(*(one(worker) for worker in self._in_force()))
        return [answer for answer in answers if answer is not None]

    def _in_force(self) -> list[WorkerProcess]:
        return [worker for worker in self.running if worker is not None and worker.state == "running"]

    def watch(self, tails: tuple[TailPlan, ...]) -> None:
        """These look on from now on."""
        self._tails = tails
        for worker in self.running:
            if worker is not None:
                worker.tell(Watch(tails))

    def reopen_logs(self) -> None:
        for worker in self.running:
            if worker is not None:
                worker.tell(ReopenLog())

    # ------------------------------------------------------------------------------------ end

    def tell_drain(self) -> None:
        """From now on no worker accepts, none is replaced, and each ends when its exchanges are done."""
        self.stopping = True
        for worker in self.running:
            if worker is not None:
                worker.tell(Drain())

    async def drained(self, grace: float) -> int:
        """Wait for at most `grace` seconds until all workers ended, then end them. Returns how many
        exchanges were cut off."""
        await self._all_ended(grace)
        return await self.abort()

    async def abort(self) -> int:
        """End all workers at once. Returns how many exchanges were cut off."""
        self.stopping = True
        last = [worker for worker in self.running if worker is not None]
        for worker in last:
            worker.tell(Abort())
        if last and not await self._all_ended(CLOSE_TIMEOUT):
            for worker in last:
                worker.kill()
            await self._all_ended(CLOSE_TIMEOUT)
        for keeper in self._keepers:
            keeper.cancel()
        return sum(worker.cut for worker in last)

    async def _all_ended(self, timeout: float) -> bool:
        waits = [asyncio.create_task(worker.ended()) for worker in self.running if worker is not None]
        if not waits:
            return True
        _, late = await asyncio.wait(waits, timeout=timeout)
        for wait in late:
            wait.cancel()
        return not late


def _status(status: int) -> str:
    return f"signal {-status}" if status < 0 else str(status)
