"""A constant load by clients that count: so many requests a second, each one remembered with its fate."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

DEADLINE = 20.0  # seconds a client waits for an answer
BODY = b"x" * 1000  # as in server.py
STATUS = re.compile(rb"HTTP/1\.1 (\d\d\d) ")
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
SERVER = re.compile(rb"\r\nx-server: *([^\r]*)", re.IGNORECASE)


class Fate(NamedTuple):
    """`at`: monotonic seconds at which the request was due; `fault`: "" for a whole, right 200."""

    at: float
    took: float
    method: str
    status: int
    server: str
    fault: str


class Load:
    """`rate` requests a second over `clients` keep-alive connections; every `post_every`-th is a POST
    (0: none). A client that finds its connection closed while it was idle opens another, as HTTP clients do;
    nothing else is tried again."""

    def __init__(self, address: str, rate: float = 200.0, clients: int = 20, post_every: int = 0) -> None:
        host, port = address.rsplit(":", 1)
        self.place = (host, int(port))
        self.rate, self.clients, self.post_every = rate, clients, post_every
        self.fates: list[Fate] = []
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self.thread.start()

    def stop(self) -> None:
        self.stopped.set()
        self.thread.join(DEADLINE + 10)
        assert not self.thread.is_alive(), "a client hangs"

    async def _run(self) -> None:
        await asyncio.gather(*(self._client(n) for n in range(self.clients)))

    async def _client(self, number: int) -> None:
        pause = self.clients / self.rate
        due = time.monotonic() + pause * number / self.clients
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        turn = number
        while not self.stopped.is_set():
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            turn += 1
            post = self.post_every and turn % self.post_every == 0
            began = due
            due = max(due + pause, time.monotonic() - pause)
            method = "POST" if post else "GET"
            status, server, fault = 0, "", ""
            try:
                if streams is not None and (streams[0].at_eof() or streams[1].is_closing()):
                    streams[1].close()
                    streams = None
                if streams is None:
                    streams = await asyncio.wait_for(asyncio.open_connection(*self.place), DEADLINE)
                status, server, keep = await asyncio.wait_for(self._ask(method, *streams), DEADLINE)
                if status != 200:
                    fault = f"status {status}"
                if not keep:
                    streams[1].close()
                    streams = None
            except Exception as problem:  # all of them are what a client would call a failure
                fault = f"{type(problem).__name__}: {problem}"[:80]
                if streams is not None:
                    streams[1].close()
                    streams = None
            self.fates.append(Fate(began, time.monotonic() - began, method, status, server, fault))
        if streams is not None:
            streams[1].close()

    @staticmethod
    async def _ask(
        method: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> tuple[int, str, bool]:
        body = b"Content-Length: 5\r\n\r\nhello" if method == "POST" else b"\r\n"
        writer.write(method.encode() + b" /page HTTP/1.1\r\nHost: example.test\r\n" + body)
        head = await reader.readuntil(b"\r\n\r\n")
        status, length, server = STATUS.match(head), LENGTH.search(head), SERVER.search(head)
        if status is None or length is None:
            raise ValueError(f"no HTTP: {head[:40]!r}")
        got = await reader.readexactly(int(length[1]))
        if status[1] == b"200" and got != BODY:
            raise ValueError("another body")
        keep = b"connection: close" not in head.lower()
        return int(status[1]), server[1].decode() if server else "", keep

    # -- what the clients saw

    def between(self, since: float, until: float = float("inf")) -> Seen:
        """The requests that were due in that time (monotonic seconds)."""
        return Seen([fate for fate in self.fates if since <= fate.at < until])


class Seen:
    """Some requests, looked at together."""

    def __init__(self, fates: Iterable[Fate]) -> None:
        self.fates = list(fates)

    def __repr__(self) -> str:
        slow = self.slowest()
        failed = f"{len(self.failed())} failed {dict(self.faults())}"
        return f"<Seen {len(self.fates)} requests, {failed}, slowest {slow:.3f}s>"

    def failed(self, method: str = "") -> list[Fate]:
        return [fate for fate in self.fates if fate.fault and method in ("", fate.method)]

    def faults(self) -> Counter[str]:
        return Counter(fate.fault for fate in self.failed())

    def by_server(self) -> Counter[str]:
        return Counter(fate.server for fate in self.fates if fate.server)

    def slowest(self) -> float:
        return max((fate.took for fate in self.fates), default=0.0)
