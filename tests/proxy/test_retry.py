"""Whether another attempt is allowed: the whole table, and the rules that hold for every row."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.balancing.registry import ALGORITHMS
from lb.outcomes import TABLE, Outcome
from lb.plan import AlgorithmPlan, RetryPlan, TimeoutPlan
from lb.proxy.retry import may_retry, retry_after
from tests.proxy.playing import PUT, House, plan

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
        (Outcome.RESPONSE_TIMEOUT, ("timeout",), True, False),
        (Outcome.RESPONSE_TIMEOUT, ("connect", "reset"), False, False),
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
        exchange = asking(raw, attempts=2, on=("connect", "reset", "timeout"))
        if may_retry(exchange, outcome, reused) and not reused:
            possible.add(outcome)
        exchange.replayable = False
        assert not may_retry(exchange, outcome, reused), "the body is gone"
        exchange.replayable = True
        exchange.retries = 2
        assert reused or not may_retry(exchange, outcome, reused), "the attempts are used up"
    # what the server may have begun to work on is not in it, but for a reset and a time-out
    assert possible == {
        Outcome.DONE,
        Outcome.CONNECT_FAILED,
        Outcome.CONNECT_TIMEOUT,
        Outcome.QUEUE_FULL,
        Outcome.SEND_FAILED,
        Outcome.SERVER_RESET,
        Outcome.RESPONSE_TIMEOUT,
    }
    assert {o for o, row in TABLE.items() if row.retry != "never"} | {Outcome.DONE} == possible


BUSY = b"HTTP/1.1 503 No\r\nContent-Length: 2\r\n%b\r\n"


def failing(retry_after: bytes = b"", total: float = 0.0, **retry) -> tuple[House, object]:
    """A request whose first server answered 503."""
    retry.setdefault("backoff", 0.0)
    house = House(plan(timeout=TimeoutPlan(total=total), retry=RetryPlan(on=("503",), **retry)))
    asker = house.ask()
    house.opened[0].connect()
    house.opened[0].answer(BUSY % (b"Retry-After: %b\r\n" % retry_after if retry_after else b""))
    return house, asker


def done(house: House, asker, answer: int = 200) -> None:
    if answer == 200:
        house.opened[-1].connect()
        house.opened[-1].answer()
    assert asker.answer == answer
    house.clean(asker)


def test_after_a_status_it_waits():
    waits = set()
    for _ in range(50):
        house, asker = failing(backoff=0.1, backoff_max=1.0)
        (timer,) = house.timers
        assert 0 <= timer.seconds <= 0.1 and len(house.opened) == 1
        waits.add(timer.seconds)
        asker.exchange.check(house.core.now + 50.0)  # standing still is what it is there for
        assert asker.answer == 0
        timer.fire()
        assert len(house.opened) == 2 and house.opened[1].pool is not house.opened[0].pool
        done(house, asker)


def test_the_wait_doubles_up_to_its_limit():
    house = House(plan(retry=RetryPlan(attempts=6, on=("503",), backoff=0.1, backoff_max=0.5)))
    house.rng.random = lambda: 1.0  # type: ignore[method-assign]
    asker = house.ask()
    waits = []
    for n in range(6):
        house.opened[n].connect()
        house.opened[n].answer(BUSY % b"")
        waits.append(house.timers[0].seconds)
        house.timers[0].fire()
    assert waits == [0.1, 0.2, 0.4, 0.5, 0.5, 0.5]
    done(house, asker)


def test_after_a_refused_connection_it_goes_elsewhere_at_once_and_waits_only_for_the_same():
    house = House(plan(retry=RetryPlan(attempts=3)))
    asker = house.ask()
    house.opened[0].refuse()
    assert len(house.opened) == 2 and not house.timers
    house.opened[1].refuse()
    assert len(house.opened) == 2 and len(house.timers) == 1, "both were tried"
    house.timers[0].fire()
    done(house, asker)


def test_a_client_that_goes_ends_the_wait():
    house, asker = failing(backoff=0.1)
    asker.exchange.client_gone()
    house.clean(asker)
    house, asker = failing(backoff=0.1, total=2.0)
    house.later(2.0, asker)
    done(house, asker, 504)


def test_a_body_that_comes_during_the_wait_is_kept():
    house = House(plan(retry=RetryPlan(on=("503",), backoff=0.1, replay=4)))
    asker = house.ask(PUT, b"", False)
    house.opened[0].connect()
    house.opened[0].answer(BUSY % b"")
    asker.exchange.take_body(b"ab", False, b"")
    assert asker.held(), "no more is kept than `replay`"
    house.timers[0].fire()
    house.opened[1].connect()
    assert not asker.held() and house.opened[1].out.endswith(b"2\r\nab\r\n")
    asker.exchange.take_body(b"", True, b"")
    house.opened[1].answer()
    house.clean(asker)


@pytest.mark.parametrize(
    ("asked", "total", "waits"),
    [
        (b"0", 0.0, True),
        (b"1", 0.0, False),  # longer than backoff_max, and no deadline that it could fit
        (b"1", 5.0, True),
        (b"6", 5.0, False),
        (b"soon", 0.0, True),
    ],
)
def test_retry_after_is_the_least_wait_or_the_end(asked, total, waits):
    house, asker = failing(asked, total, backoff=0.001, backoff_max=0.5)
    if not waits:
        done(house, asker, 503)
        assert house.lines[0].endswith(b":retry_after")
        return
    for timer in house.timers:
        assert timer.seconds >= (1.0 if asked == b"1" else 0.0)
        timer.fire()
    done(house, asker)


def test_retry_after_in_seconds_or_as_a_date():
    date = b"Sun, 06 Nov 1994 08:49:37 GMT"  # RFC 9110's own
    assert retry_after(b"120", 0.0) == 120.0
    assert retry_after(date, 784111777.0 - 30) == 30.0 and retry_after(date, 784111777.0 + 30) == 0.0
    for nonsense in (None, b"", b"-1", b"1.5", b"\xff", b"Sun, 99 Nov 1994 08:49:37 GMT", b"9" * 4000):
        assert retry_after(nonsense, 0.0) in (0.0, 999_999_999.0)


@given(st.binary(max_size=40))
def test_no_retry_after_is_a_surprise(value):
    assert 0.0 <= retry_after(value, 1e9) < 1e12


def test_an_attempt_that_takes_too_long_goes_elsewhere():
    house = House(plan(timeout=TimeoutPlan(attempt=1.0), retry=RetryPlan(on=("timeout",), backoff=0.0)))
    asker = house.ask()
    house.opened[0].connect()
    house.later(1.0, asker)
    assert len(house.opened) == 2 and house.opened[0].at == "closed"
    house.later(0.0, asker)
    house.opened[1].connect()
    house.later(1.0, asker)
    assert asker.answer == 504
    house.clean(asker)
    assert house.lines[0].count(b":SH") == 2


def test_the_smaller_of_response_and_attempt_counts():
    for times in (TimeoutPlan(attempt=5.0, response=1.0), TimeoutPlan(attempt=1.0, response=5.0)):
        house = House(plan(timeout=times))
        asker = house.ask()
        house.opened[0].connect()
        house.later(1.0, asker)
        done(house, asker, 504)
    house = House(plan(timeout=TimeoutPlan(attempt=1.0, connect=5.0), retry=RetryPlan(attempts=0)))
    asker = house.ask()
    house.later(1.0, asker)
    done(house, asker, 504)


def test_the_time_of_an_attempt_begins_when_the_client_has_sent_all():
    house = House(plan(timeout=TimeoutPlan(attempt=1.0), retry=RetryPlan(attempts=0)))
    asker = house.ask(PUT, b"", False)
    house.opened[0].connect()
    house.later(5.0, asker)
    asker.exchange.take_body(b"x", True, b"")
    house.later(0.5, asker)
    assert asker.answer == 0
    house.later(0.5, asker)
    done(house, asker, 504)


@pytest.mark.parametrize("name", sorted(ALGORITHMS))
def test_never_the_same_server_while_another_is_eligible(name):
    servers = tuple(f"{letter}:1" for letter in "abcde")
    key = "header:x-key" if "hash" in name else ""
    algorithm = AlgorithmPlan(name, key)
    for n in range(20):
        house = House(plan(servers=servers, algorithm=algorithm, retry=RetryPlan(attempts=4)))
        asker = house.ask(b"GET /%d HTTP/1.1\r\nHost: a\r\nx-key: %d\r\n\r\n" % (n, n))
        for side in range(4):
            house.opened[side].refuse()
        assert len({side.pool.address for side in house.opened}) == 5
        done(house, asker)
