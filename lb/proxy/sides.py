"""The two narrow interfaces of an Exchange: the side of the client and the side of the server.

Codec and connection are behind them, the Exchange before them. A client connection may carry several
exchanges at a time (HTTP/2), so an Exchange never asks for the connection, only for its own side of it.
Must not live here: bytes of HTTP, decisions.
"""

from __future__ import annotations

from typing import Any

import cython

from lb.message import Client, ResponseHead
from lb.proxy.rules import ListenerRules
from lb.upstream.pool import Connection, Pool


@cython.cclass
class ClientSide:
    """What an Exchange may ask of the connection that its request came by. All calls are synchronous and
    never raise; what is sent after the client went away is dropped."""

    client: Client
    rules: ListenerRules
    scheme: bytes
    trusted: cython.bint  # whether the claims of this connection's address are believed
    own_lines: bytes  # the forwarding lines that are the same for all its requests

    @cython.ccall
    def respond(self, head: ResponseHead, piece: bytes, last: cython.bint) -> object:
        """Send the response head with the first bytes of the body."""
        raise NotImplementedError

    @cython.ccall
    def respond_interim(self, head: ResponseHead) -> object:
        """Send a 1xx response, where the client's version allows it."""
        raise NotImplementedError

    @cython.ccall
    def respond_self(self, status: cython.int, lines: bytes, body: bytes, close: cython.bint) -> object:
        """Send an answer of lb's own: finished field lines without framing, and the whole body."""
        raise NotImplementedError

    @cython.ccall
    def send(self, piece: bytes, last: cython.bint, trailers: bytes) -> object:
        """Send further bytes of the body; `last` ends it."""
        raise NotImplementedError

    @cython.ccall
    def open_tunnel(self, head: ResponseHead) -> object:
        """Send the 101 response; from now on bytes go to the exchange as they come."""
        raise NotImplementedError

    @cython.ccall
    def send_raw(self, data: bytes, ended: cython.bint) -> object:
        """Send bytes of a tunnel; `ended`: the server sends no more."""
        raise NotImplementedError

    @cython.ccall
    def break_off(self) -> object:
        """End a response that cannot be completed so that the client sees that it is not complete."""
        raise NotImplementedError

    @cython.ccall
    def hold(self, why: cython.int) -> object:
        """Stop reading from the client for reason `why` (a bit)."""
        raise NotImplementedError

    @cython.ccall
    def let_go(self, why: cython.int) -> object:
        """Reason `why` to stop reading is gone."""
        raise NotImplementedError

    @cython.ccall
    def held(self) -> cython.bint:
        """Whether reading from the client is held."""
        raise NotImplementedError

    @cython.ccall
    def blocked(self) -> cython.bint:
        """Whether the client takes no more bytes for now."""
        raise NotImplementedError

    @cython.ccall
    def done(self) -> object:
        """The exchange is over: read the next request, or close."""
        raise NotImplementedError


@cython.cclass
class ServerSide(Connection):
    """What an Exchange may ask of the server connection that it has been given. `reusable` is valid when the
    response is complete: whether the connection can carry another exchange."""

    exchange: Any  # the Exchange, which itself needs this class; None between exchanges
    reusable: cython.bint

    def __init__(self, pool: Pool) -> None:
        Connection.__init__(self, pool)
        self.exchange = None
        self.reusable = False

    @cython.ccall
    def start(self, exchange: object, out: bytes, no_body: cython.bint) -> object:
        """Send a request head with the first bytes of its body; `no_body`: the response has none (HEAD)."""
        raise NotImplementedError

    @cython.ccall
    def send(self, data: bytes) -> object:
        """Send framed bytes of the request body, or bytes of a tunnel."""
        raise NotImplementedError

    @cython.ccall
    def end_tunnel(self) -> object:
        """The client sends no more through the tunnel."""
        raise NotImplementedError

    @cython.ccall
    def hold(self) -> object:
        """Stop reading from the server: the client takes no more."""
        raise NotImplementedError

    @cython.ccall
    def let_go(self) -> object:
        raise NotImplementedError
