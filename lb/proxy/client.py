"""ClientConnection: HTTP/1 on the client's side, one asyncio protocol object per connection.

Lives here: reading requests one after another (pipelined ones in order), putting framing on responses,
keep-alive, and closing so that the client sees what happened. Must not live here: what is done with a
request (lb.proxy.exchange), grammar (lb.http1).

States: HEAD (waiting for or reading a request head) → BODY (reading its body) → BUSY (the request is
complete, the response is not) → HEAD …; TUNNEL; LINGER (answered; what still comes is discarded so that
the answer is not lost to a reset); CLOSED.
"""

from __future__ import annotations

import asyncio

import cython

from lb.http1.body import BodyReader
from lb.http1.request import read_request
from lb.message import Client, ResponseHead
from lb.outcomes import Outcome
from lb.proxy.account import record_refusal
from lb.proxy.answers import error_answer
from lb.proxy.core import TICK, Core
from lb.proxy.exchange import Exchange
from lb.proxy.forwarded import own_lines
from lb.proxy.heads import response_head
from lb.proxy.responses import ResponseWriter
from lb.proxy.rules import ListenerRules
from lb.proxy.writer import Writer
from lb.telemetry import layout

HEAD: cython.int = 0
BODY: cython.int = 1
BUSY: cython.int = 2
TUNNEL: cython.int = 3
LINGER: cython.int = 4
CLOSED: cython.int = 5
_STATES = ("head", "body", "busy", "tunnel", "linger", "closed")

# BodyReader kinds
_LENGTH: cython.int = 1
_CHUNKED: cython.int = 2

BAD_BODY: cython.int = int(Outcome.BAD_BODY)
HEAD_TIMEOUT: cython.int = int(Outcome.HEAD_TIMEOUT)
TOO_MANY_CONNECTIONS: cython.int = int(Outcome.TOO_MANY_CONNECTIONS)

HOLD_PIPELINE: cython.int = 4
HOLD_AGED: cython.int = 8
_TICK: cython.double = TICK
# Bytes of pipelined requests that are kept while a response is under way.
_MOST_PIPELINED: cython.Py_ssize_t = 64 * 1024
# How long is read and discarded after an answer that ends the connection: without a byte, and in all.
_LINGER: cython.double = 2.0
_LINGER_IN_ALL: cython.double = 30.0
# How long a connection without a request may go on when the worker drains: the next request of a busy client
# may be on its way already, and is answered with `Connection: close` rather than by a reset.
_LAST_REQUEST: cython.double = 1.0
# How long a closing connection may take to get its last bytes out.
_FLUSH: cython.double = 30.0

CONNECTIONS: cython.int = layout.LISTENER_CONNECTIONS
ACCEPTED: cython.int = layout.LISTENER_ACCEPTED
REJECTED: cython.int = layout.LISTENER_REJECTED
BYTES_IN: cython.int = layout.LISTENER_BYTES_IN
TUNNELS: cython.int = layout.LISTENER_TUNNELS


@cython.cclass
class ClientConnection(ResponseWriter):
    clients: set[ClientConnection]
    reader: BodyReader | None
    generation: cython.longlong
    buf: bytes
    scanned: cython.Py_ssize_t
    deadline: cython.double
    old_at: cython.double  # when max_age is over; 0: never
    looping: cython.bint
    linger_end: cython.double

    def __init__(
        self, core: Core, clients: set[ClientConnection], rules: ListenerRules, scheme: bytes
    ) -> None:
        self.core = core
        self.clients = clients
        self.rules = rules
        self.scheme = scheme
        self.client = Client("", rules.name)
        self.trusted = False
        self.own_lines = b""
        self.transport = None  # type: ignore[assignment]
        self.exchange = None  # type: ignore[assignment]
        self.reader = None
        self.state = HEAD
        self.generation = 0
        self.buf = b""
        self.scanned = 0
        self.deadline = self.old_at = 0.0
        self.holds = 0
        self.write_paused = self.looping = False
        self.linger_end = 0.0
        self.keep = True
        self.out_chunked = self.out_until_close = self.no_body = False

    def __repr__(self) -> str:
        return f"<ClientConnection {self.client.address} {_STATES[self.state]} {self.exchange!r}>"

    def connection_made(self, transport: asyncio.Transport) -> None:
        cells = self.core.cells
        slot: cython.Py_ssize_t = self.rules.slot
        self.transport = transport
        self.out = Writer(transport)
        self.clients.add(self)
        cells.add(slot + CONNECTIONS, 1)
        cells.add(slot + ACCEPTED, 1)
        peername = transport.get_extra_info("peername")
        address = peername[0] if isinstance(peername, tuple) else ""
        if address.startswith("::ffff:"):
            address = address[7:]
        self.client = Client(address, self.rules.name)
        self._follow()
        self.deadline = self.core.now + self.rules.header_timeout + _TICK
        if self.rules.max_age > 0:
            # up to a tenth less, so that those who came together do not leave together
            self.old_at = self.core.now + self.rules.max_age * (1.0 - 0.1 * self.core.rng.random())
        if self.core.cells.get(slot + CONNECTIONS) > self.rules.max_connections:
            cells.add(slot + REJECTED, 1)
            self.refuse(TOO_MANY_CONNECTIONS)

    def data_received(self, data: bytes) -> None:
        exchange: Exchange = self.exchange
        self.core.cells.add(self.rules.slot + BYTES_IN, len(data))
        if self.state == HEAD:
            if self.buf:
                data = self.buf + data
            if self.write_paused:
                self.buf = data
                self.hold(HOLD_PIPELINE)
            else:
                self._read_head(data)
        elif self.state == BODY:
            self._read_body(data)
        elif self.state == TUNNEL:
            exchange.tunnel_from_client(data, False)
        elif self.state == BUSY:
            self.buf += data
            if len(self.buf) > _MOST_PIPELINED:
                self.hold(HOLD_PIPELINE)
        elif self.state == LINGER:
            # it still sends: give it time to come to reading the answer
            self.deadline = min(self.core.now + _LINGER, self.linger_end)

    def eof_received(self) -> bool:
        """The client sends no more. A tunnel lives on in one direction; anything else is cancelled."""
        if self.state == TUNNEL and self.exchange is not None:
            self.exchange.tunnel_from_client(b"", True)
            return self.state == TUNNEL
        return False

    def connection_lost(self, error: Exception | None) -> None:
        exchange: Exchange | None = self.exchange
        slot: cython.Py_ssize_t = self.rules.slot
        if self.state == TUNNEL:
            self.core.cells.add(slot + TUNNELS, -1)
        self.state = CLOSED
        self.exchange = None  # type: ignore[assignment]
        self.buf = b""
        self.clients.discard(self)
        self.core.cells.add(slot + CONNECTIONS, -1)
        if exchange is not None:
            exchange.client_gone()

    def pause_writing(self) -> None:
        self.write_paused = True
        if self.exchange is not None:
            self.exchange.client_full()

    def resume_writing(self) -> None:
        self.write_paused = False
        if self.exchange is not None:
            self.exchange.client_ready()
        elif self.state == HEAD:
            self._next()

    @cython.cfunc
    def _follow(self) -> object:
        """Take over the listener's rules of the generation in force; its address and slot stay."""
        rules: ListenerRules | None = self.core.listeners.get(self.rules.name)
        if rules is not None:
            self.rules = rules
        self.generation = self.core.generation
        self.trusted = rules is not None and rules.trusts(self.client.address)
        self.own_lines = own_lines(self.rules, self.client.address, self.scheme)
        return None

    @cython.cfunc
    def _read_head(self, data: bytes) -> object:
        """Read requests from `data` until one needs more bytes or waits for its response."""
        exchange: Exchange
        at: cython.Py_ssize_t
        if self.looping:
            return None
        self.looping = True
        while True:
            exchange = self.core.spare.pop() if self.core.spare else Exchange(self.core)
            if self.generation != self.core.generation:
                self._follow()
            at = read_request(
                data, 0, self.scanned, exchange.head, self.rules.max_header_bytes, self.rules.max_headers
            )
            if at <= 0:
                self.core.spare.append(exchange)
                if at < 0:
                    self.buf = b""
                    self.refuse(-at)
                else:
                    if not self.buf:
                        self.deadline = self.core.now + self.rules.header_timeout + _TICK
                    self.buf = data
                    self.scanned = len(data)
                break
            self.scanned = 0
            self.deadline = 0.0
            at = self._begin(exchange, data, at)
            if self.state == HEAD and at >= 0 and at < len(data):
                data = data[at:]
                self.buf = b""
                if not self.write_paused:
                    continue
                # answers that nobody takes would pile up: read on in resume_writing
                at = 0
                self.hold(HOLD_PIPELINE)
            if at >= 0 and self.state != CLOSED and self.state != LINGER:
                self.buf = data[at:] if at < len(data) else b""
            break
        self.looping = False
        return None

    @cython.cfunc
    def _begin(self, exchange: Exchange, data: bytes, at: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """Start the exchange whose head was read up to data[at]; where its body, as far as it came, ends,
        or -1 where the connection ends here."""
        reader: BodyReader
        piece: bytes = b""
        last: cython.bint = True
        self.exchange = exchange
        self.keep = exchange.head.keep_alive and not 0 < self.old_at <= self.core.now
        self.no_body = exchange.head.method == b"HEAD"
        self.state = BUSY
        if exchange.head.chunked or exchange.head.content_length > 0:
            if self.reader is None:
                self.reader = BodyReader()
            reader = self.reader
            reader.begin(_CHUNKED if exchange.head.chunked else _LENGTH, exchange.head.content_length)
            at = reader.read(data, at)
            if at < 0:
                self.exchange = None  # type: ignore[assignment]
                self.core.spare.append(exchange)
                self.refuse(BAD_BODY)
                return -1
            piece = reader.let_go()
            last = reader.done
            if not last:
                self.state = BODY
            elif reader.trailers:
                exchange.begin(self, b"", False)
                if self.exchange is exchange:
                    exchange.take_body(piece, True, reader.trailers)
                return at
        exchange.begin(self, piece, last)
        return at

    @cython.cfunc
    def _read_body(self, data: bytes) -> object:
        reader: BodyReader = self.reader  # type: ignore[assignment]  # in BODY there is one
        at: cython.Py_ssize_t = reader.read(data, 0)
        if at < 0:
            self.keep = False
            self.exchange.fail(BAD_BODY)
            return None
        if reader.done:
            self.state = BUSY
            self.buf = data[at:] if at < len(data) else b""
        if reader.piece or reader.done:
            self.exchange.take_body(reader.let_go(), reader.done, reader.trailers)
        return None

    @cython.ccall
    def refuse(self, outcome: cython.int) -> object:
        """Answer a request that is none, and end the connection."""
        status, lines, body = error_answer(outcome, None, b"", self.rules.proxy_status)
        record_refusal(self.core, self.rules, self.client.address, outcome, status)
        self.no_body = False
        self.respond_self(status, lines, body, True)
        self._linger()
        return None

    @cython.ccall
    def open_tunnel(self, head: ResponseHead) -> object:
        ours = b"Connection: upgrade\r\nUpgrade: %b\r\n" % (head.upgrade or self.exchange.head.upgrade)
        if self.exchange.service.sticky is not None:
            ours += self.exchange.service.sticky.line(self.exchange.server, self.exchange.token)
        self._write(response_head(self.core, head, self.exchange.rules, ours, False))
        self.state = TUNNEL
        self.keep = False
        self.core.cells.add(self.rules.slot + TUNNELS, 1)
        if self.buf:
            data = self.buf
            self.buf = b""
            self.let_go(HOLD_PIPELINE)
            self.exchange.tunnel_from_client(data, False)
        return None

    @cython.ccall
    def done(self) -> object:
        ended: cython.bint = self.exchange is None or self.exchange.request_ended
        self.exchange = None  # type: ignore[assignment]
        if self.state == CLOSED:
            return None
        if self.state == TUNNEL:
            self.core.cells.add(self.rules.slot + TUNNELS, -1)
            self.state = BUSY
        if not ended:
            self._linger()
        elif not self.keep or self.core.draining:
            self._close()
        else:
            self.state = HEAD
            self.deadline = self.core.now + self.rules.idle_timeout + _TICK
            if not self.write_paused:
                self._next()
            elif self.buf:
                self.hold(HOLD_PIPELINE)
        return None

    @cython.cfunc
    def _next(self) -> object:
        """Read on: what came already, then what comes."""
        data: bytes
        self.let_all_go()
        if self.buf and not self.looping:
            data = self.buf
            self.buf = b""
            self._read_head(data)
        return None

    @cython.cfunc
    def _close(self) -> object:
        """Close in order, after what was written went out."""
        self.state = LINGER
        self.deadline = self.linger_end = self.core.now + _FLUSH
        self.transport.close()
        return None

    @cython.cfunc
    def _linger(self) -> object:
        """Say that no more comes, and read on for a while: closing with unread bytes would reset the
        connection and could take the answer with it (RFC 9112 9.6)."""
        if self.state == CLOSED:
            return None
        self.state = LINGER
        self.deadline = self.core.now + _LINGER
        self.linger_end = self.core.now + _LINGER_IN_ALL
        self.let_all_go()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        else:
            self.transport.close()
        return None

    @cython.ccall
    def check(self, now: cython.double) -> object:
        """Called by the sweep every TICK."""
        if self.exchange is not None:
            if self.state == TUNNEL and 0 < self.old_at <= now:
                # the server is told that the client sends no more, and what it still says is passed on
                self.old_at = 0.0
                self.hold(HOLD_AGED)
                self.exchange.tunnel_from_client(b"", True)
            else:
                self.exchange.check(now)
        elif 0 < self.deadline <= now:
            if self.state == HEAD and self.buf:
                self.refuse(HEAD_TIMEOUT)
            elif self.state == HEAD:
                self._close()
            elif self.state == LINGER and self.out.pending() and now < self.linger_end:
                self.deadline = now + _LINGER  # a slow client still takes the answer
            elif self.state == LINGER:
                self.transport.abort()
        return None

    @cython.ccall
    def drain(self) -> object:
        """Close after the request that is under way, or soon where none is."""
        self.keep = False
        if self.state == HEAD and not self.buf:
            self.deadline = min(self.deadline, self.core.now + _LAST_REQUEST)
        return None
