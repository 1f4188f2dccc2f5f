"""Whether another attempt is allowed: the whole table, and the rules that hold for every row."""

from __future__ import annotations

from itertools import product

import pytest

from lb.outcomes import TABLE, Outcome
from lb.plan import RetryPlan
from lb.proxy.retry import may_retry
from tests.proxy.playing import House, plan

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\n\r\n"


def asking(raw=GET, attempts=1, on=("connect", "reset")):
    return House(plan(retry=RetryPlan(attempts=attempts, on=on))).ask(raw).exchange


@pytest.mark.parametrize(
    ("outcome", "on", "get", "post"),
    [
        (Outcome.CONNECT_FAILED, ("connect",), True, True),
        (Outcome.CONNECT_TIMEOUT, ("connect",), True, True),
        (Outcome.QUEUE_FULL, ("connect",), True, True),
        (Outcome.SEND_FAILED, ("connect",), True, True),
        (Outcome.CONNECT_FAILED, ("reset",), False, False),
        (Outcome.SERVER_RESET, ("reset",), True, False),
        (Outcome.SERVER_RESET, ("connect",), False, False),
        (Outcome.DONE, ("503",), True, False),
    ],
)
def test_what_the_route_allows(outcome, on, get, post):
    assert bool(may_retry(asking(GET, on=on), outcome, False)) is get
    assert bool(may_retry(asking(POST, on=on), outcome, False)) is post


def test_a_reused_connection_costs_no_attempt_but_asks_for_a_safe_method():
    assert may_retry(asking(GET, attempts=0, on=()), Outcome.SERVER_RESET, True)
    assert not may_retry(asking(POST, attempts=0, on=()), Outcome.SERVER_RESET, True)
    assert may_retry(asking(POST, attempts=0, on=()), Outcome.SEND_FAILED, True), "nothing was sent"


def test_never():
    possible = set()
    for raw, outcome, reused in product((GET, POST), TABLE, (False, True)):
        exchange = asking(raw, attempts=2)
        if may_retry(exchange, outcome, reused) and not reused:
            possible.add(outcome)
        exchange.replayable = False
        assert not may_retry(exchange, outcome, reused), "the body is gone"
        exchange.replayable = True
        exchange.retries = 2
        assert reused or not may_retry(exchange, outcome, reused), "the attempts are used up"
    # what the server may have begun to work on is not in it, but for a reset
    assert possible == {
        Outcome.DONE,
        Outcome.CONNECT_FAILED,
        Outcome.CONNECT_TIMEOUT,
        Outcome.QUEUE_FULL,
        Outcome.SEND_FAILED,
        Outcome.SERVER_RESET,
    }
