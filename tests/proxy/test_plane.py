"""A DataPlane over real sockets in one loop: accepting, reloading, draining, aborting."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress

import pytest

from lb.plan import (
    ListenerPlan,
    Plan,
    RoutePlan,
    ServerPlan,
    ServicePlan,
    StatePlan,
    TimeoutPlan,
    WeightedService,
)
from lb.proxy.plane import DataPlane
from lb.telemetry import layout
from lb.telemetry.cells import Cells
from tests.proxy.playing import LISTENER, ROUTE, SERVERS

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
FAST = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def until(predicate, what: str) -> None:
    for _ in range(1000):
        if predicate():
            return
        await asyncio.sleep(0.005)
    raise AssertionError(f"not within 5 s: {what}")


class Stage:
    """A plane on a port of its own, with one server whose answers are held while `open` is not set."""

    async def __aenter__(self) -> Stage:
        self.lines: list[bytes] = []
        self.cells = Cells(-1, 0, 1, 10_000)
        self.open = asyncio.Event()
        self.open.set()
        self.server_connections = 0
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self.server.sockets[0].getsockname()[1]
        self.address = f"127.0.0.1:{port}"
        self.plane = DataPlane(asyncio.get_running_loop(), self.cells, 0, self.lines.append)
        self.publish(1)
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.port = self.sock.getsockname()[1]
        self.plane.serve("web", self.sock)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.plane.abort()
        self.server.close()
        self.sock.close()
        await until(lambda: not self.plane.tasks and not self.plane.clients, "all is closed")
        assert self.plane.exchanges == 0 and not any(self.gauges())

    def gauges(self) -> list[int]:
        slots = [SERVERS + at for at in layout.SERVER_GAUGES if at != layout.SERVER_IDLE]
        return [self.cells.get(at) for at in (*slots, ROUTE, LISTENER)]

    def publish(self, generation: int, address: str = "", **timeout: float) -> None:
        what = Plan(
            generation,
            (ListenerPlan("web", ("127.0.0.1:0",), slot=LISTENER),),
            (RoutePlan("r", services=(WeightedService("app", 1, ROUTE),), timeout=TimeoutPlan(**timeout)),),
            (ServicePlan("app", servers=(ServerPlan(address or self.address, slot=SERVERS),)),),
        )
        steps = self.plane.build(what)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                self.plane.publish(end.value)
                return

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.server_connections += 1
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                await self.open.wait()
                writer.write(FAST)
        writer.close()

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)


async def answer(reader: asyncio.StreamReader) -> bytes:
    """The status line; the rest of the response is read away."""
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    await reader.readexactly(length)
    return head.partition(b"\r\n")[0]


@pytest.fixture
def run():
    return asyncio.run


def test_requests_on_one_connection_and_a_reload_between(run):
    async def play() -> None:
        async with Stage() as stage:
            reader, writer = await stage.connect()
            for generation in (2, 3, 4):
                writer.write(GET)
                assert await answer(reader) == b"HTTP/1.1 200 OK"
                stage.publish(generation)
            assert stage.server_connections == 1 and stage.plane.connections == 1
            assert stage.plane.describe()["generation"] == 4
            (shown,) = stage.plane.describe()["services"]["app"]["servers"]
            assert (shown["address"], shown["idle"], shown["eligible"]) == (stage.address, 1, True)
            writer.close()
            await until(lambda: stage.plane.connections == 0, "the client is gone")

    run(play())


def test_an_exchange_ends_on_the_generation_that_it_began_with(run):
    async def play() -> None:
        async with Stage() as stage:
            stage.open.clear()
            reader, writer = await stage.connect()
            writer.write(GET)
            await until(lambda: stage.server_connections == 1, "the request came")
            stage.publish(2, "127.0.0.1:1")
            stage.open.set()
            assert await answer(reader) == b"HTTP/1.1 200 OK"
            writer.write(GET)
            assert b" 502 " in await answer(reader)
            writer.close()

    run(play())


def test_draining_lets_exchanges_end_and_closes_the_rest(run):
    async def play() -> None:
        async with Stage() as stage:
            stage.open.clear()
            idle, idle_writer = await stage.connect()
            busy, busy_writer = await stage.connect()
            busy_writer.write(GET)
            await until(lambda: stage.plane.exchanges == 1 and stage.plane.connections == 2, "one is busy")
            stage.plane.stop_serving()
            stage.plane.drain()
            assert await asyncio.wait_for(idle.read(), 5) == b""
            stage.open.set()
            assert b"Connection: close" in await asyncio.wait_for(busy.read(), 5)
            with pytest.raises(OSError):
                stage.sock.close()
                await stage.connect()
            for writer in (idle_writer, busy_writer):
                writer.close()

    run(play())


def test_states_take_effect_at_once_or_with_a_publication(run):
    async def play() -> None:
        async with Stage() as stage:
            reader, writer = await stage.connect()

            async def status() -> bytes:
                writer.write(GET)
                return (await answer(reader)).split()[1]

            down = StatePlan("app", stage.address, usable=False, why="check: down")
            stage.plane.set_states([down], whole=False)
            assert await status() == b"503"
            (shown,) = stage.plane.describe()["services"]["app"]["servers"]
            assert (shown["eligible"], shown["usable"], shown["why"]) == (False, False, "check: down")
            stage.publish(2)
            assert await status() == b"503"
            stage.plane.set_states([], whole=True)
            assert await status() == b"503", "all states at once come before a publication"
            stage.publish(3)
            assert await status() == b"200"
            stage.plane.set_states([StatePlan("none", "z:1", usable=False)], whole=False)
            assert await status() == b"200"
            writer.close()

    run(play())


def test_a_slow_start_goes_on_by_itself(run):
    async def play() -> None:
        async with Stage() as stage:
            steps: list[float] = []

            class Warming:
                servers: list[object] = []

                def warming(self, now: float) -> bool:
                    return True

                def refresh(self, now: float) -> None:
                    steps.append(now)

            assert stage.plane.snapshot is not None
            stage.plane.snapshot.services["app"] = Warming()
            stage.plane.ticks = -1  # the next tick is one that looks
            await until(lambda: len(steps) == 1, "a refresh")

    run(play())


def test_who_waits_to_be_accepted_when_a_drain_begins_is_served(run):
    async def play() -> None:
        async with Stage() as stage:
            reader, writer = await stage.connect()
            writer.write(GET)
            await answer(reader)
            # the loop does not run between connecting and draining: they wait in the kernel's queue
            waiting = [socket.create_connection(("127.0.0.1", stage.port)) for _ in range(5)]
            for sock in waiting:
                sock.sendall(GET)
            stage.plane.stop_serving()
            stage.plane.drain()
            stage.sock.close()
            for sock in waiting:
                sock.setblocking(False)
                late_reader, late_writer = await asyncio.open_connection(sock=sock)
                assert b"Connection: close" in await asyncio.wait_for(late_reader.read(), 5)
                late_writer.close()
            writer.close()

    run(play())


def test_a_request_of_which_nothing_was_sent_goes_out_again_whatever_its_method(run):
    async def play() -> None:
        async with Stage() as stage:
            reader, writer = await stage.connect()
            writer.write(GET)
            await answer(reader)
            # the server went away and this worker's loop has not heard of it yet
            (idle,) = stage.plane.registry.pools[stage.address].idle
            idle.transport.get_extra_info("socket").shutdown(socket.SHUT_WR)
            (client,) = stage.plane.clients
            client.data_received(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
            assert await answer(reader) == b"HTTP/1.1 200 OK"
            assert stage.server_connections == 2
            writer.close()

    run(play())


def test_abort_ends_everything_at_once(run):
    async def play() -> None:
        async with Stage() as stage:
            stage.open.clear()
            reader, writer = await stage.connect()
            writer.write(GET)
            await until(lambda: stage.plane.exchanges == 1, "the request came")
            stage.plane.abort()
            with suppress(ConnectionError):
                assert await asyncio.wait_for(reader.read(), 5) == b""
            await until(lambda: stage.plane.exchanges == 0, "it ended")
            stage.open.set()
            writer.close()

    run(play())


def test_the_tick_ends_what_takes_too_long(run):
    async def play() -> None:
        async with Stage() as stage:
            stage.open.clear()
            stage.publish(2, response=0.05)
            reader, writer = await stage.connect()
            writer.write(GET)
            assert b" 504 " in await answer(reader)
            stage.open.set()
            writer.close()

    run(play())
