"""Servers with health checks that see which node asks, and can refuse a single one.

They listen on UNIX sockets, which tell whose process connects: so one can refuse a node, as a network does that
is broken for one machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import struct
import tempfile
import threading
from collections import Counter
from functools import partial


class Servers:
    """`probes`: by node and address. `pids`: whose node a process is. `refused`: nodes whose connections break
    off. `close` makes servers refuse all."""

    def __init__(self, count: int) -> None:
        self.pids: dict[int, str] = {}
        self.refused: set[str] = set()
        self.probes: Counter[tuple[str, str]] = Counter()
        self._folder = tempfile.mkdtemp(prefix="lb-")  # a short path
        self._loop = asyncio.new_event_loop()
        self._listening: dict[str, asyncio.Server] = {}
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        for at in range(count):
            address = f"unix:{self._folder}/{at}"
            serve = partial(self._serve, address)
            self._listening[address] = self._run(asyncio.start_unix_server(serve, address[5:]))
        self.addresses = list(self._listening)

    @property
    def listening(self) -> list[str]:
        return list(self._listening)

    def close(self, *addresses: str) -> None:
        async def work():
            for address in addresses:
                self._listening.pop(address).close()

        self._run(work())

    def end(self) -> None:
        self.close(*self.listening)
        self._loop.call_soon_threadsafe(self._loop.stop)
        shutil.rmtree(self._folder)

    def _run(self, work):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _serve(self, address, reader, writer) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            node = self._node(writer.get_extra_info("socket"))
            self.probes[node, address] += b"/healthz" in head
            if node in self.refused:
                writer.transport.abort()
            else:
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                await writer.drain()
        writer.close()

    def _node(self, client: socket.socket) -> str:
        """Whose socket it is, "" for none of the control processes."""
        pid, _, _ = struct.unpack("3i", client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        return self.pids.get(pid, "")
