"""Attempts: the part of an Exchange that gets the request to a Server, and to another one after a failure.

Lives here: choosing, queueing, connecting, sending, giving up a connection. Must not live here: whether to
try again (lb.proxy.retry), counting (lb.proxy.account), the response (lb.proxy.exchange).
"""

from __future__ import annotations

from time import monotonic

import cython

from lb.decisions import Select
from lb.outcomes import Outcome
from lb.proxy.account import close_attempt, open_attempt, record_pick
from lb.proxy.core import TICK
from lb.proxy.heads import request_head
from lb.proxy.retry import may_retry
from lb.proxy.sides import ServerSide
from lb.proxy.state import ExchangeState
from lb.upstream.server import Server

QUEUED: cython.int = 1
CONNECTING: cython.int = 2
WAITING: cython.int = 3
STREAMING: cython.int = 4
TUNNEL: cython.int = 5

INTERNAL: cython.int = int(Outcome.INTERNAL)
NO_SERVER: cython.int = int(Outcome.NO_SERVER)
QUEUE_FULL: cython.int = int(Outcome.QUEUE_FULL)
SERVER_BROKE_OFF: cython.int = int(Outcome.SERVER_BROKE_OFF)
PANIC: cython.int = int(Select.PANIC)  # from this reason on picks are counted

# Why reading from the client is held: bits for ClientSide.hold. The server takes no more for now; there is no
# server connection yet, and enough of the body is kept.
HOLD_SERVER: cython.int = 1
HOLD_PENDING: cython.int = 2
# How much of a request body is kept so that it can be sent again.
REPLAY: cython.Py_ssize_t = 64 * 1024
_TICK: cython.double = TICK


@cython.cclass
class Attempts(ExchangeState):
    @cython.ccall
    def fail(self, outcome: cython.int) -> object:
        """End the exchange with an outcome."""
        raise NotImplementedError

    @cython.cfunc
    def _attempt(self, fresh: cython.bint) -> object:
        """Choose a Server and get a connection to it; `fresh`: the same one again, on a new connection."""
        server: Server
        if not fresh:
            try:
                self.server = self.service.select(self.key, self.tried, self.token)  # type: ignore[assignment]
            except Exception as error:  # an algorithm of the operator's own may raise anything
                self.core.report(error)
                self.fail(INTERNAL)
                return None
            self.reason = self.service.reason
            if self.reason >= PANIC:
                record_pick(self)
            if self.server is None:
                self.fail(NO_SERVER)
                return None
        server = self.server
        self.attempt_began = monotonic() if self.retries or fresh else self.began
        self.sent = self.received = 0
        self.first_byte = -1.0
        open_attempt(self)
        if server.full():
            if not server.enter(self):
                self.server_failed(QUEUE_FULL, False)
                return None
            self.phase = QUEUED
            self.deadline = self.core.now + server.queue_timeout + _TICK
            return None
        self._occupy(server, fresh)
        return None

    @cython.cfunc
    def _occupy(self, server: Server, fresh: cython.bint) -> object:
        """Get a connection to the Server, which has room; `fresh`: not one that has served."""
        side: ServerSide | None = None
        self.occupying = True
        server.occupy()
        if not fresh:
            side = server.pool.take()
        if side is None:
            self._connect()
        else:
            self._send(side)
        return None

    @cython.cfunc
    def _connect(self) -> object:
        self.phase = CONNECTING
        self.deadline = self.core.now + self.rules.connect + _TICK if self.rules.connect > 0 else 0.0
        self.side = self.core.open(self.server, self)
        return None

    @cython.ccall
    def leave_queue(self) -> object:
        """It is this exchange's turn: the Server has room. Called after `vacate` took it off the queue."""
        self.queue_took = monotonic() - self.attempt_began
        self._occupy(self.server, False)
        return None

    @cython.ccall
    def connected(self, side: ServerSide) -> object:
        """The connection that this exchange asked for is open."""
        self.connect_took = monotonic() - self.attempt_began
        self._send(side)
        return None

    @cython.cfunc
    def _send(self, side: ServerSide) -> object:
        out: bytes
        if self.rules.route.request_edits is not None:
            self.core.variables.fill(self.head, self.source, self.client.scheme, self.request_id)
        out = request_head(self.core, self.head, self.rules, self.client, self.server, self.request_id)
        self.side = side
        self.phase = WAITING
        self.touched = self.core.now
        if self.body:
            out += b"".join(self.body)
            if self.body_size > REPLAY:
                self.replayable = False
                self.body = []
        self.sent = len(out)
        self.deadline = 0.0
        if self.request_ended:
            self._await_response()
        else:
            self.client.let_go(HOLD_PENDING)
        side.start(self, out, self.head.method == b"HEAD")
        return None

    @cython.cfunc
    def _await_response(self) -> object:
        self.deadline = self.core.now + self.rules.response + _TICK if self.rules.response > 0 else 0.0
        return None

    @cython.ccall
    def server_failed(self, outcome: cython.int, reused: cython.bint) -> object:
        """The attempt failed. `reused`: the connection had served before and died before any byte of a
        response, so that the request was most likely never seen (RFC 9112 9.3.1)."""
        if self.phase == STREAMING or self.phase == TUNNEL:
            self.fail(SERVER_BROKE_OFF)
        elif may_retry(self, outcome, reused):
            self._try_again(outcome, reused)
        else:
            self.fail(outcome)
        return None

    @cython.cfunc
    def _try_again(self, outcome: cython.int, fresh: cython.bint) -> object:
        if not fresh:
            # before the attempt is closed, which is then recorded as one of several
            self.retries += 1
        self._drop_side(outcome)
        self.client.let_go(HOLD_SERVER)
        if fresh:
            # not a retry in the operator's sense: the server never saw the request
            self._attempt(True)
            return None
        if self.server not in self.tried:
            self.tried.append(self.server)
        self._attempt(False)
        return None

    @cython.cfunc
    def _drop_side(self, outcome: cython.int) -> object:
        """The attempt is over and its connection, where it has one, cannot be used again."""
        side: ServerSide | None = self.side
        if not self.attempting:
            return None
        close_attempt(self, outcome)
        self.side = None  # type: ignore[assignment]
        if self.phase == QUEUED:
            self.server.leave(self)
        if side is not None:
            side.exchange = None
            side.close()
        if self.occupying:
            self._vacate(self.server)
        return None

    @cython.cfunc
    def _vacate(self, server: Server) -> object:
        following: Attempts | None
        self.occupying = False
        following = server.vacate()
        if following is not None:
            following.leave_queue()
        return None
