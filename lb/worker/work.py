"""What a worker does: carries out control's messages on the data plane, and keeps time.

Lives here: the answers to messages, the tick (access log, loop lag, end of a drain). Must not live here:
the process (lb.worker.main), the wire (lb.worker.channel), building (lb.worker.prepare), or anything that
touches a client's bytes (lb.proxy).
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from time import perf_counter  # uvloop's clock counts whole milliseconds
from typing import Any, Protocol

from lb.plan import Plan, StatePlan, TailPlan, Update
from lb.telemetry import layout
from lb.telemetry.cells import Cells
from lb.telemetry.decision import Decision
from lb.telemetry.sink import Sink
from lb.worker.channel import Channel, ChannelClosedError
from lb.worker.door import Door, Offered, Take, Visit
from lb.worker.journal import Journal
from lb.worker.messages import (
    Abort,
    Applied,
    Bye,
    Commit,
    Decisions,
    Describe,
    Described,
    Different,
    Discard,
    Drain,
    Message,
    PlanAssembly,
    PlanBegin,
    PlanEnd,
    Prepared,
    Ready,
    ReopenLog,
    RoutesPiece,
    Serve,
    ServicesPiece,
    States,
    StopServing,
    Suspect,
    ToWorker,
    Tripped,
    UpdateBegin,
    Watch,
    updated,
)
from lb.worker.prepare import Preparation

TICK = 0.1  # seconds between flushes of the access log and measurements of the loop's lag
DRAIN_TICK = 0.02  # the same while a drain waits for its end
LOG_GRACE = 1.0  # seconds that whoever reads the access log gets for the last lines
CLOSE_GRACE = 2.0  # seconds that connections without an exchange get to flush and close

Log = Callable[[bytes], None]
log = Journal("lb.worker")


class Keeping(Protocol):
    """Who keeps decisions; lb.proxy.keeping.Keeping is the real one."""

    def watch(self, tails: Sequence[TailPlan]) -> None: ...
    def due(self) -> bool: ...
    def take(self) -> tuple[list[Decision], dict[int, int]]: ...
    def lose(self, decisions: Sequence[Decision]) -> None: ...


class Plane(Protocol):
    """The data plane as the worker drives it; lb.proxy.plane.DataPlane is the real one."""

    def build(self, plan: Plan, update: Update | None) -> Generator[None, None, Any]: ...
    def publish(self, snapshot: Any) -> None: ...
    def set_states(self, states: Sequence[StatePlan], whole: bool, of: Sequence[str]) -> None: ...
    def report_suspects(self, tell: Callable[[str, str, int, str], None]) -> None: ...
    def report_trips(self, tell: Callable[[str, str, bool], None]) -> None: ...
    def report_differences(self, tell: Callable[[str, str, str, str, str, str], None]) -> None: ...
    @property
    def keeping(self) -> Keeping: ...
    def serve(self, listener: str, sock: socket.socket) -> None: ...
    def stop_serving(self, listener: str | None = None) -> None: ...
    def drain(self) -> None: ...
    def abort(self) -> None: ...
    def flush_log(self) -> None: ...
    def describe(self) -> dict[str, Any]: ...
    @property
    def exchanges(self) -> int: ...
    @property
    def connections(self) -> int: ...


class Worker:
    """One worker. `run` ends when control says so, or after a SIGTERM when control is gone."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        cells: Cells,
        number: int,
        plane_factory: Callable[[asyncio.AbstractEventLoop, Cells, int, Log], Plane],
        doors: str = "",
    ) -> None:
        """`doors`: the folder for the worker's door; "": none."""
        self.loop = loop
        self.cells = cells
        self.plane = plane_factory(loop, cells, number, self._write_log)
        self.plane.report_suspects(self._suspected)
        self.plane.report_trips(lambda *said: self._tell(Tripped(*said)))
        self.plane.report_differences(lambda *said: self._tell(Different(*said)))
        self.generation = 0
        self.plan: Plan | None = None  # in force
        self.file: Sink | None = None
        self.preparation: Preparation | None = None
        self.assembly: PlanAssembly | None = None
        self.draining = False
        self.terminated = False
        self.drain_end = 0.0  # loop time; only counts where no control watches over the drain
        self.close_end = 0.0
        self.ended: asyncio.Future[None] = loop.create_future()
        self.due = 0.0  # when the next tick should be, by perf_counter
        self.listening: dict[str, list[tuple[str, socket.socket]]] = {}  # by listener, with addresses
        self.door = self._open_door(doors)
        self.channel = Channel(loop, sock, ToWorker, self._received, self._control_gone)

    async def run(self) -> None:
        self._tell(Ready())
        self._schedule_tick(TICK)
        await self.ended

    def close(self) -> None:
        if self.door is not None:
            self.door.close()
        self.plane.flush_log()
        if self.file is not None:
            self.file.close(LOG_GRACE)
        self.channel.close()

    # ------------------------------------------------------------------------------- messages

    def _tell(self, message: Message) -> None:
        with contextlib.suppress(ChannelClosedError):
            self.channel.send(message)

    def _received(self, message: Any, fd: int) -> None:
        match message:
            case PlanBegin() | UpdateBegin():
                self.assembly = PlanAssembly(message)
            case RoutesPiece() | ServicesPiece():
                if self.assembly is not None:
                    self.assembly.add(message)
            case PlanEnd():
                self._prepare()
            case Commit():
                self._commit(message.generation)
            case Discard():
                self._discard()
            case States():
                self.plane.set_states(message.states, message.whole, message.of)
            case Serve():
                sock = socket.socket(fileno=fd)
                self.listening.setdefault(message.listener, []).append((message.address, sock))
                self.plane.serve(message.listener, sock)
            case StopServing():
                self.listening.pop(message.listener, None)
                self.plane.stop_serving(message.listener)
            case Drain():
                self._drain()
            case Abort():
                self._abort()
            case ReopenLog():
                self.reopen_log()
            case Watch():
                self.plane.keeping.watch(message.tails)
            case Describe():
                self._tell(Described(message.id, self.plane.describe()))

    def _suspected(self, service: str, address: str, failures: int, last: str) -> None:
        self._tell(Suspect(service, address, failures, last))

    def _control_gone(self, reason: str) -> None:
        if self.draining or self.terminated:
            self._drain()
            return
        log.error(
            "control is gone; going on with the last configuration. `lb run` with the same configuration "
            "takes over; SIGTERM drains and ends this process",
            generation=self.generation,
            reason=reason,
        )
        if self.generation == 0:  # nothing to go on with
            self._end()

    # ----------------------------------------------------------------------------------- door

    def _open_door(self, folder: str) -> Door | None:
        """Where a new control asks for the listening sockets if ours was killed."""
        if not folder:
            return None
        try:
            return Door(self.loop, Path(folder, f"{os.getpid()}.sock"), self._visited)
        except OSError as error:
            log.warning("no door: if control is killed, a new one cannot take over", error=error)
            return None

    def _visited(self, visit: Visit, message: Any) -> None:
        match message:
            case Take():
                sockets = [
                    (name, address, sock)
                    for name, of_one in self.listening.items()
                    for address, sock in of_one
                ]
                for name, address, sock in sockets:
                    visit.answer(Serve(name, address), sock.fileno())
                visit.answer(Offered(len(sockets)))
            case Drain():
                log.note("another lb has taken over: draining", pid=visit.pid)
                self._drain()

    # ---------------------------------------------------------------------------------- plans

    def _prepare(self) -> None:
        if self.assembly is None:
            return
        told, self.assembly = self.assembly.plan(), None
        self._discard()
        plan, update = (told, None) if isinstance(told, Plan) else (self.plan, told)
        if update is not None and plan is not None:
            if plan.generation != update.base:
                error = f"an update of generation {update.base} cannot follow generation {plan.generation}"
                self._tell(Prepared(update.generation, error))
                return
            plan = updated(plan, update)
        assert plan is not None  # control begins with a whole plan
        self.preparation = Preparation(
            self.plane, plan, update, current=self.file, dropped=self._dropped, finished=self._prepared
        )

    def _prepared(self, answer: Prepared) -> None:
        if answer.error is not None:
            self.preparation = None
        self._tell(answer)

    def _discard(self) -> None:
        if self.preparation is not None:
            self.preparation.drop()
            self.preparation = None

    def _commit(self, generation: int) -> None:
        prepared = self.preparation
        if prepared is None or prepared.plan.generation != generation or not prepared.done:
            log.error("told to publish a generation that is not prepared", generation=generation)
            return
        self.preparation = None
        began = perf_counter()
        self.plane.publish(prepared.snapshot)
        if prepared.file is not self.file:
            self.plane.flush_log()
            if self.file is not None:
                self.file.close()
            self.file = prepared.file
        self.generation = generation
        self.plan = prepared.plan
        build_us, stall_us = prepared.build_us, prepared.stall_us
        whole = prepared.update is None
        del prepared
        # What the Snapshot is made of lives long: out of the collector's sight, where 5,000 routes would
        # cost it a tenth of a second. It need not see them: a replaced Snapshot has no cycles, and is
        # freed when its last exchange ends. An update makes little, and comes often: what else is there at
        # the moment, cycles of ended connections too, would be out of sight for ever.
        if whole:
            gc.freeze()
        stall_us = max(stall_us, round((perf_counter() - began) * 1e6))
        self.cells.put(layout.WORKER_GENERATION, generation)
        self.cells.add(layout.WORKER_RELOADS, 1)
        self.cells.put(layout.WORKER_BUILD_US, build_us)
        self.cells.put(layout.WORKER_STALL_US, stall_us)
        self._tell(Applied(generation, stall_us))

    # ------------------------------------------------------------------------------------ end

    def terminate(self) -> None:
        """SIGTERM: control decides, unless it is gone (a service manager signals all processes)."""
        self.terminated = True
        if self.channel.closed:
            self._drain()

    def _drain(self) -> None:
        if self.draining:
            return
        self.draining = True
        self.drain_end = self.loop.time() + (self.plan.shutdown_grace if self.plan is not None else 0.0)
        self.listening.clear()
        self.plane.stop_serving(None)
        self.plane.drain()

    def _abort(self) -> None:
        cut = self.plane.exchanges
        self.plane.abort()
        self._end(cut)

    def _end(self, cut: int = 0) -> None:
        if not self.ended.done():
            self._tell_decisions()
            self._tell(Bye(cut))
            self.ended.set_result(None)

    def _watch_drain(self, now: float) -> None:
        if self.plane.exchanges:
            self.close_end = 0.0
            if self.channel.closed and now > self.drain_end:
                self._abort()
            return
        # The last bytes of an answer may still be on their way to a slow client.
        if not self.close_end:
            self.close_end = now + CLOSE_GRACE
        if not self.plane.connections or now > self.close_end:
            self._end()

    # ----------------------------------------------------------------------- tick, access log

    def _tick(self) -> None:
        lag = max(0, round((perf_counter() - self.due) * 1e6))
        self.cells.put(layout.WORKER_LAG_US, lag)
        if lag > self.cells.get(layout.WORKER_LAG_MAX_US):
            self.cells.put(layout.WORKER_LAG_MAX_US, lag)
        if self.file is not None:
            self.plane.flush_log()
            self.file.tick()
        if self.plane.keeping.due():
            self._tell_decisions()
        if self.draining:
            self._watch_drain(self.loop.time())
        if not self.ended.done():
            self._schedule_tick(DRAIN_TICK if self.draining else TICK)

    def _tell_decisions(self) -> None:
        """What is kept since the last tick; where control is slow or gone, nobody gets to know it."""
        decisions, left_out = self.plane.keeping.take()
        if not decisions and not left_out:
            return
        if self.channel.closed or self.channel.clogged:
            self.plane.keeping.lose(decisions)
        else:
            self._tell(Decisions(tuple(decisions), left_out))

    def _schedule_tick(self, after: float) -> None:
        self.due = perf_counter() + after
        self.loop.call_later(after, self._tick)

    def _write_log(self, lines: bytes) -> None:
        if self.file is not None:
            self.file.write(lines)

    def _dropped(self, lines: int) -> None:
        self.cells.add(layout.WORKER_LOG_DROPPED, lines)

    def reopen_log(self) -> None:
        """SIGUSR1, or control's word: the access log was rotated."""
        if self.file is not None:
            self.plane.flush_log()
            self.file.reopen()
