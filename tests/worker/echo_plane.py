"""A small real data plane for tests of worker and control: answers every connection itself.

It speaks just enough HTTP/1.1 to be asked with any client: `/` says generation and process,
`/slow` answers when the client has sent another line. A route named "refuse" makes `build` refuse;
one named "refuse-1" makes worker 1 refuse; "die" ends the process while it builds.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Generator, Sequence
from typing import Any

from lb.plan import Plan, StatePlan, TailPlan, Update
from lb.telemetry.cells import Cells
from lb.telemetry.decision import Decision


class EchoPlane:
    def __init__(
        self, loop: asyncio.AbstractEventLoop, cells: Cells, worker: int, log: Callable[[bytes], None]
    ) -> None:
        self.loop = loop
        self.cells = cells
        self.worker = worker
        self.log = log
        self.current: Plan | None = None
        self.states: dict[str, bool] = {}  # address: usable?
        self.states_at_publish: dict[str, bool] = {}
        self.servers: dict[str, list[asyncio.AbstractServer]] = {}
        self.writers: dict[asyncio.StreamWriter, bool] = {}  # writer: is an exchange under way?
        self.closing = False
        self.tasks: set[asyncio.Task[None]] = set()

    def build(self, plan: Plan, update: Update | None) -> Generator[None, None, Plan]:
        for route in plan.routes:
            if route.name in ("refuse", f"refuse-{self.worker}"):
                raise ValueError(f"route {route.name} is refused")
            if route.name == "die":
                os._exit(9)
            yield
        return plan

    def publish(self, snapshot: Plan) -> None:
        self.current = snapshot
        self.states_at_publish = dict(self.states)

    def set_states(self, states: Sequence[StatePlan], whole: bool, of: Sequence[str]) -> None:
        if whole:
            self.states = {}
        self.states |= {state.address: state.usable for state in states}

    @property
    def keeping(self) -> EchoPlane:
        return self

    def due(self) -> bool:
        return True

    def take(self) -> tuple[list[Decision], dict[int, int]]:
        """It keeps nothing."""
        return [], {}

    def watch(self, tails: Sequence[TailPlan]) -> None:
        """It shows nothing."""

    def drop(self, count: int) -> None:
        """It drops nothing."""

    def report_trips(self, tell: Callable[[str, str, bool], None]) -> None:
        """It has no breakers."""

    def report_differences(self, tell: Callable[[str, str, str, str, str, str], None]) -> None:
        """It has no mirrors."""

    def report_suspects(self, tell: Callable[[str, str, int, str], None]) -> None:
        pass

    def serve(self, listener: str, sock: socket.socket) -> None:
        async def start() -> None:
            opened = await asyncio.start_server(self._client, sock=sock)
            self.servers.setdefault(listener, []).append(opened)

        task = self.loop.create_task(start())
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def stop_serving(self, listener: str | None = None) -> None:
        for name in [listener] if listener is not None else list(self.servers):
            for server in self.servers.pop(name, []):
                server.close()

    def drain(self) -> None:
        self.closing = True
        for writer, busy in list(self.writers.items()):
            if not busy:
                writer.close()

    def abort(self) -> None:
        self.stop_serving()
        for writer in list(self.writers):
            writer.transport.abort()

    @property
    def exchanges(self) -> int:
        return sum(self.writers.values())

    @property
    def connections(self) -> int:
        return len(self.writers)

    def flush_log(self) -> None:
        pass

    def describe(self) -> dict[str, Any]:
        return {
            "worker": self.worker,
            "listeners": sorted(self.servers),
            "states": self.states,
            "states_at_publish": self.states_at_publish,
        }

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers[writer] = False
        try:
            while not self.closing:
                head = await reader.readuntil(b"\r\n\r\n")
                self.writers[writer] = True
                path = head.split(b" ")[1].decode()
                if path == "/slow":
                    await reader.readline()
                generation = self.current.generation if self.current else 0
                body = f"generation {generation} worker {self.worker} pid {os.getpid()}\n".encode()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
                await writer.drain()
                self.log(b"%b %d\n" % (path.encode(), generation))
                self.writers[writer] = False
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            del self.writers[writer]
            writer.close()
