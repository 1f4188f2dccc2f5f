"""DataPlane: the data plane of one worker, as the worker process sees it.

Lives here: accepting, publishing a Snapshot, the tick that sweeps deadlines, draining. Must not live here:
anything per request. Runs in the worker's uvloop; no method blocks.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Generator, Sequence
from random import Random
from time import monotonic
from typing import Any

from lb.outcomes import Outcome
from lb.plan import Plan, StatePlan, Update
from lb.proxy.client import ClientConnection
from lb.proxy.copies import Copies
from lb.proxy.core import TICK, Core
from lb.proxy.exchange import Exchange
from lb.proxy.hedge import hedge
from lb.proxy.keeping import Keeping
from lb.proxy.server import ServerConnection, connect
from lb.proxy.sweep import sweep
from lb.proxy.tracing import Tracing
from lb.snapshot import Snapshot, build, build_update
from lb.telemetry import layout
from lb.telemetry.cells import Cells
from lb.upstream.registry import Registry
from lb.upstream.server import Server
from lb.upstream.service import Service

# The loop calls listen() again with a backlog of its own, 100 where it is not told.
_BACKLOG = 4096
# Idle server connections are looked through this often, in ticks.
_EXPIRE_EVERY = 10
# Services with a slow start under way are refreshed, and retry budgets shown, this often, in ticks: about a
# second.
_WARM_EVERY = round(1.0 / TICK)


class DataPlane:
    """One per worker process. `log` takes finished access-log lines."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, cells: Cells, worker: int, log: Callable[[bytes], None]
    ) -> None:
        self.loop = loop
        self.cells = cells
        self.worker = worker
        # differs from worker to worker, so that they do not all begin with the same server
        self.rng = Random(os.urandom(8))
        self.core = Core(cells, log, self.rng)
        self.core.open = self._open
        self.core.later = loop.call_later
        self.core.hedge = hedge
        self.keeping = Keeping(self.core, worker)
        self.core.keep, self.core.refused = self.keeping.keep, self.keeping.refused
        self.copies = Copies(self.core)
        self.core.mirror = self.copies.send
        self.core.report = lambda error: loop.call_exception_handler(
            {"message": "a bug in the work on an exchange", "exception": error}
        )
        self.registry = Registry(cells)
        self.snapshot: Snapshot | None = None
        self.clients: set[ClientConnection] = set()
        self.accepting: dict[str, list[tuple[asyncio.Server, Callable[[], Any]]]] = {}
        self.tasks: set[asyncio.Task[Any]] = set()
        self.ticks = 0
        self.loop.call_later(TICK, self._tick)

    # ---------------------------------------------------------------------------------- generations

    def build(self, plan: Plan, update: Update | None = None) -> Generator[None, None, Snapshot]:
        """Build a Snapshot in slices; nothing changes until it is published. `update`: by what alone the plan
        differs from that in force. Raises SnapshotError."""
        if update is None or self.snapshot is None:
            return build(plan, self.registry, self.rng, monotonic)
        return build_update(self.snapshot, plan, update, self.registry, self.rng, monotonic)

    def publish(self, snapshot: Snapshot) -> None:
        """Put a Snapshot in force: exchanges that began before finish on the generation they began with."""
        snapshot.take_effect(self.registry)
        core = self.core
        core.table = snapshot.table
        if snapshot.whole:
            core.take_routes(snapshot.routes)
            self.keeping.configure(snapshot.plan.decisions)
            tracing = snapshot.plan.tracing
            core.tracing = Tracing(tracing, self.rng) if tracing is not None else None
        else:
            core.exchange_routes(snapshot.routes, snapshot.changed_routes())
        core.line = snapshot.line
        core.listeners = snapshot.listeners
        core.generation = snapshot.generation
        self.snapshot = snapshot
        self._admit(snapshot)

    def set_states(self, states: Sequence[StatePlan], whole: bool, of: Sequence[str] = ()) -> None:
        """Take over what control says of servers. All of it at once (`whole`, or `of` some services) comes
        before a publication, which refreshes the Services; a change has effect now."""
        self.registry.set_states(states, whole, of)
        if whole or of or self.snapshot is None:
            return
        for name in {state.service for state in states} & self.snapshot.services.keys():
            self.snapshot.services[name].refresh()
            self._send_elsewhere(self.snapshot.services[name])

    def _send_elsewhere(self, service: Service) -> None:
        """Whoever waits for a server that went down need not wait until the end of his patience."""
        for server in service.servers:
            if (
                server.waiting
                and not server.usable
                and not server.draining
                and server not in service.eligible
            ):
                for exchange in list(server.waiting):
                    waiting: Any = exchange
                    waiting.server_failed(Outcome.QUEUE_FULL, False)

    def report_suspects(self, tell: Callable[[str, str, int, str], None]) -> None:
        """Have `tell` called with the service, address, failures in a row and the last one of servers that
        fail."""
        self.core.suspect = lambda server, failures, last: tell(
            server.service, server.address, failures, last
        )

    def report_trips(self, tell: Callable[[str, str, bool], None]) -> None:
        """Have `tell` called with the service, the address ("": the whole service) and whether its breaker is
        open now."""
        self.core.tripped = tell

    def report_differences(self, tell: Callable[[str, str, str, str, str, str], None]) -> None:
        """Have `tell` called with a sample of the copies that were answered otherwise: route, service of the
        copy, what differs (status, header or body), how, method and path of the request, its id."""
        self.copies.tell = tell

    def _admit(self, snapshot: Snapshot) -> None:
        """Let exchanges out of the queues where a new generation made room."""
        for service in snapshot.fresh:
            for server in snapshot.services[service.name].servers:
                while (waiting := server.admit()) is not None:
                    waiting.leave_queue()

    # -------------------------------------------------------------------------------------- accepting

    def serve(self, listener: str, sock: socket.socket) -> None:
        """Accept connections on a listening socket; its listener is named in the published Snapshot."""
        assert self.snapshot is not None
        rules = self.snapshot.listeners[listener]
        core, clients = self.core, self.clients

        def connection() -> Any:  # a cdef class cannot inherit asyncio.Protocol
            return ClientConnection(core, clients, core.listeners.get(listener, rules), b"http")

        async def start() -> None:
            if sock.family == socket.AF_UNIX:
                server = await self.loop.create_unix_server(connection, sock=sock, backlog=_BACKLOG)
            else:
                server = await self.loop.create_server(connection, sock=sock, backlog=_BACKLOG)
            self.accepting.setdefault(listener, []).append((server, connection))

        self._spawn(start())

    def stop_serving(self, listener: str | None = None) -> None:
        """Stop accepting, on one listener or on all. Who waits in the kernel's queue already believes to be
        connected, and would be reset: they are taken first."""
        for name in [listener] if listener is not None else list(self.accepting):
            for server, connection in self.accepting.pop(name, []):
                for sock in server.sockets:
                    self._accept_waiting(sock.fileno(), connection)
                server.close()

    def _accept_waiting(self, fd: int, connection: Callable[[], Any]) -> None:
        with socket.socket(fileno=os.dup(fd)) as queue, contextlib.suppress(OSError):
            queue.setblocking(False)
            while True:  # until BlockingIOError: the queue is empty
                accepted, _ = queue.accept()
                accepted.setblocking(False)
                self._spawn(self.loop.connect_accepted_socket(connection, accepted))

    # ------------------------------------------------------------------------------------------ ends

    def drain(self) -> None:
        """Close idle connections; the others end with their exchange."""
        self.core.draining = True
        for client in list(self.clients):
            client.drain()

    def abort(self) -> None:
        """Close everything at once."""
        self.stop_serving()
        for client in list(self.clients):
            if client.transport is not None:
                client.transport.abort()
        self.registry.close()
        for task in self.tasks:
            task.cancel()

    def flush_log(self) -> None:
        """Hand on all access-log lines; before a log is closed or exchanged."""
        self.core.flush_log()

    # ------------------------------------------------------------------------------------------ facts

    @property
    def exchanges(self) -> int:
        """Exchanges and tunnels under way."""
        return self.core.exchanges

    @property
    def connections(self) -> int:
        """Open client connections."""
        return len(self.clients)

    def describe(self) -> dict[str, Any]:
        """What the admin API shows of this worker, as plain data."""
        services: dict[str, Any] = {}
        if self.snapshot is not None:
            for name, service in self.snapshot.services.items():
                services[name] = {
                    "breaker": service.breaker.word() if service.breaker is not None else None,
                    "servers": [
                        {
                            "address": s.address,
                            "weight": round(s.effective(), 4),
                            "backup": s.backup,
                            "eligible": s in service.eligible,
                            "usable": s.usable,
                            "draining": s.draining,
                            "why": s.why,
                            "breaker": s.breaker.word() if s.breaker is not None else None,
                            "limit": s.most,
                            "busy": s.busy,
                            "waiting": len(s.waiting),
                            "idle": len(s.pool.idle),
                            "cost_seconds": round(s.cost(monotonic()), 6),
                        }
                        for s in service.servers
                    ],
                }
        return {
            "worker": self.worker,
            "generation": self.core.generation,
            "draining": self.core.draining,
            "connections": len(self.clients),
            "exchanges": self.core.exchanges,
            "services": services,
        }

    # ----------------------------------------------------------------------------------------- inside

    def _tick(self) -> None:
        self.loop.call_later(TICK, self._tick)
        self.core.tick()
        sweep(self.clients, self.core.now, self._broken)
        self.copies.check(self.core.now)
        self.ticks += 1
        if self.ticks % _EXPIRE_EVERY == 0:
            self.registry.expire(self.core.now)
        if self.ticks % _WARM_EVERY == 0 and self.snapshot is not None:
            self.core.show_budgets()
            now = monotonic()
            for service in self.snapshot.services.values():
                if service.warming(now):
                    service.refresh(now)

    def _broken(self, client: ClientConnection, error: Exception) -> None:
        """A bug ended the work on one connection."""
        self.loop.call_exception_handler({"message": f"a bug in the work on {client!r}", "exception": error})
        client.transport.abort()

    def _open(self, server: Server, exchange: Exchange) -> ServerConnection:
        connection = ServerConnection(self.core, server.pool)
        connection.exchange = exchange
        self.cells.add(server.slot + layout.SERVER_CONNECTING, 1)
        self.cells.add(server.slot + layout.SERVER_CONNECTIONS, 1)
        connection.task = self._spawn(connect(connection, server))
        slot = server.slot
        connection.task.add_done_callback(lambda _task: self.cells.add(slot + layout.SERVER_CONNECTING, -1))
        return connection

    def _spawn(self, work: Any) -> asyncio.Task[Any]:
        task = self.loop.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task
