"""A server that fails on command: `python -m tests.faults.server ADDRESS NAME`.

Reads commands on standard input, one a line, and answers each with one line: what it counted, as JSON.
A mode holds for every request from then on, on connections that are open already too:

    ok            200, 1,000 bytes, keep-alive
    status CODE   that status
    delay S       an answer after S seconds
    hang          takes requests, never answers
    deaf          listens, accepts nothing more: clients connect to the kernel's queue
    garbage       bytes that are not HTTP
    reset N       N bytes of the answer, then a reset
    cut N         N bytes of the answer, then an ordinary end
    drip S        the answer byte by byte, S seconds apart
    flap S        ok and 503 by turns of S seconds
    hasty         the whole answer, then closes without having said so
    stranger      another service took the port: 200, but not the page that a check looks for
    refuse        closes the listening socket and resets every connection; any other mode listens again
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import struct
import sys
import time

BODY = b"x" * 1000
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
RESET = struct.pack("ii", 1, 0)


class Server:
    def __init__(self, address: str, name: str) -> None:
        host, port = address.rsplit(":", 1)
        self.place = (host, int(port))
        self.name = name
        self.mode = ["ok"]
        self.requests = self.probes = 0
        self.open: set[asyncio.StreamWriter] = set()
        self.listening: asyncio.Server | None = None

    async def listen(self) -> None:
        if self.listening is None:
            self.listening = await asyncio.start_server(self.serve, *self.place, backlog=1024)

    def stop_listening(self) -> None:
        if self.listening is not None:
            self.listening.close()
            self.listening = None

    async def become(self, mode: list[str]) -> None:
        was_deaf = self.mode[0] == "deaf"
        self.mode = mode
        if mode[0] == "refuse":
            self.stop_listening()
            for writer in list(self.open):
                reset(writer)
        elif mode[0] == "deaf":
            assert self.listening is not None
            for sock in self.listening.sockets:
                asyncio.get_running_loop().remove_reader(sock.fileno())
        elif was_deaf:
            self.stop_listening()
            await self.listen()
        else:
            await self.listen()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open.add(writer)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = LENGTH.search(head)
                if length:
                    await reader.readexactly(int(length[1]))
                if head.startswith(b"GET /healthz"):
                    self.probes += 1
                else:
                    self.requests += 1
                if not await self.answer(writer):
                    return
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.LimitOverrunError):
            pass
        finally:
            self.open.discard(writer)
            writer.close()

    def response(self, status: int, body: bytes) -> bytes:
        return b"HTTP/1.1 %d X\r\nX-Server: %b\r\nContent-Length: %d\r\n\r\n%b" % (
            status,
            self.name.encode(),
            len(body),
            body,
        )

    async def answer(self, writer: asyncio.StreamWriter) -> bool:
        """Whether the connection goes on."""
        mode, *words = self.mode
        whole = self.response(200, BODY)
        match mode:
            case "status":
                whole = self.response(int(words[0]), b"trouble")
            case "delay":
                await asyncio.sleep(float(words[0]))
            case "hang" | "deaf":
                await asyncio.sleep(3600)
            case "garbage":
                writer.write(b"\x16\x03\x01 this is not HTTP at all \x00\xff\r\n\r\n" * 3)
                await writer.drain()
                return True
            case "reset" | "cut":
                writer.write(whole[: int(words[0])])
                with contextlib.suppress(ConnectionError):
                    await writer.drain()
                if mode == "reset":
                    reset(writer)
                return False
            case "drip":
                for byte in whole:
                    writer.write(bytes([byte]))
                    await asyncio.sleep(float(words[0]))
                return True
            case "flap":
                if int(time.monotonic() / float(words[0])) % 2:
                    whole = self.response(503, b"trouble")
            case "stranger":
                whole = self.response(200, b"welcome to something else")
        writer.write(whole)
        await writer.drain()
        return mode != "hasty"

    def counted(self) -> str:
        return json.dumps({"requests": self.requests, "probes": self.probes, "connections": len(self.open)})


def reset(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    writer.transport.abort()


async def main(address: str, name: str) -> None:
    server = Server(address, name)
    await server.listen()
    print("ready", flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        words = line.split()
        if words != ["count"]:
            await server.become(words)
        print(server.counted(), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
