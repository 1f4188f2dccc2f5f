"""Constant load while lb is reloaded and its workers are killed. A reload fails none; a kill only its own."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from dataclasses import dataclass, field

from .harness import Origin, Scenario, eventually

BODY = b"x" * 1000
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY
REQUEST = b"GET /%d HTTP/1.1\r\nHost: example.test\r\n\r\n"
CONNECTIONS = 32


class Server(asyncio.Protocol):
    """As small a server as can be: the load is lb's, not the test's."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.rest = b""

    def data_received(self, data: bytes) -> None:
        data = self.rest + data
        count = data.count(b"\r\n\r\n")
        self.rest = data[data.rfind(b"\r\n\r\n") + 4 :] if count else data
        if count:
            self.transport.write(ANSWER * count)  # type: ignore[attr-defined]


@dataclass
class Load:
    """Clients on connections that are kept for a while; a failure is anything but a whole, right answer."""

    address: str
    done: int = 0
    failures: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    async def client(self, number: int) -> None:
        host, port = self.address.rsplit(":", 1)
        while not self.stop.is_set():
            try:
                reader, writer = await asyncio.open_connection(host, int(port))
            except OSError as problem:
                self.failures.append(f"connect: {problem!r}")
                await asyncio.sleep(0.01)
                continue
            try:
                for n in range(50 + number):
                    if self.stop.is_set():
                        break
                    writer.write(REQUEST % n)
                    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
                    if not head.startswith(b"HTTP/1.1 200 "):
                        self.failures.append(head[:80].decode())
                        break
                    if await asyncio.wait_for(reader.readexactly(len(BODY)), 10) != BODY:
                        self.failures.append("another body")
                    self.done += 1
            except Exception as problem:  # all of them are failures
                self.failures.append(repr(problem))
            finally:
                writer.close()

    def run(self) -> None:
        async def clients() -> None:
            await asyncio.gather(*(self.client(n) for n in range(CONNECTIONS)))

        asyncio.run(clients())


class Farm:
    """Two small servers in a thread of their own."""

    def __init__(self) -> None:
        self.addresses: list[str] = []
        self.loop = asyncio.new_event_loop()
        started = threading.Event()

        async def start() -> None:
            for _ in range(2):
                server = await self.loop.create_server(Server, "127.0.0.1", 0)
                self.addresses.append(f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
            started.set()

        self.loop.create_task(start())
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        started.wait(5)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)


def config(farm: Farm, n: int) -> str:
    """Every generation has other routes and other services, and the same servers."""
    first, second = farm.addresses
    extra = "".join(
        f"  - {{name: r{n}-{i}, match: {{path_prefix: /r{n}/{i}}}, service: s{n % 3}}}\n" for i in range(50)
    )
    return f"""
workers: 2
listeners: [{{name: web, bind: "$web"}}]
services:
  s{n % 3}: {{algorithm: {("round_robin", "least_connections", "ewma")[n % 3]}, servers: ["{first}", "{second}"]}}
routes:
{extra}  - {{name: all, match: {{path_prefix: /}}, service: s{n % 3}}}
"""


def under_load(s: Scenario) -> tuple[Load, threading.Thread]:
    load = Load(s.names["web"])
    thread = threading.Thread(target=load.run)
    thread.start()
    eventually(lambda: load.done > 200, because=f"the load does not run: {load.failures[:3]}")
    return load, thread


def running(s: Scenario) -> list[int]:
    return [w["pid"] for w in s.lb.status()["workers"] if w["state"] == "running"]


def kill_one(s: Scenario) -> int:
    """Kill the worker that has run longest, once both run."""
    eventually(lambda: len(running(s)) == 2, because="a killed worker was not replaced")
    pid = min((w["started"], w["pid"]) for w in s.lb.status()["workers"])[1]
    os.kill(pid, signal.SIGKILL)
    return int(pid)


def finish(load: Load, thread: threading.Thread) -> None:
    before = load.done
    eventually(lambda: load.done > before + 200, because="the load came to a stand")
    load.stop.set()
    thread.join(20)
    assert not thread.is_alive()


def test_twenty_reloads_fail_no_request() -> None:
    farm = Farm()
    try:
        with Scenario(config(farm, 0), a=Origin()) as s:
            load, thread = under_load(s)
            generation = s.generation()
            try:
                for n in range(1, 21):
                    s.write(config(farm, n))
                    if n % 2:
                        s.lb.signal(signal.SIGHUP)
                    else:
                        assert s.lb.admin("POST", "/api/v1/reload")[0] == 200
                    eventually(
                        lambda n=n: s.generation() >= generation + n, because="the reload was not done"
                    )
            finally:
                finish(load, thread)
            assert load.failures == []
            assert load.done > 1000
    finally:
        farm.close()


def test_five_killed_workers_fail_at_most_what_they_had() -> None:
    farm = Farm()
    try:
        with Scenario(config(farm, 0), a=Origin()) as s:
            load, thread = under_load(s)
            try:
                for _ in range(5):
                    pid, done = kill_one(s), load.done
                    eventually(lambda pid=pid: pid not in running(s), within=5)
                    eventually(lambda done=done: load.done > done + 300, because="the load came to a stand")
            finally:
                finish(load, thread)
            # a kill ends what its worker had: at most one exchange a connection, and no one is refused
            assert len(load.failures) <= 5 * CONNECTIONS
            assert not [f for f in load.failures if f.startswith("connect")], load.failures
            assert not [f for f in load.failures if f.startswith("HTTP")], load.failures
    finally:
        farm.close()


def test_reloads_and_kills_together() -> None:
    farm = Farm()
    try:
        with Scenario(config(farm, 0), a=Origin()) as s:
            load, thread = under_load(s)
            try:
                for n in range(1, 21):
                    s.write(config(farm, n))
                    s.lb.signal(signal.SIGHUP)
                    if n % 4 == 0:
                        kill_one(s)
                    done = load.done
                    eventually(lambda done=done: load.done > done + 50, because="the load came to a stand")
            finally:
                finish(load, thread)
            assert len(load.failures) <= 5 * CONNECTIONS
            assert not [f for f in load.failures if f.startswith(("connect", "HTTP"))], load.failures
            eventually(lambda: s.lb.metric(r"lb_.*in_flight") == 0)
    finally:
        farm.close()
