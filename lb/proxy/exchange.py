"""Exchange: one request and its response, across attempts.

The decisions are made elsewhere (match: lb.routing, select: lb.upstream, whether to try again:
lb.proxy.retry, what is recorded: lb.proxy.account) and only carried out here. No HTTP bytes, no sockets:
both sides are behind lb.proxy.sides. Plain callbacks in the worker's loop; nothing here awaits or raises.

Phases: NEW → (QUEUED → | CONNECTING →) WAITING → STREAMING | TUNNEL → OVER. A retry leads from CONNECTING
or WAITING, through BACKOFF where it waits, back to QUEUED, CONNECTING or WAITING, and only while no byte of a
response went to the client. A Hedge (lb.proxy.hedge) is a second attempt beside CONNECTING or WAITING.
"""

from __future__ import annotations

from time import monotonic

import cython

from lb.http1.serialize import chunk, last_chunk
from lb.outcomes import TABLE, Outcome
from lb.proxy import debug
from lb.proxy.account import close_attempt, close_exchange, enter_route, open_exchange, record_shed
from lb.proxy.answers import error_answer
from lb.proxy.attempts import Attempts
from lb.proxy.core import TICK, Core
from lb.proxy.forwarded import source_of
from lb.proxy.heads import edited_lines
from lb.proxy.mirror import choose
from lb.proxy.overload import learn_answer, retry_after
from lb.proxy.retry import may_hedge
from lb.proxy.rules import RouteRules
from lb.proxy.sides import ClientSide, ServerSide
from lb.routing.redirect import Redirect
from lb.routing.respond import Respond
from lb.telemetry.decision import Kept
from lb.upstream.server import Server

NEW: cython.int = 0
QUEUED: cython.int = 1
CONNECTING: cython.int = 2
WAITING: cython.int = 3
STREAMING: cython.int = 4
TUNNEL: cython.int = 5
OVER: cython.int = 6
BACKOFF: cython.int = 7

DONE: cython.int = int(Outcome.DONE)
BODY_TOO_LARGE: cython.int = int(Outcome.BODY_TOO_LARGE)
BODY_TIMEOUT: cython.int = int(Outcome.BODY_TIMEOUT)
CLIENT_GONE: cython.int = int(Outcome.CLIENT_GONE)
CLIENT_STALLED: cython.int = int(Outcome.CLIENT_STALLED)
NO_ROUTE: cython.int = int(Outcome.NO_ROUTE)
QUEUE_TIMEOUT: cython.int = int(Outcome.QUEUE_TIMEOUT)
SHED: cython.int = int(Outcome.SHED)
TOTAL_TIMEOUT: cython.int = int(Outcome.TOTAL_TIMEOUT)
CONNECT_TIMEOUT: cython.int = int(Outcome.CONNECT_TIMEOUT)
RESPONSE_TIMEOUT: cython.int = int(Outcome.RESPONSE_TIMEOUT)
IDLE_TIMEOUT: cython.int = int(Outcome.IDLE_TIMEOUT)

# Why reading from the client is held: bits for ClientSide.hold.
HOLD_SERVER: cython.int = 1  # as in lb.proxy.attempts
HOLD_PENDING: cython.int = 2

X_LB_DEBUG: cython.int = 22
TRACE: cython.int = int(Kept.TRACE)
SAMPLED: cython.int = 1  # as in lb.proxy.tracing
_TICK: cython.double = TICK


@cython.cclass
class Exchange(Attempts):
    @cython.ccall
    def begin(self, client: ClientSide, piece: bytes, last: cython.bint) -> object:
        """A request head was read into `head`, with the first bytes of its body."""
        core: Core = self.core
        rules: RouteRules
        index: cython.Py_ssize_t
        self.phase = NEW
        self.client = client
        self.began = monotonic()
        self.touched = core.now
        self.generation = core.generation
        self.line = core.line
        self.source = source_of(client.rules, self.head, client.client) if client.trusted else client.client
        open_exchange(self)
        self.request_id = core.identity(self.head)
        if core.tracing is not None:
            self.trace = core.tracing.trace(self.head)
            if self.trace.flags & SAMPLED:
                self.keep |= TRACE
        if self.head.seen & (1 << X_LB_DEBUG) and core.debug_key is not None:
            debug.ask(self)
        index = core.table.match(self.head, self.source)
        if index < 0:
            self.request_ended = last
            self.fail(NO_ROUTE)
            return None
        rules = core.routes[index]
        self.rules = rules
        self.slot = rules.slot
        if rules.total > 0:
            self.total_deadline = core.now + rules.total + _TICK
        if len(rules.services) > 1:
            index = rules.route.split.choose(core.rng.random())  # type: ignore[union-attr]  # several: a split
            self.service = rules.services[index]
            self.slot = rules.slots[index]
        elif rules.services:
            self.service = rules.services[0]
        enter_route(self)
        if self.service is None:
            self.request_ended = last
            self._respond_self()
            return None
        if client.rules.max_body > 0 and self.head.content_length > client.rules.max_body:
            self.fail(BODY_TOO_LARGE)
            return None
        rules.budget.count(core.now)
        self.key = self.service.key_of(self.head, self.source)
        if self.service.sticky is not None:
            self.token = self.service.sticky.token(self.head)
        if rules.mirror is not None:
            choose(self)
        if piece or not last or self.head.chunked:
            self.take_body(piece, last, b"")
            if self.phase == OVER:
                return None
        else:
            self.request_ended = True
        self._attempt(False)
        return None

    @cython.ccall
    def take_body(self, piece: bytes, last: cython.bint, trailers: bytes) -> object:
        """Further bytes of the request body, framing taken off."""
        framed: bytes = piece
        self.touched = self.core.now
        self.bytes_in += len(piece)
        if self.client.rules.max_body > 0 and self.bytes_in > self.client.rules.max_body:
            self.fail(BODY_TOO_LARGE)
            return None
        if self.mirror is not None:
            self.mirror.keep(piece, trailers)
        if self.head.chunked:
            framed = chunk(piece) + last_chunk(trailers) if last else chunk(piece)
        self.request_ended = last
        if self.replayable and framed:
            self.body.append(framed)
            self.body_size += len(framed)
        if WAITING <= self.phase < OVER:
            if self.body_size > self.rules.replay and self.replayable:
                self.replayable = False
                self.body = []
            self.sent += len(framed)
            if framed:
                self.side.send(framed)
            if last and self.phase == WAITING:
                if self.rules.attempt > 0:  # the server could not answer before
                    self.attempt_deadline = self.core.now + self.rules.attempt + _TICK
                self._await_response()
        elif self.body_size > self.rules.replay and not last:
            self.client.hold(HOLD_PENDING)
        return None

    @cython.ccall
    def client_gone(self) -> object:
        """The client closed its connection: the exchange is cancelled at the server too."""
        self.fail(CLIENT_GONE)
        return None

    @cython.ccall
    def client_ready(self) -> object:
        """The client takes bytes again."""
        self.touched = self.core.now
        if self.side is not None:
            self.side.let_go()
        return None

    @cython.ccall
    def client_full(self) -> object:
        """The client takes no more bytes for now."""
        if self.side is not None:
            self.side.hold()
        return None

    @cython.ccall
    def got_interim(self) -> object:
        """A 1xx response other than 101 is in `response`."""
        self.touched = self.core.now
        self.client.respond_interim(self.response)
        return None

    @cython.ccall
    def got_response(self, piece: bytes, last: cython.bint, trailers: bytes) -> object:
        """A final response head is in `response`, with the first bytes of its body."""
        self.first_byte = monotonic() - self.attempt_began
        self.touched = self.core.now
        self.received += len(piece)
        self.status = self.response.status
        learn_answer(self)
        if self.status in self.rules.retry_statuses and self._try_again(DONE, False):
            return None
        if self.hedge is not None:
            self.hedge.cancel()
        self.phase = STREAMING
        self.deadline = 0.0
        self.bytes_out = len(piece)
        if self.rules.route.response_edits is not None:
            self.core.variables.fill(self.head, self.source, self.client.scheme, self.request_id)
        self.client.respond(self.response, piece, last and not trailers)
        if self.phase == STREAMING:
            if trailers:
                self.client.send(b"", True, trailers)
            if last:
                self._complete()
            elif self.client.blocked():
                self.side.hold()
        return None

    @cython.ccall
    def got_body(self, piece: bytes, last: cython.bint, trailers: bytes) -> object:
        """Further bytes of the response body, framing taken off."""
        self.touched = self.core.now
        self.received += len(piece)
        self.bytes_out += len(piece)
        self.client.send(piece, last, trailers)
        if last and self.phase == STREAMING:
            self._complete()
        return None

    @cython.ccall
    def got_tunnel(self) -> object:
        """The server switched protocols, as the client asked: `response` is the 101."""
        self.first_byte = monotonic() - self.attempt_began
        self.touched = self.core.now
        self.status = 101
        learn_answer(self)
        self.phase = TUNNEL
        self.deadline = 0.0
        self.client.open_tunnel(self.response)
        if self.phase == TUNNEL and self.client.blocked():
            self.side.hold()
        return None

    @cython.ccall
    def server_ready(self) -> object:
        """The server takes bytes again."""
        self.touched = self.core.now
        if self.client is not None:
            self.client.let_go(HOLD_SERVER)
        return None

    @cython.ccall
    def server_full(self) -> object:
        """The server takes no more bytes for now."""
        if self.client is not None:
            self.client.hold(HOLD_SERVER)
        return None

    @cython.ccall
    def tunnel_from_client(self, data: bytes, ended: cython.bint) -> object:
        self.touched = self.core.now
        self.bytes_in += len(data)
        self.sent += len(data)
        if data:
            self.side.send(data)
        if ended and not self.client_ended:
            self.client_ended = True
            self.side.end_tunnel()
        if self.client_ended and self.server_ended:
            self._complete()
        return None

    @cython.ccall
    def tunnel_from_server(self, data: bytes, ended: cython.bint) -> object:
        self.touched = self.core.now
        self.bytes_out += len(data)
        self.received += len(data)
        if data or ended:
            self.client.send_raw(data, ended)
        if ended:
            self.server_ended = True
        if self.client_ended and self.server_ended:
            self._complete()
        return None

    @cython.cfunc
    def _respond_self(self) -> object:
        """Redirect or fixed response."""
        redirect: Redirect | None = self.rules.route.redirect
        respond: Respond = self.rules.route.respond  # type: ignore[assignment]  # None for a redirect
        lines: bytes
        body: bytes = b""
        if redirect is not None:
            self.status = redirect.status
            lines = b"Location: %b\r\n" % redirect.location(self.head, self.client.scheme)
        else:
            self.status = respond.status
            lines = respond.headers
            body = respond.body
        if self.rules.route.response_edits is not None:
            self.core.variables.fill(self.head, self.source, self.client.scheme, self.request_id)
            lines = edited_lines(lines, self.rules.route.response_edits, self.core)
        self.bytes_out = 0 if self.head.method == b"HEAD" else len(body)
        self.client.respond_self(self.status, lines, body, not self.request_ended)
        self._over()
        return None

    @cython.ccall
    def fail(self, outcome: cython.int) -> object:
        """End the exchange with an outcome: answer where nothing was sent yet, otherwise break off."""
        client: ClientSide = self.client
        begun: cython.bint = self.phase == STREAMING or self.phase == TUNNEL
        if self.phase == OVER:
            return None
        self.outcome = outcome
        if self.hedge is not None:
            self.hedge.cancel()
        if self.timer is not None:
            self.timer.cancel()
        self._drop_side(outcome)
        if outcome == CLIENT_GONE:
            if not begun:
                self.status = TABLE[Outcome.CLIENT_GONE].status
        elif begun:
            client.break_off()
        else:
            wait: cython.int = 1
            if outcome == SHED:
                wait = retry_after(self)
                record_shed(self)
            status, lines, body = error_answer(
                outcome, self.head, self.request_id, client.rules.proxy_status, wait
            )
            self.status = status
            self.bytes_out = 0 if self.head.method == b"HEAD" else len(body)
            client.respond_self(status, lines, body, not self.request_ended)
        self._over()
        return None

    @cython.cfunc
    def _complete(self) -> object:
        """The response is complete."""
        side: ServerSide = self.side
        server: Server = self.server
        close_attempt(self, DONE)
        self.side = None  # type: ignore[assignment]
        side.exchange = None
        side.let_go()  # for a client that was full: who waits for it now is the next exchange
        if not (side.reusable and self.request_ended and server.pool.give(side, server.slot, self.core.now)):
            side.close()
        self._vacate(server)
        self._over()
        return None

    @cython.cfunc
    def _over(self) -> object:
        client: ClientSide = self.client
        self.phase = OVER
        close_exchange(self)
        client.done()
        self.reset()
        self.phase = OVER
        self.core.spare.append(self)
        return None

    @cython.ccall
    def check(self, now: cython.double) -> object:
        """Called by the sweep; ends what took too long."""
        quiet: cython.double = now - self.touched - _TICK
        late: cython.bint = 0 < self.deadline <= now
        if 0 < self.total_deadline <= now:
            self.fail(TOTAL_TIMEOUT)
            return None
        if 0 < self.hedge_at <= now and not self.hedged and may_hedge(self):
            self.core.hedge(self)
        if self.hedge is not None:
            self.hedge.check(now)
        if self.phase == QUEUED:
            if late:
                self.fail(QUEUE_TIMEOUT)
        elif self.phase == CONNECTING:
            if late:
                self.server_failed(CONNECT_TIMEOUT, False)
        elif self.phase == WAITING:
            if self.request_ended:
                if late:
                    self.server_failed(RESPONSE_TIMEOUT, False)
            elif quiet >= self.client.rules.body_timeout > 0 and not self.client.held():
                self.fail(BODY_TIMEOUT)
            elif quiet >= self.rules.idle > 0:
                self.server_failed(RESPONSE_TIMEOUT, False)
        elif self.phase != BACKOFF and quiet >= self.rules.idle > 0:
            self.fail(CLIENT_STALLED if self.client.blocked() else IDLE_TIMEOUT)
        return None
