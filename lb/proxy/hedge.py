"""Hedge: a second attempt of one exchange, on another Server, while the first has not answered.

A Hedge stands before its server connection as an Exchange does, and lives until the first response head: if
that is its own, or the first attempt fails, the exchange takes the attempt over and the Hedge is done; if it
is the other one's, the Hedge is cancelled. Lives here: beginning, losing, handing over. Must not live here:
whether the request may go out twice (lb.proxy.retry), what follows the response head (lb.proxy.exchange).
"""

from __future__ import annotations

from time import monotonic

import cython

from lb.decisions import Attempt
from lb.message import RequestHead
from lb.outcomes import Outcome
from lb.proxy.account import record_hedge, record_over_budget
from lb.proxy.core import Core
from lb.proxy.exchange import Exchange
from lb.proxy.overload import learn_answer

OVER: cython.int = 6
DONE: cython.int = int(Outcome.DONE)
HEDGE: cython.int = int(Attempt.HEDGE)
CANCELLED: cython.int = int(Attempt.CANCELLED)


@cython.ccall
def hedge(exchange: Exchange) -> object:
    """Send the request of `exchange` to a second Server, where one has room and the budget allows it. Once an
    exchange, whatever becomes of it."""
    core: Core = exchange.core
    other: Hedge = core.hedges.pop() if core.hedges else Hedge(core)
    exchange.hedged = True
    other.begin_beside(exchange)
    return None


@cython.cclass
class Hedge(Exchange):
    """`first` is the exchange whose request it carries; None while it is not in use. It shares what belongs
    to the request; the attempt's fields are its own."""

    first: Exchange
    own_head: RequestHead  # holds the place of the request's while the Hedge is not in use

    def __init__(self, core: Core) -> None:
        Exchange.__init__(self, core)
        self.first = None  # type: ignore[assignment]
        self.own_head = self.head
        self.phase = OVER

    @cython.ccall
    def begin_beside(self, first: Exchange) -> object:
        """Begin the second attempt, or leave it at that."""
        self.client, self.source, self.head = first.client, first.source, first.head
        self.rules, self.service, self.slot = first.rules, first.service, first.slot
        self.key, self.request_id, self.trace = first.key, first.request_id, first.trace
        self.body, self.body_size = first.body, first.body_size
        self.attempts, self.picks = first.attempts, first.picks
        self.tried = [*first.tried, first.server]
        self.request_ended = self.hedged = True
        self.began = first.began
        if not self._choose() or self.server in self.tried or self.server.full():
            self._release()
        elif not self.rules.budget.spend(self.core.now):
            record_over_budget(first)
            self._release()
        else:
            record_hedge(first)
            first.retries += 1
            self.retries = first.retries  # one of several: it began later than the exchange
            first.hedge = self
            self.first = first
            self.word = HEDGE
            self._begin_attempt(False)
        return None

    @cython.ccall
    def fail(self, outcome: cython.int) -> object:
        """There is no second server: the exchange goes on as it was."""
        return None

    @cython.ccall
    def server_failed(self, outcome: cython.int, reused: cython.bint) -> object:
        """The first attempt goes on alone."""
        first: Exchange = self.first
        first.tried.append(self.server)
        first.hedge = None
        self._drop_side(outcome)
        self._release()
        return None

    @cython.ccall
    def got_interim(self) -> object:
        """Not for the client: nobody knows yet whose final response it will get."""
        return None

    @cython.ccall
    def got_response(self, piece: bytes, last: cython.bint, trailers: bytes) -> object:
        """The race is won, unless with a status that would be tried again."""
        first: Exchange = self.first
        if self.response.status in self.rules.retry_statuses:
            self.first_byte = monotonic() - self.attempt_began
            self.received = len(piece)
            self.status = self.response.status
            learn_answer(self)
            self.server_failed(DONE, False)
            return None
        # it takes at least so long: an algorithm that goes by latency must learn of it
        first.server.latency.observe(monotonic() - first.attempt_began, True, self.core.now)
        first.word = CANCELLED
        first._give_up(DONE)
        self.take_over()
        first.got_response(piece, last, trailers)
        return None

    @cython.ccall
    def server_ready(self) -> object:
        """The request has ended: nobody is to be let go."""
        return None

    @cython.ccall
    def server_full(self) -> object:
        """The request has ended: nobody is to be held."""
        return None

    @cython.ccall
    def cancel(self) -> object:
        """The exchange got its answer from the first server, or ended."""
        self.first.hedge = None
        self.word = CANCELLED
        self._drop_side(DONE)
        self._release()
        return None

    @cython.ccall
    def take_over(self) -> object:
        """The exchange, whose own attempt is over, goes on with this one."""
        first: Exchange = self.first
        first.hedge = None
        first.server, first.side = self.server, self.side
        first.side.exchange = first
        first.response, self.response = self.response, first.response
        first.phase = self.phase
        first.reason, first.word, first.span = self.reason, self.word, self.span
        first.attempting, first.occupying = self.attempting, self.occupying
        first.deadline, first.attempt_deadline = self.deadline, self.attempt_deadline
        first.attempt_began, first.first_byte = self.attempt_began, self.first_byte
        first.waited = self.waited
        first.connect_took, first.queue_took = self.connect_took, self.queue_took
        first.sent, first.received = self.sent, self.received
        first.touched = self.core.now
        self._release()
        return None

    @cython.cfunc
    def _release(self) -> object:
        self.first = None  # type: ignore[assignment]
        self.head = self.own_head
        self.body = []
        self.reset()
        self.phase = OVER
        self.core.hedges.append(self)
        return None
