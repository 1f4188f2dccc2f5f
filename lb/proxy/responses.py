"""Responses on an HTTP/1 client connection: putting framing on, and flow control.

Lives here: the writing half of lb.proxy.client. Must not live here: reading requests, keep-alive across
requests, closing.
"""

from __future__ import annotations

import asyncio
import socket
import struct

import cython

from lb.http1.serialize import chunk, last_chunk, status_line
from lb.message import ResponseHead
from lb.proxy.core import Core
from lb.proxy.debug import lines as debug_lines
from lb.proxy.exchange import Exchange
from lb.proxy.heads import response_head
from lb.proxy.sides import ClientSide
from lb.proxy.writer import Writer
from lb.telemetry import layout
from lb.telemetry.decision import Kept

CLOSED: cython.int = 5  # as in lb.proxy.client
DATE: cython.int = 18
DEBUG: cython.int = int(Kept.DEBUG)
# From this size on a vectored write costs less than copying the piece behind the head.
_WORTH_TWO: cython.Py_ssize_t = 16 * 1024
BYTES_OUT: cython.int = layout.LISTENER_BYTES_OUT
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: on, 0 s


@cython.cclass
class ResponseWriter(ClientSide):
    """`state` is the connection's (lb.proxy.client); the fields after it belong to one response. `transport`
    is None until the connection is made, `exchange` between exchanges; `state` says so, not the type."""

    core: Core
    transport: asyncio.Transport
    out: Writer
    exchange: Exchange
    state: cython.int
    holds: cython.int
    write_paused: cython.bint
    keep: cython.bint
    out_chunked: cython.bint
    out_until_close: cython.bint
    no_body: cython.bint

    @cython.cfunc
    def _write(self, data: bytes) -> object:
        if self.state != CLOSED:
            self.core.cells.add(self.rules.slot + BYTES_OUT, len(data))
            self.out.write(data)
        return None

    @cython.ccall
    def respond(self, head: ResponseHead, piece: bytes, last: cython.bint) -> object:
        exchange: Exchange = self.exchange
        minor: cython.int = exchange.head.minor
        length: cython.bint = head.content_length >= 0 and not head.chunked
        ours: bytes = b""
        out: bytes
        if head.status == 204:
            length = False
            self.no_body = True
        elif head.status == 304:
            self.no_body = True
        self.out_chunked = not self.no_body and not length and minor >= 1
        self.out_until_close = not self.no_body and not length and minor == 0
        if self.keep and (
            self.out_until_close or self.core.draining or (last and not exchange.request_ended)
        ):
            self.keep = False
        if self.out_chunked:
            ours = b"Transfer-Encoding: chunked\r\n"
        if not self.keep:
            ours += b"Connection: close\r\n"
        elif minor == 0:
            ours += b"Connection: keep-alive\r\n"
        if not head.seen & (1 << DATE):
            # RFC 9110 6.6.1: a recipient with a clock adds it
            ours += self.core.date
        if exchange.service.sticky is not None:
            ours += exchange.service.sticky.line(exchange.server, exchange.token)
        if exchange.keep & DEBUG:
            ours += debug_lines(exchange)
        out = response_head(self.core, head, exchange.rules, ours, length)
        if self.out_chunked:
            if last:
                out = b"".join((out, chunk(piece), last_chunk(b"")))
            else:
                out += chunk(piece)
        elif len(piece) >= _WORTH_TWO:
            if self.state != CLOSED:
                self.core.cells.add(self.rules.slot + BYTES_OUT, len(out) + len(piece))
                self.out.write_both(out, piece)
            return None
        elif piece:
            out += piece
        self._write(out)
        return None

    @cython.ccall
    def respond_interim(self, head: ResponseHead) -> object:
        # RFC 9110 15.2: never to an HTTP/1.0 client
        if self.exchange.head.minor >= 1:
            self._write(response_head(self.core, head, None, b"", False))
        return None

    @cython.ccall
    def respond_self(self, status: cython.int, lines: bytes, body: bytes, close: cython.bint) -> object:
        parts: list[bytes] = [status_line(status), self.core.date, lines]
        if status != 204 and status != 304:
            parts.append(b"Content-Length: %d\r\n" % len(body))
        if close or self.core.draining:
            self.keep = False
        if not self.keep:
            parts.append(b"Connection: close\r\n")
        elif self.exchange is not None and self.exchange.head.minor == 0:
            parts.append(b"Connection: keep-alive\r\n")
        if self.exchange is not None and self.exchange.keep & DEBUG:
            parts.append(debug_lines(self.exchange))
        parts.append(b"\r\n")
        if not self.no_body:
            parts.append(body)
        self._write(b"".join(parts))
        return None

    @cython.ccall
    def send(self, piece: bytes, last: cython.bint, trailers: bytes) -> object:
        if self.out_chunked:
            piece = chunk(piece) + last_chunk(trailers) if last else chunk(piece)
        if piece and not self.no_body:
            self._write(piece)
        return None

    @cython.ccall
    def send_raw(self, data: bytes, ended: cython.bint) -> object:
        if data:
            self._write(data)
        if ended and self.state != CLOSED and self.transport.can_write_eof():
            self.transport.write_eof()
        return None

    @cython.ccall
    def break_off(self) -> object:
        self.keep = False
        if self.state == CLOSED:
            return None
        if self.out_until_close:
            # an orderly close would look like the end of the body: reset instead
            sock = self.transport.get_extra_info("socket")
            if sock is not None and sock.family != socket.AF_UNIX:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self.transport.abort()
        return None

    @cython.ccall
    def hold(self, why: cython.int) -> object:
        if not self.holds and self.state != CLOSED:
            self.transport.pause_reading()
        self.holds |= why
        return None

    @cython.ccall
    def let_go(self, why: cython.int) -> object:
        if self.holds & why:
            self.holds &= ~why
            if not self.holds and self.state != CLOSED:
                self.transport.resume_reading()
        return None

    @cython.cfunc
    def let_all_go(self) -> object:
        if self.holds:
            self.holds = 0
            self.transport.resume_reading()
        return None

    @cython.ccall
    def held(self) -> cython.bint:
        return self.holds != 0

    @cython.ccall
    def blocked(self) -> cython.bint:
        return self.write_paused
