"""The fields of an Exchange, grouped by lifetime.

Lives here: data, and how it is reset. Must not live here: behaviour (lb.proxy.exchange), counting
(lb.proxy.account), deciding (lb.proxy.retry): they all take this record.
"""

from __future__ import annotations

from typing import Any

import cython

from lb.message import Client, RequestHead, ResponseHead
from lb.outcomes import Outcome
from lb.proxy.core import Core
from lb.proxy.rules import RouteRules
from lb.proxy.sides import ClientSide, ServerSide
from lb.proxy.tracing import Trace
from lb.telemetry.accesslog import LineFormat
from lb.upstream.server import Server
from lb.upstream.service import Service

NEW = 0
QUEUED = 1
CONNECTING = 2
WAITING = 3
STREAMING = 4
TUNNEL = 5
OVER = 6
BACKOFF = 7
DONE: cython.int = int(Outcome.DONE)
_PHASES = ("new", "queued", "connecting", "waiting", "streaming", "tunnel", "over", "backoff")


@cython.cclass
class ExchangeState:
    """`client`, `source`, `rules`, `service`, `server` and `side` are None until each is found, and again
    when the exchange is over: the phase, not the type, says whether they are there."""

    # the worker's
    core: Core
    head: RequestHead
    response: ResponseHead
    # this exchange's
    client: ClientSide
    source: Client  # the client behind trusted proxies
    rules: RouteRules
    service: Service
    slot: cython.Py_ssize_t  # counters of (route, service)
    key: bytes
    token: bytes  # what the cookie of a sticky session says
    request_id: bytes
    trace: Trace | None
    generation: cython.longlong
    keep: cython.int  # lb.telemetry.decision.Kept: why it is kept, whatever becomes of it
    line: LineFormat | None  # the access log of its generation
    phase: cython.int
    outcome: cython.int
    status: cython.int
    began: cython.double
    touched: cython.double  # coarse time of the last progress
    total_deadline: cython.double
    bytes_in: cython.longlong
    bytes_out: cython.longlong
    request_ended: cython.bint
    body: list[bytes]  # framed pieces of the request body, kept to be sent first or again
    body_size: cython.Py_ssize_t
    replayable: cython.bint
    tried: list[Server]
    retries: cython.int
    attempts: list[tuple[bytes, int, float, bytes, bytes]]
    picks: list[tuple[int, float, bool, float, bytes]]  # of them: reason, began after, reused, connect, span
    timer: Any  # of BACKOFF
    mirror: Any  # the Mirror before the client's side, or None
    hedge: Any  # the Hedge beside this attempt, or None
    hedged: cython.bint  # there was one, or there cannot be
    # this attempt's
    server: Server
    side: ServerSide
    span: bytes  # its id in hexadecimal digits, b"" where it has none
    reason: cython.int
    word: cython.int  # a lb.decisions.Attempt: what the access log says of the attempt beside its outcome
    attempting: cython.bint  # an attempt is under way: it counts as in flight on `server`
    occupying: cython.bint  # it counts against the server's connections
    deadline: cython.double
    attempt_deadline: cython.double  # of the response head; the smaller of it and `deadline` counts
    hedge_at: cython.double  # when the request may go to a second server
    attempt_began: cython.double
    waited: cython.double  # seconds that this attempt was in the server's queue
    first_byte: cython.double  # seconds from the attempt's beginning to the response head; -1: none yet
    connect_took: cython.double
    queue_took: cython.double
    sent: cython.longlong
    received: cython.longlong
    client_ended: cython.bint  # tunnel: no more bytes from the client
    server_ended: cython.bint

    def __init__(self, core: Core) -> None:
        self.core = core
        # Compiled, `connection.exchange.method()` borrows the reference; without this one an exchange that
        # ends inside that call would be freed under its own feet.
        core.owned.append(self)
        self.head = RequestHead()
        self.response = ResponseHead()
        self.body = []
        self.body_size = 0
        self.tried = []
        self.attempts = []
        self.picks = []
        self.reset()

    def __repr__(self) -> str:
        return f"<Exchange {_PHASES[self.phase]} {self.head!r} {self.server!r}>"

    @cython.ccall
    def reset(self) -> object:
        """Back to NEW, holding no reference to the last exchange."""
        self.line = None
        self.client = self.source = self.rules = None  # type: ignore[assignment]
        self.service = self.server = self.side = None  # type: ignore[assignment]
        self.slot = 0
        self.key = self.token = self.request_id = self.span = b""
        self.trace = None
        self.generation = 0
        self.keep = 0
        self.phase = 0
        self.outcome = DONE
        self.status = 0
        self.reason = 0
        self.touched = self.total_deadline = self.deadline = 0.0
        self.attempt_deadline = self.hedge_at = 0.0
        self.bytes_in = self.bytes_out = 0
        self.request_ended = self.attempting = self.occupying = False
        if self.body_size:
            self.body = []
        self.body_size = 0
        self.replayable = True
        if self.tried:
            self.tried = []
        if self.attempts:
            self.attempts = []
            self.picks = []
        self.retries = self.word = 0
        self.timer = self.hedge = self.mirror = None
        self.hedged = False
        self.waited = 0.0
        self.first_byte = self.connect_took = self.queue_took = -1.0
        self.client_ended = self.server_ended = False
        self.head.raw = self.response.raw = b""  # as long as the read that they came in
        return None
