"""Whether and when a failed attempt may be followed by another: the one place that decides it.

Rules (docs/retries.md): only before a byte of the response went to the client (the caller sees to it), only
while the request body can still be sent again, and only when the failure's class (lb.outcomes) and the route
allow it. The budget is asked last (lb.proxy.attempts). Must not live here: carrying it out.
"""

from __future__ import annotations

from email.utils import parsedate_to_datetime

import cython

from lb.decisions import Select
from lb.outcomes import TABLE, Outcome
from lb.proxy.rules import RouteRules
from lb.proxy.state import ExchangeState

CONNECTING: cython.int = 2
WAITING: cython.int = 3
DONE: cython.int = int(Outcome.DONE)
RESPONSE_TIMEOUT: cython.int = int(Outcome.RESPONSE_TIMEOUT)
STICKY: cython.int = int(Select.STICKY)

# Classes of failures, of lb.outcomes: the server may have begun to work on the request; it has not seen it.
_IF_SAFE: cython.int = 1
_ALWAYS: cython.int = 2
_CLASSES: list[int] = [0] * 64
_OWN: list[bool] = [False] * 64  # lb's own refusals
# Failures that multiply no server's load: it was not asked, refused the connection, or took no byte.
_FREE: list[bool] = [False] * 64
for _outcome, _row in TABLE.items():
    _CLASSES[_outcome] = {"if-idempotent": _IF_SAFE, "always": _ALWAYS}.get(_row.retry, 0)
    _OWN[_outcome] = _row.side == "lb"
    _FREE[_outcome] = _row.side == "lb" or _outcome in {Outcome.CONNECT_FAILED, Outcome.SEND_FAILED}

# Digits of a Retry-After in seconds; more are no sensible wish.
_MOST_DIGITS = 9


@cython.ccall
def may_retry(exchange: ExchangeState, outcome: cython.int, reused: cython.bint) -> cython.bint:
    """`outcome` DONE: the server answered with a status that the route retries on. `reused`: the failure is
    that of a connection that had been idle."""
    rules: RouteRules = exchange.rules
    safe: cython.bint = exchange.head.method in rules.retry_methods
    kind: cython.int = _CLASSES[outcome]
    if not exchange.replayable:
        return False
    if reused and (safe or kind == _ALWAYS):
        return True
    if exchange.retries >= rules.attempts:
        return False
    if kind == _ALWAYS:  # so any method may go elsewhere
        return rules.retry_connect
    if kind == _IF_SAFE:
        return safe and (rules.retry_timeout if outcome == RESPONSE_TIMEOUT else rules.retry_reset)
    return outcome == DONE and safe


@cython.ccall
def unasked(outcome: cython.int) -> cython.bint:
    """Whether lb itself refused the attempt: another one is made only at a server that was not tried, for to
    refuse is to be cheap."""
    return _OWN[outcome]


@cython.ccall
def free(outcome: cython.int) -> cython.bint:
    """Whether the failed attempt cost no server anything, so that another one needs no budget."""
    return _FREE[outcome]


@cython.ccall
def wait_before(exchange: ExchangeState, outcome: cython.int) -> cython.double:
    """Seconds before the next try: drawn from 0 to the back-off of this try, and at least what the server's
    answer asks for; -1 where that is too far away, so that there is no next try."""
    rules: RouteRules = exchange.rules
    now: cython.double = exchange.core.now
    wait: cython.double = rules.backoff * (1 << exchange.retries)
    asked: cython.double
    wait = exchange.core.rng.random() * min(wait, rules.backoff_max)
    if outcome == DONE and (exchange.status == 503 or exchange.status == 429):
        asked = retry_after(exchange.response.header(b"retry-after"), exchange.core.epoch + now)
        if asked > rules.backoff_max and not now + asked < exchange.total_deadline:
            return -1.0
        wait = max(wait, asked)
    return wait


@cython.ccall
def may_hedge(exchange: ExchangeState) -> cython.bint:
    """Whether the request may go to a second server while the first has not answered."""
    if exchange.phase != CONNECTING and exchange.phase != WAITING:
        return False
    return (
        exchange.retries < exchange.rules.attempts
        and exchange.request_ended
        and exchange.replayable
        and exchange.head.method in exchange.rules.retry_methods
        and exchange.reason != STICKY  # its session is on that one server
        and not exchange.head.upgrade
    )


def retry_after(value: bytes | None, now: float) -> float:
    """Seconds that a Retry-After field (RFC 9110 10.2.3) asks to wait; 0 where there is none, or nonsense.
    `now`: unix time."""
    if not value:
        return 0.0
    if value.isdigit():
        return float(value[:_MOST_DIGITS])
    try:
        return max(0.0, parsedate_to_datetime(value.decode("latin-1")).timestamp() - now)
    except (ValueError, OverflowError):
        return 0.0
