"""A wire between an engine and its server that can be cut, lose what comes back, or be late."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time


class Wire:
    """Forwards 127.0.0.1:`port` to 127.0.0.1:`server`."""

    def __init__(self, server: int, tls: ssl.SSLContext | None = None) -> None:
        self.server = server
        self.tls = tls  # spoken with the engine, not with the server
        self.port = 0
        self.deaf = False  # requests arrive, answers do not
        self.deaf_after = b""  # become deaf as soon as a request has this in it
        self.cut = False  # connections end, new ones too
        self.late_until = 0.0  # time.monotonic(): what is sent before, either way, arrives then
        self.harmed = 0  # connections refused, answers lost, pieces that came late
        self.heard = bytearray()  # all that was sent to the server
        self._ends: set[asyncio.StreamWriter] = set()

    async def start(self) -> Wire:
        self._listening = await asyncio.start_server(self._accept, "127.0.0.1", self.port, ssl=self.tls)
        self.port = self._listening.sockets[0].getsockname()[1]
        return self

    async def stop(self) -> None:
        self._listening.close()
        self.hang_up()

    def hang_up(self) -> None:
        """End all connections."""
        for end in self._ends:
            end.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # asyncio prints what a handler raises, its end with the loop among it
        with contextlib.suppress(asyncio.CancelledError):
            await self._carry(reader, writer)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.cut:
            self.harmed += 1
            writer.close()
            return
        try:
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self.server)
        except OSError:
            writer.close()
            return
        both = (writer, server_writer)
        if self.cut:  # meanwhile
            self.harmed += 1
            for end in both:
                end.close()
            return
        self._ends.update(both)
        tasks = [
            asyncio.create_task(self._pump(reader, server_writer, True)),
            asyncio.create_task(self._pump(server_reader, writer, False)),
        ]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for end in both:
            end.close()
        self._ends.difference_update(both)
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, out: bool) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(65536):
                if out:
                    self.heard += piece
                    if self.deaf_after and self.deaf_after in piece:
                        self.deaf = True
                if (left := self.late_until - time.monotonic()) > 0:
                    self.harmed += 1
                    await asyncio.sleep(left)
                if self.deaf and not out:
                    self.harmed += 1
                    continue
                writer.write(piece)
                await writer.drain()
