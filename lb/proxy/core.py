"""Core: what all exchanges of one worker share.

Lives here: the published generation as the hot path reads it, coarse time, the objects that are used again
for every request, and request ids. Must not live here: decisions.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from email.utils import formatdate
from random import Random
from time import monotonic, time
from typing import Any

import cython

from lb.message import RequestHead
from lb.proxy.budget import Budget
from lb.proxy.rules import ListenerRules, RouteRules
from lb.proxy.tracing import Tracing
from lb.routing.table import Table
from lb.routing.template import Variables
from lb.telemetry import layout
from lb.telemetry.accesslog import LineFormat
from lb.telemetry.cells import Cells
from lb.telemetry.record import ExchangeRecord

# Seconds between two looks at all deadlines. `now` may be this old, so deadlines are set this much later
# and never fire early.
TICK = 0.1
# Access-log lines that are handed on together.
_BUNDLE: cython.Py_ssize_t = 64
_ALLOWED: cython.int = layout.ROUTE_BUDGET
_USED: cython.int = layout.ROUTE_BUDGET_USED

_SAFE_ID = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.:+/=@")
_MOST_ID: cython.Py_ssize_t = 128
X_REQUEST_ID: cython.int = 16


def _raise(error: Exception) -> None:
    raise error


def _nobody_asks(server: Any, failures: int, last: str) -> None:
    """Until the DataPlane has somebody to tell of suspects."""


def _nobody_counts(service: str, address: str, tripped: bool) -> None:
    """Until the DataPlane has somebody to tell of breakers."""


def _nobody_keeps(*_: object) -> None:
    """Until the DataPlane has somebody who keeps decisions."""


@cython.cclass
class Core:
    """One per worker. `now` is monotonic time in seconds, as of the last tick. `exchanges` counts those
    under way, tunnels included."""

    cells: Cells
    table: Table
    routes: list[RouteRules]
    line: LineFormat | None
    generation: cython.longlong
    now: cython.double
    epoch: cython.double  # unix time of monotonic 0, as of the last tick
    date: bytes  # the Date line of this second
    draining: cython.bint
    listeners: dict[str, ListenerRules]
    exchanges: cython.longlong
    record: ExchangeRecord
    variables: Variables
    log: Callable[[bytes], None]
    lines: list[bytes]  # of the access log, not handed on yet
    rng: Random
    report: Callable[[Exception], None]  # of a bug
    suspect: Callable[[Any, int, str], None]  # (Server, failures in a row, the last one)
    tripped: Callable[[str, str, bool], None]  # (service, address or "", whether its breaker is open now)
    open: Callable[[Any, Any], Any]  # (Server, Exchange) → ServerSide, which begins to connect
    later: Callable[[float, Callable[[], Any]], Any]  # (seconds, what) → a timer that can be cancelled
    hedge: Callable[[Any], Any]  # (Exchange): send its request to a second Server too
    mirror: Callable[[Any], Any]  # (Mirror): send the copy that it stands for
    hedges: list[Any]  # Hedges to be used again
    budgets: dict[str, Budget]  # by the name of the route
    spare: list[Any]  # Exchanges to be used again
    owned: list[object]  # all Exchanges, so that none is freed while a method of it runs
    slow: cython.double  # seconds from which on an exchange is kept
    until_sample: cython.longlong  # exchanges until the next of the sample; negative: there is none
    keep: Callable[[Any, float], None]  # (Exchange, seconds): it may be one that is kept
    refused: Callable[[Any, str, int, int], None]  # (ListenerRules, address, outcome, status): kept too
    tails: list[Any] | None  # of lb.proxy.keeping: who looks on
    debug_key: str | None  # what signs X-LB-Debug
    tracing: Tracing | None
    id: bytearray  # the last request id: 12 random hexadecimal digits, then a count of 8

    def __init__(self, cells: Cells, log: Callable[[bytes], None], rng: Random) -> None:
        self.cells = cells
        self.table = Table([])
        self.routes = []
        self.line = None
        self.generation = 0
        self.now = self.epoch = 0.0
        self.date = b""
        self.listeners = {}
        self.draining = False
        self.exchanges = 0
        self.record = ExchangeRecord()
        self.variables = Variables()
        self.log = log
        self.lines = []
        self.rng = rng
        self.report = _raise
        self.suspect = _nobody_asks
        self.tripped = _nobody_counts
        # set by the DataPlane, before it accepts
        self.open = self.later = self.hedge = self.mirror = None  # type: ignore[assignment]
        self.slow = float("inf")
        self.until_sample = -1
        self.keep = _nobody_keeps
        self.refused = _nobody_keeps
        self.tails = None
        self.debug_key = None
        self.tracing = None
        self.hedges = []
        self.budgets = {}
        self.spare = []
        self.owned = []
        self.id = bytearray(os.urandom(6).hex().encode() + b"00000000")
        self.tick()

    def tick(self) -> None:
        """Read the clocks; every TICK seconds."""
        self.now = monotonic()
        self.epoch = time() - self.now
        self.flush_log()
        self.date = b"Date: %b\r\n" % formatdate(usegmt=True).encode()

    def take_routes(self, routes: list[RouteRules]) -> None:
        """Put the routes of a generation in force; a route whose name was there goes on with its budget."""
        known = self.budgets
        self.budgets = {}
        for rules in self.routes:
            self._show_budget(rules, 0, 0)
        for rules in routes:
            name = rules.label.decode()
            rules.budget = self.budgets[name] = known.get(name) or Budget()
            rules.budget.configure(rules.budget_share, rules.budget_floor, self.cells.workers)
        self.routes = routes

    def exchange_routes(self, routes: list[RouteRules], changed: Iterable[int]) -> None:
        """Put the routes of an update in force: those in force, but for the numbers in `changed`, whose
        budgets go on."""
        for number in changed:
            self._show_budget(self.routes[number], 0, 0)
            routes[number].budget = self.routes[number].budget
        self.routes = routes

    @cython.ccall
    def show_budgets(self) -> object:
        """Put what the retry budgets allow, and what of it is used, into the gauges: about once a second, of
        the routes that had a request since the window began. 5,000 routes take a third of a millisecond."""
        rules: RouteRules
        budget: Budget
        allowed: cython.longlong
        for rules in self.routes:
            budget = rules.budget
            if budget.requests or budget.retries or budget.shown:
                allowed = budget.allowed(self.now)  # which forgets old retries
                self._show_budget(rules, allowed, budget.retries)
        return None

    @cython.cfunc
    def _show_budget(self, rules: RouteRules, allowed: cython.longlong, used: cython.longlong) -> object:
        """Zeros too, before a route goes: its counters are not free before its gauges are 0."""
        shown: cython.bint = allowed > 0 or used > 0
        if shown or rules.budget.shown:
            for slot in rules.slots:
                self.cells.put(slot + _ALLOWED, allowed)
                self.cells.put(slot + _USED, used)
            rules.budget.shown = shown
        return None

    @cython.ccall
    def identity(self, head: RequestHead) -> bytes:
        """The client's X-Request-Id where it is harmless, or a new one."""
        if head.seen & (1 << X_REQUEST_ID):
            theirs: bytes = head.header(b"x-request-id")  # type: ignore[assignment]  # it was seen
            if 0 < len(theirs) <= _MOST_ID and _SAFE_ID.issuperset(theirs):
                return theirs
        return self.new_id()

    @cython.ccall
    def new_id(self) -> bytes:
        """A request id: unique on this machine and, by 48 random bits a worker, hardly anywhere else."""
        digits: bytearray = self.id
        place: cython.Py_ssize_t = len(digits) - 1
        digit: cython.int = digits[place]
        while digit == 102 and place > 12:  # "f": carry
            digits[place] = 48
            place -= 1
            digit = digits[place]
        digits[place] = 97 if digit == 57 else 48 if digit == 102 else digit + 1
        return bytes(digits)

    @cython.ccall
    def write_log(self, line: bytes) -> object:
        """Take an access-log line; handed on in bundles, at the latest with the next tick."""
        self.lines.append(line)
        if len(self.lines) >= _BUNDLE:
            self.flush_log()
        return None

    def flush_log(self) -> None:
        """Hand on the lines that were taken."""
        if self.lines:
            lines = b"".join(self.lines)
            self.lines = []
            self.log(lines)
