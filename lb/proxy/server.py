"""ServerConnection: HTTP/1 on the server's side, one asyncio protocol object per connection.

Lives here: reading responses, and telling the exchange what came. Must not live here: what is done with it
(lb.proxy.exchange), when a connection is kept (lb.upstream.pool), grammar (lb.http1).

States: OPENING → READY (no response awaited) → HEAD → BODY → READY …; TUNNEL; CLOSED. A byte that comes in
READY was not asked for: the connection cannot be trusted any more and is closed.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Any

import cython

from lb.http1.body import BodyReader
from lb.http1.response import read_response
from lb.outcomes import Outcome
from lb.proxy.core import Core
from lb.proxy.exchange import Exchange
from lb.proxy.sides import ServerSide
from lb.proxy.writer import Writer
from lb.upstream.pool import IDLE, Pool
from lb.upstream.server import Server

OPENING: cython.int = 0
READY: cython.int = 1
HEAD: cython.int = 2
BODY: cython.int = 3
TUNNEL: cython.int = 4
CLOSED: cython.int = 5
_STATES = ("opening", "ready", "head", "body", "tunnel", "closed")

# BodyReader kinds
_NONE: cython.int = 0
_LENGTH: cython.int = 1
_CHUNKED: cython.int = 2
_CLOSE: cython.int = 3

_IDLE: cython.int = IDLE
_BUSY: cython.int = 1

CONNECT_FAILED: cython.int = int(Outcome.CONNECT_FAILED)
SERVER_RESET: cython.int = int(Outcome.SERVER_RESET)
SEND_FAILED: cython.int = int(Outcome.SEND_FAILED)
SERVER_BAD_RESPONSE: cython.int = int(Outcome.SERVER_BAD_RESPONSE)
SERVER_BROKE_OFF: cython.int = int(Outcome.SERVER_BROKE_OFF)

_MOST_HEAD: cython.Py_ssize_t = 64 * 1024
_MOST_FIELDS: cython.int = 256
# 1xx responses before the final one; an endless row of them is an attack or a bug.
_MOST_INTERIM: cython.int = 32


@cython.cclass
class ServerConnection(ServerSide):
    """`transport` is None only while OPENING, and then when the opening failed."""

    core: Core
    transport: asyncio.Transport
    out: Writer
    task: asyncio.Task[Any] | None  # the one that connects
    reader: BodyReader
    phase: cython.int
    buf: bytes
    interim: cython.int
    no_body: cython.bint
    held: cython.bint
    unsent: cython.bint  # no byte of the request went out

    def __init__(self, core: Core, pool: Pool) -> None:
        ServerSide.__init__(self, pool)
        self.core = core
        self.transport = None  # type: ignore[assignment]
        self.task = None
        self.reader = BodyReader()
        self.phase = OPENING
        self.buf = b""
        self.interim = 0
        self.no_body = self.held = self.unsent = False

    def __repr__(self) -> str:
        return f"<ServerConnection {self.pool.address} {_STATES[self.phase]} served={self.served}>"

    # ------------------------------------------------------------------------------ asyncio.Protocol

    def connection_made(self, transport: asyncio.Transport) -> None:
        exchange: Exchange | None = self.exchange
        self.transport = transport
        self.out = Writer(transport)
        if self.phase == CLOSED or exchange is None:
            self.phase = CLOSED
            transport.abort()
            return
        self.phase = READY
        # up to a tenth of max_age older: connections that were opened together do not end together
        self.born = monotonic() - self.pool.max_age * 0.1 * self.core.rng.random()
        self.state = _BUSY
        exchange.connected(self)

    def connect_failed(self) -> None:
        """There will be no connection."""
        exchange: Exchange | None = self.exchange
        self.phase = CLOSED
        if exchange is not None:
            exchange.server_failed(CONNECT_FAILED, False)

    def data_received(self, data: bytes) -> None:
        exchange: Exchange | None = self.exchange
        if exchange is None:
            self.close()
        elif self.phase == BODY:
            self._read_body(exchange, data)
        elif self.phase == HEAD:
            self._read_head(exchange, data)
        elif self.phase == TUNNEL:
            exchange.tunnel_from_server(data, False)
        else:
            self.close()

    def eof_received(self) -> bool:
        exchange: Exchange | None = self.exchange
        if exchange is None:
            self.close()
            return False
        if self.phase == TUNNEL:
            exchange.tunnel_from_server(b"", True)
            return self.phase == TUNNEL
        if self.phase == BODY and self.reader.kind == _CLOSE:
            self.phase = READY
            self.reusable = False
            exchange.got_body(b"", True, b"")
        return False

    def connection_lost(self, error: Exception | None) -> None:
        exchange: Exchange | None = self.exchange
        phase: cython.int = self.phase
        self.phase = CLOSED
        self.pool.drop(self)
        if exchange is None:
            return
        if self.unsent:
            exchange.sent = 0
            exchange.server_failed(SEND_FAILED, self.served > 1)
        elif phase == HEAD:
            exchange.server_failed(SERVER_RESET, self.served > 1 and not self.buf and not self.interim)
        else:
            exchange.server_failed(SERVER_BROKE_OFF, False)

    def pause_writing(self) -> None:
        if self.exchange is not None:
            exchange: Exchange = self.exchange
            exchange.server_full()

    def resume_writing(self) -> None:
        if self.exchange is not None:
            exchange: Exchange = self.exchange
            exchange.server_ready()

    # ------------------------------------------------------------------------------------ ServerSide

    @cython.ccall
    def start(self, exchange: object, out: bytes, no_body: cython.bint) -> object:
        self.exchange = exchange
        self.no_body = no_body
        self.reusable = False
        self.phase = HEAD
        self.buf = b""
        self.interim = 0
        self.served += 1
        self.out.write(out)
        self.unsent = self.out.broken
        return None

    @cython.ccall
    def send(self, data: bytes) -> object:
        if self.phase != CLOSED:
            self.out.write(data)
        return None

    @cython.ccall
    def end_tunnel(self) -> object:
        if self.phase != CLOSED and self.transport.can_write_eof():
            self.transport.write_eof()
        return None

    @cython.ccall
    def hold(self) -> object:
        if not self.held and self.transport is not None and self.phase != CLOSED:
            self.held = True
            self.transport.pause_reading()
        return None

    @cython.ccall
    def let_go(self) -> object:
        if self.held:
            self.held = False
            if self.phase != CLOSED:
                self.transport.resume_reading()
        return None

    @cython.ccall
    def close(self) -> object:
        """Close at once: what the server did not take yet has nobody left who wants it. A tunnel's last bytes
        still go out."""
        phase: cython.int = self.phase
        self.pool.drop(self)
        if phase != CLOSED:
            self.phase = CLOSED
            if phase == TUNNEL:
                self.transport.close()
            elif self.transport is not None:
                self.transport.abort()
            elif self.task is not None:
                self.task.cancel()
        return None

    # ------------------------------------------------------------------------------------ responses

    @cython.cfunc
    def _read_head(self, exchange: Exchange, data: bytes) -> object:
        reader: BodyReader = self.reader
        at: cython.Py_ssize_t = 0
        end: cython.Py_ssize_t
        scanned: cython.Py_ssize_t = 0
        status: cython.int
        kind: cython.int
        if self.buf:
            scanned = len(self.buf)
            data = self.buf + data
        while True:
            end = read_response(data, at, scanned, exchange.response, _MOST_HEAD, _MOST_FIELDS)
            if end == 0:
                self.buf = data[at:]
                return None
            if end < 0:
                exchange.server_failed(SERVER_BAD_RESPONSE, False)
                return None
            status = exchange.response.status
            if status >= 200:
                break
            if status == 101:
                self._switch(exchange, data, end)
                return None
            self.interim += 1
            if self.interim > _MOST_INTERIM:
                exchange.server_failed(SERVER_BAD_RESPONSE, False)
                return None
            exchange.got_interim()
            at = end
            scanned = 0
            if at == len(data):
                self.buf = b""
                return None
        if self.no_body or status == 204 or status == 304:
            kind = _NONE
        elif exchange.response.chunked:
            kind = _CHUNKED
        elif exchange.response.content_length >= 0:
            kind = _LENGTH
        else:
            kind = _CLOSE
        reader.begin(kind, exchange.response.content_length)
        self.phase = BODY
        self.buf = b""
        if end < len(data) and kind != _NONE and not reader.done:
            end = reader.read(data, end)
            if end < 0:
                exchange.server_failed(SERVER_BAD_RESPONSE, False)
                return None
        if reader.done:
            self.phase = READY
            self.reusable = self._clean(exchange, end == len(data))
        exchange.got_response(reader.let_go(), reader.done, reader.trailers)
        return None

    @cython.cfunc
    def _read_body(self, exchange: Exchange, data: bytes) -> object:
        reader: BodyReader = self.reader
        at: cython.Py_ssize_t = reader.read(data, 0)
        if at < 0:
            exchange.server_failed(SERVER_BAD_RESPONSE, False)
            return None
        if reader.done:
            self.phase = READY
            self.reusable = self._clean(exchange, at == len(data))
        if reader.piece or reader.done:
            exchange.got_body(reader.let_go(), reader.done, reader.trailers)
        return None

    @cython.cfunc
    def _clean(self, exchange: Exchange, exact: cython.bint) -> cython.bint:
        """Whether the connection is as good as new after a complete response: bytes behind it were not asked
        for, and a request that the server did not take whole is still on its way."""
        return exact and exchange.response.keep_alive and not self.out.pending()

    @cython.cfunc
    def _switch(self, exchange: Exchange, data: bytes, end: cython.Py_ssize_t) -> object:
        """101: only where the client asked for it, and to what it asked for (RFC 9110 7.8)."""
        if not exchange.head.upgrade or exchange.response.upgrade not in exchange.head.upgrade.split(b", "):
            exchange.server_failed(SERVER_BAD_RESPONSE, False)
            return None
        self.phase = TUNNEL
        exchange.got_tunnel()
        if end < len(data) and self.exchange is exchange:
            exchange.tunnel_from_server(data[end:], False)
        return None


async def connect(connection: ServerConnection, server: Server) -> None:
    """Open a connection to the server's address; the connection then tells its exchange. Runs as a task of
    its own, once a connection, never once a request."""
    loop = asyncio.get_running_loop()
    address = connection.pool.address
    protocol: Any = connection  # a cdef class cannot inherit asyncio.Protocol
    try:
        if address.startswith("unix:"):
            await loop.create_unix_connection(lambda: protocol, address[5:])
        else:
            host, _, port = address.rpartition(":")
            await loop.create_connection(lambda: protocol, host.strip("[]"), int(port))
    except (OSError, UnicodeError):  # UnicodeError: a name that cannot be put into DNS
        connection.connect_failed()
