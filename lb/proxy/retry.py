"""Whether a failed attempt may be followed by another: the one place that decides it.

Rules (docs/architecture.md): only before a byte of the response went to the client (the caller sees to it),
only while the request body can still be sent again, and only when the failure's class allows it.
"""

from __future__ import annotations

import cython

from lb.outcomes import Outcome
from lb.proxy.state import ExchangeState

DONE: cython.int = int(Outcome.DONE)
QUEUE_FULL: cython.int = int(Outcome.QUEUE_FULL)
CONNECT_FAILED: cython.int = int(Outcome.CONNECT_FAILED)
CONNECT_TIMEOUT: cython.int = int(Outcome.CONNECT_TIMEOUT)
SERVER_RESET: cython.int = int(Outcome.SERVER_RESET)
SEND_FAILED: cython.int = int(Outcome.SEND_FAILED)


@cython.ccall
def may_retry(exchange: ExchangeState, outcome: cython.int, reused: cython.bint) -> cython.bint:
    """`outcome` DONE: the server answered with a status that the route retries on. `reused`: the failure is
    that of a connection that had been idle."""
    safe: cython.bint = exchange.head.method in exchange.rules.retry_methods
    unsent: cython.bint = outcome in (CONNECT_FAILED, CONNECT_TIMEOUT, QUEUE_FULL, SEND_FAILED)
    if not exchange.replayable:
        return False
    if reused and (safe or unsent):
        return True
    if exchange.retries >= exchange.rules.attempts:
        return False
    if unsent:  # so any method may go elsewhere
        return exchange.rules.retry_connect
    if outcome == SERVER_RESET:
        return exchange.rules.retry_reset and safe
    return outcome == DONE and safe
