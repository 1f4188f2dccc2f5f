"""Ten minutes at full load: `python -m tests.soak.soak --minutes 10`.

Prints resident memory and open descriptors of the whole process tree over time, and exits with 1 when either
grows, or when a request fails. The load is of every kind that leaves something behind: keep-alive and one
connection per request, uploads, chunks, broken requests, clients that go away, WebSockets, and reloads.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import statistics
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection

import uvloop

from tests.scenarios.harness import Origin, Scenario
from tests.scenarios.harness.process import Lb

BODY = b"x" * 1024
UPGRADE = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
MAY_GROW = 0.05  # of the memory after the warm-up: less than what allocators leave between two samples
MIB = 1024 * 1024


class Failed(Exception):
    pass


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A server for all kinds of load: the path says what is wanted."""
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            path = head.split(b" ", 2)[1]
            lower = head.lower()
            if b"upgrade: websocket" in lower:
                writer.write(UPGRADE)
                while data := await reader.read(65536):
                    writer.write(data)
                    await writer.drain()
                return
            if b"transfer-encoding: chunked" in lower:
                while (line := await reader.readuntil(b"\r\n")) != b"0\r\n":
                    await reader.readexactly(int(line, 16) + 2)
                await reader.readexactly(2)
            elif b"content-length:" in lower:
                length = lower.split(b"content-length:")[1].split(b"\r\n")[0]
                await reader.readexactly(int(length))
            if path == b"/chunked":
                writer.write(
                    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n400\r\n" + BODY + b"\r\n0\r\n\r\n"
                )
            elif path == b"/break":
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + BODY)
                return
            else:
                size = 1_000_000 if path == b"/large" else len(BODY)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


class Load:
    """Clients of every kind, counting what they did."""

    def __init__(self, address: str) -> None:
        self.host, port = address.rsplit(":", 1)
        self.port = int(port)
        self.done = 0
        self.failures: list[str] = []
        self.stop = threading.Event()

    async def ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, raw: bytes) -> None:
        writer.write(raw)
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
        if not head.startswith(b"HTTP/1.1 200 "):
            raise Failed(head[:60].decode())
        lower = head.lower()
        if b"chunked" in lower:
            await reader.readuntil(b"0\r\n\r\n")
        else:
            await reader.readexactly(int(lower.split(b"content-length:")[1].split(b"\r\n")[0]))
        self.done += 1

    async def keep_alive(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(200):
            await self.ask(reader, writer, b"GET /1k HTTP/1.1\r\nHost: a\r\n\r\n")

    async def one_each(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self.ask(reader, writer, b"GET /1k HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")

    async def large(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self.ask(reader, writer, b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")

    async def chunks(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(50):
            raw = (
                b"POST /chunked HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n400\r\n"
                + BODY
                + b"\r\n0\r\n\r\n"
            )
            await self.ask(reader, writer, raw)

    async def upload(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self.ask(
            reader,
            writer,
            b"PUT /up HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 1_000_000,
        )

    async def malformed(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nBad Name: x\r\n\r\n")
        if not (await asyncio.wait_for(reader.read(), 30)).startswith(b"HTTP/1.1 400 "):
            raise Failed("a malformed request was not refused")
        self.done += 1

    async def breaks(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"GET /break HTTP/1.1\r\nHost: a\r\n\r\n")
        await asyncio.wait_for(reader.read(), 30)
        self.done += 1

    async def goes_away(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.abort()
        self.done += 1

    async def socket(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        if not (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 "):
            raise Failed("no upgrade")
        for _ in range(50):
            writer.write(BODY)
            await reader.readexactly(len(BODY))
        self.done += 1

    async def repeat(
        self, kind: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
    ) -> None:
        while not self.stop.is_set():
            try:
                reader, writer = await asyncio.open_connection(self.host, self.port)
                try:
                    await kind(reader, writer)
                finally:
                    writer.close()
            except Exception as problem:  # whatever it is, it is counted
                self.failures.append(f"{kind.__name__}: {problem!r}")
                await asyncio.sleep(0.1)

    def run(self) -> None:
        kinds = [self.keep_alive] * 24 + [self.one_each] * 4 + [self.chunks] * 4 + [self.socket] * 4
        kinds += [self.large, self.upload, self.malformed, self.breaks, self.goes_away]

        async def clients() -> None:
            await asyncio.gather(*(self.repeat(k) for k in kinds))

        uvloop.run(clients())


def run_servers(tell: Connection) -> None:
    """Two servers in this process; their addresses go into the pipe."""

    async def main() -> None:
        servers = [await asyncio.start_server(serve, "127.0.0.1", 0, backlog=1024) for _ in range(2)]
        tell.send([f"127.0.0.1:{server.sockets[0].getsockname()[1]}" for server in servers])
        await asyncio.Event().wait()

    uvloop.run(main())


def config(addresses: list[str], n: int) -> str:
    first, second = addresses
    algorithm = ("least_connections", "ewma")[n % 2]
    return f"""
workers: auto
listeners: [{{name: web, bind: "$web"}}]
services: {{app: {{algorithm: {algorithm}, servers: ["{first}", "{second}"]}}}}
routes:
  - {{name: r{n}, match: {{path_prefix: /r{n}}}, service: app}}
  - {{name: all, match: {{path_prefix: /}}, service: app, retry: {{attempts: 1}}}}
"""


def watch(lb: Lb, load: Load, seconds: float, reload: Callable[[int], None]) -> tuple[list[int], list[int]]:
    memory: list[int] = []
    descriptors: list[int] = []
    began, done = time.monotonic(), 0
    every = max(1.0, seconds / 60)
    while (passed := time.monotonic() - began) < seconds:
        time.sleep(every)
        memory.append(lb.rss())
        descriptors.append(lb.descriptors())
        rate = (load.done - done) / every
        done = load.done
        print(f"{passed + every:7.0f} s  {memory[-1] / MIB:8.1f} MiB  {descriptors[-1]:5d} descriptors  "
              f"{rate:8.0f}/s  {len(load.failures)} failures", flush=True)  # fmt: skip
        if len(memory) % 10 == 0:
            reload(len(memory))
    return memory, descriptors


def grown(name: str, samples: list[int], slack: float) -> bool:
    """The last quarter against the second: the first is the warm-up."""
    quarter = max(1, len(samples) // 4)
    early = statistics.median(samples[quarter : 2 * quarter])
    late = statistics.median(samples[-quarter:])
    more = late - early
    verdict = more > max(slack, MAY_GROW * early)
    print(f"{name}: {early:.0f} → {late:.0f} ({more:+.0f}): {'GROWTH' if verdict else 'ok'}")
    return verdict


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    options = parser.parse_args()
    spawn = multiprocessing.get_context("spawn")
    hear, tell = spawn.Pipe()
    spawn.Process(target=run_servers, args=(tell,), daemon=True).start()
    addresses = hear.recv()
    with Scenario(config(addresses, 0), unused=Origin()) as s:
        load = Load(s.names["web"])
        thread = threading.Thread(target=load.run)
        thread.start()

        def reload(n: int) -> None:
            s.write(config(addresses, n // 10))
            status, body = s.lb.admin("POST", "/api/v1/reload")
            if status != 200:
                load.failures.append(f"reload: {body}")

        memory, descriptors = watch(s.lb, load, options.minutes * 60, reload)
        load.stop.set()
        thread.join(60)
        in_flight = s.lb.metric(r"lb_.*in_flight")
        print(
            f"{load.done} done, {len(load.failures)} failed {load.failures[:5]}, "
            f"in flight at the end: {in_flight:.0f}"
        )
        bad = [
            grown("memory", memory, 4 * MIB),
            grown("descriptors", descriptors, 40),  # connections come and go between two samples
            bool(load.failures),
            in_flight != 0,
        ]
    return int(any(bad))


if __name__ == "__main__":
    sys.exit(main())
