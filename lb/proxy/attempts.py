"""Attempts: the part of an Exchange that gets the request to a Server, and to another one after a failure.

Lives here: choosing, queueing, connecting, sending, giving up a connection. Must not live here: whether to
try again (lb.proxy.retry), counting (lb.proxy.account), the response (lb.proxy.exchange).
"""

from __future__ import annotations

from time import monotonic
from typing import Any

import cython

from lb.decisions import Attempt, Select
from lb.outcomes import Outcome
from lb.proxy.account import (
    close_attempt,
    open_attempt,
    record_connect,
    record_over_budget,
    record_pick,
    record_queue,
)
from lb.proxy.core import TICK
from lb.proxy.heads import request_head
from lb.proxy.overload import another
from lb.proxy.retry import free, may_retry, unasked, wait_before
from lb.proxy.sides import ServerSide
from lb.proxy.state import ExchangeState
from lb.proxy.tracing import new_span
from lb.upstream.breaker import Breaker
from lb.upstream.server import Server

QUEUED: cython.int = 1
CONNECTING: cython.int = 2
WAITING: cython.int = 3
STREAMING: cython.int = 4
TUNNEL: cython.int = 5
BACKOFF: cython.int = 7

DONE: cython.int = int(Outcome.DONE)
INTERNAL: cython.int = int(Outcome.INTERNAL)
NO_SERVER: cython.int = int(Outcome.NO_SERVER)
QUEUE_FULL: cython.int = int(Outcome.QUEUE_FULL)
SHED: cython.int = int(Outcome.SHED)
RESPONSE_TIMEOUT: cython.int = int(Outcome.RESPONSE_TIMEOUT)
SERVER_BROKE_OFF: cython.int = int(Outcome.SERVER_BROKE_OFF)
PANIC: cython.int = int(Select.PANIC)  # from this reason on picks are counted

BUDGET: cython.int = int(Attempt.BUDGET)
RETRY_AFTER: cython.int = int(Attempt.RETRY_AFTER)

# Why reading from the client is held: bits for ClientSide.hold. The server takes no more for now; there is no
# server connection yet, and enough of the body is kept.
HOLD_SERVER: cython.int = 1
HOLD_PENDING: cython.int = 2
_TICK: cython.double = TICK
CLOSED: cython.int = 0  # as in lb.upstream.breaker


@cython.cclass
class Attempts(ExchangeState):
    @cython.ccall
    def fail(self, outcome: cython.int) -> object:
        """End the exchange with an outcome."""
        raise NotImplementedError

    @cython.cfunc
    def _attempt(self, fresh: cython.bint) -> object:
        """Choose a Server and get a connection to it; `fresh`: the same one again, on a new connection."""
        if fresh or self._choose():
            self._begin_attempt(fresh)
        return None

    @cython.cfunc
    def _choose(self) -> cython.bint:
        """Choose a Server; False where there is none, and the exchange ended."""
        breaker: Breaker | None = self.service.breaker
        server: Server | None
        shed: cython.bint = False
        if breaker is not None and not breaker.allows(self.core.now):
            self.fail(SHED)
            return False
        try:
            server = self.service.select(self.key, self.tried, self.token)
            if server is not None and server.breaker is not None and not server.breaker.allows(self.core.now):
                server = another(self, server)
                shed = server is None
        except Exception as error:  # an algorithm of the operator's own may raise anything
            self.core.report(error)
            self.fail(INTERNAL)
            return False
        self.reason = self.service.reason
        if self.reason >= PANIC:
            record_pick(self)
        if server is None:
            self.fail(SHED if shed else NO_SERVER)
            return False
        self.server = server
        return True

    @cython.cfunc
    def _begin_attempt(self, fresh: cython.bint) -> object:
        server: Server = self.server
        self.attempt_began = monotonic() if self.retries or fresh else self.began
        self.sent = self.received = 0
        self.waited = 0.0
        self.first_byte = self.connect_took = -1.0
        if self.trace is not None and self.trace.recorded:
            self.span = new_span(self.core.rng)
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
        if self.rules.attempt > 0:
            self.attempt_deadline = self.core.now + self.rules.attempt + _TICK
        if self.rules.hedge > 0:
            self.hedge_at = self.core.now + self.rules.hedge + _TICK
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
        if self.rules.attempt > 0:
            self._limit()
        self.side = self.core.open(self.server, self)
        return None

    @cython.ccall
    def leave_queue(self) -> object:
        """It is this exchange's turn: the Server has room. Called after `vacate` took it off the queue."""
        self.queue_took = self.waited = monotonic() - self.attempt_began
        record_queue(self)
        self._occupy(self.server, False)
        return None

    @cython.ccall
    def connected(self, side: ServerSide) -> object:
        """The connection that this exchange asked for is open."""
        self.connect_took = monotonic() - self.attempt_began - self.waited
        record_connect(self)
        self._send(side)
        return None

    @cython.cfunc
    def _send(self, side: ServerSide) -> object:
        out: bytes
        if self.rules.route.request_edits is not None:
            self.core.variables.fill(self.head, self.source, self.client.scheme, self.request_id)
        out = request_head(
            self.core, self.head, self.rules, self.client, self.server, self.request_id, self.trace, self.span
        )
        self.side = side
        self.phase = WAITING
        self.touched = self.core.now
        if self.body:
            out += b"".join(self.body)
            if self.body_size > self.rules.replay:
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
        if self.rules.attempt > 0:
            self._limit()
        return None

    @cython.cfunc
    def _limit(self) -> object:
        """The smaller of the two deadlines counts."""
        if self.deadline == 0.0 or self.attempt_deadline < self.deadline:
            self.deadline = self.attempt_deadline
        return None

    @cython.ccall
    def server_failed(self, outcome: cython.int, reused: cython.bint) -> object:
        """The attempt failed. `reused`: the connection had served before and died before any byte of a
        response, so that the request was most likely never seen (RFC 9112 9.3.1)."""
        if self.phase == STREAMING or self.phase == TUNNEL:
            self.fail(SERVER_BROKE_OFF)
        elif not self._try_again(outcome, reused):
            self.fail(outcome)
        return None

    @cython.cfunc
    def _try_again(self, outcome: cython.int, reused: cython.bint) -> cython.bint:
        """Go on with another attempt after this one failed; False where there may be none. `outcome` DONE:
        the status is one that the route retries on."""
        hedge: Any = self.hedge
        wait: cython.double
        if hedge is not None:  # it is under way already, and counted
            self._give_up(outcome)
            hedge.take_over()
            return True
        if not may_retry(self, outcome, reused):
            return False
        if reused:
            # not a retry in the operator's sense: the server never saw the request
            self._drop_side(outcome)
            self.client.let_go(HOLD_SERVER)
            self._attempt(True)
            return True
        if self.service.breaker is not None and self.service.breaker.state != CLOSED:
            return False
        wait = wait_before(self, outcome)
        if wait < 0:
            self.word = RETRY_AFTER
            return False
        if not free(outcome) and not self.rules.budget.spend(self.core.now):
            self.word = BUDGET
            record_over_budget(self)
            return False
        self.retries += 1  # before the attempt is closed, which is then recorded as one of several
        self._give_up(outcome)
        if outcome == DONE or outcome == RESPONSE_TIMEOUT:
            self._back_off(wait)
        elif self._choose():
            if self.server not in self.tried:
                self._begin_attempt(False)
            elif unasked(outcome):
                self.fail(outcome)
            else:
                self._back_off(wait)
        return True

    @cython.cfunc
    def _give_up(self, outcome: cython.int) -> object:
        """This attempt is over, and its Server one that was tried."""
        self._drop_side(outcome)
        self.client.let_go(HOLD_SERVER)
        if self.server not in self.tried:
            self.tried.append(self.server)
        return None

    @cython.cfunc
    def _back_off(self, seconds: cython.double) -> object:
        if seconds > 0:
            self.phase = BACKOFF
            self.timer = self.core.later(seconds, self.resume)
        else:
            self._attempt(False)
        return None

    @cython.ccall
    def resume(self) -> object:
        """The back-off is over."""
        self.timer = None
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
        while following is not None:  # several where an adaptive limit grew
            following.leave_queue()
            following = server.admit()
        return None
