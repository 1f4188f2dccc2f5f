"""Workers on the echo plane under a real supervisor, driven from synchronous tests."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time

import pytest
import uvloop

from lb.control.listeners import Listeners
from lb.control.supervisor import Supervisor
from lb.plan import AccessLogPlan, ListenerPlan, Plan, RoutePlan
from lb.telemetry.cells import Cells
from lb.telemetry.layout import REGION
from lb.telemetry.ledger import Ledger, create_cells_file

ECHO = (sys.executable, "-m", "tests.worker.echo_worker")


def plan(generation, *routes, bind=("127.0.0.1:0",), listener="web", log=None, grace=5.0):
    return Plan(
        generation=generation,
        listeners=(ListenerPlan(listener, tuple(bind)),) if bind else (),
        routes=tuple(RoutePlan(name) for name in routes),
        access_log=AccessLogPlan(str(log)) if log else None,
        shutdown_grace=grace,
    )


class House:
    """A supervisor with its loop, listeners and cells."""

    def __init__(self, workers=2, command=ECHO):
        self.loop = uvloop.new_event_loop()
        asyncio.set_event_loop(self.loop)
        self.cells_fd = create_cells_file(workers, REGION)
        self.cells = Cells(self.cells_fd, 0, workers, REGION)
        self.ledger = Ledger()
        self.listeners = Listeners(workers)
        self.supervisor = self.run(self._make(command))

    async def _make(self, command):
        return Supervisor(command, self.cells_fd, self.cells, self.ledger, self.listeners)

    def run(self, awaitable):
        async def bounded():
            async with asyncio.timeout(20):
                return await awaitable

        return self.loop.run_until_complete(bounded())

    def start(self, first):
        self.listeners.open_missing(first.listeners)
        self.run(self.supervisor.start(first))

    def apply(self, next_one):
        self.listeners.open_missing(next_one.listeners)
        self.run(self.supervisor.apply(next_one))

    async def drain(self, grace):
        self.supervisor.tell_drain()
        return await self.supervisor.drained(grace)

    def until(self, condition, seconds=5.0):
        async def poll():
            end = time.monotonic() + seconds
            while not condition():
                assert time.monotonic() < end, f"not reached within {seconds} s"
                await asyncio.sleep(0.005)

        self.run(poll())

    def port(self, address="127.0.0.1:0"):
        return self.listeners.bound[address].sockets[0].getsockname()[1]

    def pids(self):
        return [facts.pid for facts in self.supervisor.facts()]

    def close(self):
        self.run(self.supervisor.abort())
        self.listeners.close()
        os.close(self.cells_fd)
        self.loop.close()


def connect(address):
    if isinstance(address, int):
        return socket.create_connection(("127.0.0.1", address), timeout=5)
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(5)
    sock.connect(address)
    return sock


def ask(address, path="/", sock=None):
    """The body that the echo plane answers with."""
    with sock or connect(address) as asked:
        asked.sendall(b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % path.encode())
        return read_answer(asked)


def read_answer(sock):
    received = b""
    while b"\r\n\r\n" not in received or not received.endswith(b"\n"):
        more = sock.recv(4096)
        if not more:
            raise ConnectionError(f"the answer broke off after {received!r}")
        received += more
    return received.partition(b"\r\n\r\n")[2].decode().strip()


@pytest.fixture
def house():
    made = []

    def build(*args, **kwargs):
        made.append(House(*args, **kwargs))
        return made[-1]

    yield build
    for each in made:
        each.close()
