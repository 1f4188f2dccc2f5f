"""A small HTTP server for the demo: it says which one it is.

`python -m lb.cli.demo_server NAME ADDRESS` serves until its standard input ends. Paths: `/` its name;
`/headers` the request as it came; `/slow` after two seconds; `/events` five server-sent events, one a
second. Only for demos and tests: it is no example of a server for production.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys

SLOW = 2.0  # seconds
EVENTS = 5
HEAD_LIMIT = 64 * 1024


class DemoServer:
    """Serves connections of HTTP/1.1 clients, one request after another."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.requests = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            while await self._exchange(reader, writer):
                pass
        writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        line, *fields = head.decode("latin-1").split("\r\n")[:-2]
        method, target, _ = line.split(" ")
        headers = {
            name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)
        }
        await self._skip_body(reader, headers)
        self.requests += 1
        path = target.partition("?")[0]
        keep = headers.get("connection", "").lower() != "close"
        if path == "/events" and method != "HEAD":
            await self._events(writer)
            return False
        if path == "/slow":
            await asyncio.sleep(SLOW)
        body = f"{line}\n" + "\n".join(fields) + "\n" if path == "/headers" else f"hello from {self.name}\n"
        payload = body.encode("latin-1")
        answer = (
            f"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nX-Demo-Server: {self.name}\r\n"
            f"Content-Length: {len(payload)}\r\nConnection: {'keep-alive' if keep else 'close'}\r\n\r\n"
        )
        writer.write(answer.encode("latin-1") + (b"" if method == "HEAD" else payload))
        await writer.drain()
        return keep

    async def _events(self, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
        for number in range(1, EVENTS + 1):
            writer.write(f"id: {number}\ndata: event {number} from {self.name}\n\n".encode())
            await writer.drain()
            await asyncio.sleep(1)

    @staticmethod
    async def _skip_body(reader: asyncio.StreamReader, headers: dict[str, str]) -> None:
        if "chunked" in headers.get("transfer-encoding", "").lower():
            while size := int((await reader.readuntil(b"\r\n")).partition(b";")[0], 16):
                await reader.readexactly(size + 2)
            while await reader.readuntil(b"\r\n") != b"\r\n":
                pass
            return
        left = int(headers.get("content-length", "0"))
        while left:
            left -= len(await reader.readexactly(min(left, HEAD_LIMIT)))


async def start(name: str, address: str) -> asyncio.Server:
    """Listen on "127.0.0.1:9001" or "unix:/path". Raises OSError."""
    serve = DemoServer(name).serve
    if address.startswith("unix:"):
        return await asyncio.start_unix_server(serve, address.removeprefix("unix:"), limit=HEAD_LIMIT)
    host, _, port = address.rpartition(":")
    return await asyncio.start_server(serve, host.strip("[]"), int(port), limit=HEAD_LIMIT)


async def main(name: str, address: str) -> None:
    """Serve until standard input ends: whoever started this is gone then."""
    try:
        await start(name, address)
    except OSError as error:
        sys.stdout.write(f"{error.strerror or error}\n")
        sys.stdout.flush()
        return
    sys.stdout.write("listening\n")
    sys.stdout.flush()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; lb ends the demo
    asyncio.run(main(sys.argv[1], sys.argv[2]))
