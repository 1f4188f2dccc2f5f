"""Overload: asking the circuit breakers of an exchange's Service and Servers, and telling them and the limits
what became of its attempts.

An answer counts when its head is there: a stream that lasts for hours says at its beginning that the server
is well. One that breaks off later counts as a failure too. Lives here: who is asked and who is told.
Must not live here: their arithmetic (lb.upstream.breaker and gradient), refusing (lb.proxy.attempts).
"""

from __future__ import annotations

from math import ceil

import cython

from lb.outcomes import Outcome
from lb.proxy.state import ExchangeState
from lb.telemetry import layout
from lb.upstream.breaker import Breaker
from lb.upstream.server import Server

CLOSED: cython.int = 0  # as in lb.upstream.breaker
SERVER_RESET: cython.int = int(Outcome.SERVER_RESET)
SEND_FAILED: cython.int = int(Outcome.SEND_FAILED)
SERVER_BREAKER: cython.int = layout.SERVER_BREAKER

# The algorithm is asked so often for a server that does not refuse; then the first that is found is taken,
# because each further question would cost more than the one before.
_PICKS: cython.int = 3


@cython.ccall
def another(exchange: ExchangeState, refusing: Server) -> Server | None:
    """A Server whose breaker lets the request pass, after that of `refusing` did not; None: all refuse. What
    an algorithm of the operator's own raises passes through."""
    found: Server | None
    server: Server
    now: cython.double = exchange.core.now
    refused: list[Server] = [refusing]
    passed: list[Server] = [*exchange.tried, refusing]
    for _ in range(_PICKS):
        found = exchange.service.select(exchange.key, passed, exchange.token)
        if found is None or found in refused:
            break
        if found.breaker is None or found.breaker.allows(now):
            return found
        refused.append(found)
        passed.append(found)
    eligible: list[Server] = exchange.service.eligible
    count: cython.Py_ssize_t = len(eligible)
    first: cython.Py_ssize_t = int(exchange.core.rng.random() * count)
    at: cython.Py_ssize_t
    for at in range(count):
        server = eligible[(first + at) % count]
        if server not in refused and (server.breaker is None or server.breaker.allows(now)):
            return server
    return None


@cython.ccall
def retry_after(exchange: ExchangeState) -> cython.int:
    """Whole seconds, at least 1, until a breaker that refused the request lets one pass."""
    now: cython.double = exchange.core.now
    wait: cython.double = 0.0
    if exchange.service.breaker is not None:
        wait = exchange.service.breaker.wait(now)
    if wait <= 0.0:
        waits = [s.breaker.wait(now) for s in exchange.service.eligible if s.breaker is not None]
        wait = min(waits) if waits else 0.0
    return max(1, ceil(wait))


@cython.ccall
def learn_answer(exchange: ExchangeState) -> object:
    """The head of a final response is there, or a tunnel is open."""
    server: Server = exchange.server
    status: cython.int = exchange.status
    if server.gradient is not None and status < 500 and status != 429:
        server.adapt(exchange.first_byte - exchange.waited)
    if server.breaker is not None or exchange.service.breaker is not None:
        _observe(exchange, status < 500)
    return None


@cython.ccall
def learn_failure(exchange: ExchangeState, outcome: cython.int) -> object:
    """The attempt ended in an outcome of the server's side."""
    status: cython.int = exchange.status
    if exchange.first_byte >= 0:
        if status >= 500 or status == 101:  # it counted already; the end of a tunnel says nothing
            return None
    elif outcome == SERVER_RESET or outcome == SEND_FAILED:
        # a connection that went stale while it was idle
        if exchange.side is not None and exchange.side.served > 1:
            return None
    if exchange.server.breaker is not None or exchange.service.breaker is not None:
        _observe(exchange, False)
    return None


@cython.cfunc
def _observe(exchange: ExchangeState, ok: cython.bint) -> object:
    server: Server = exchange.server
    if server.breaker is not None and _turned(server.breaker, ok, exchange.core.now):
        tripped: cython.bint = server.breaker.state != CLOSED
        exchange.core.cells.put(server.slot + SERVER_BREAKER, tripped)
        exchange.core.tripped(server.service, server.address, tripped)
    if exchange.service.breaker is not None and _turned(exchange.service.breaker, ok, exchange.core.now):
        exchange.core.tripped(exchange.service.name, "", exchange.service.breaker.state != CLOSED)
    return None


@cython.cfunc
def _turned(breaker: Breaker, ok: cython.bint, now: cython.double) -> cython.bint:
    """Whether that opened or closed it. A trial that failed is no news."""
    before: cython.int = breaker.state
    return breaker.observe(ok, now) and (before == CLOSED or breaker.state == CLOSED)
