"""What is recorded of exchanges and attempts: counters in shared memory, latency, one access-log line.

Every counter of the data plane about exchanges moves here and nowhere else, always in pairs: what `open_*`
adds, `close_*` takes away. Plain adds; no object, no clock but one reading at the end.
"""

from __future__ import annotations

from time import monotonic

import cython

from lb.decisions import Attempt, Select
from lb.outcomes import TABLE, Outcome
from lb.proxy.core import Core
from lb.proxy.overload import learn_failure
from lb.proxy.rules import ListenerRules
from lb.proxy.state import ExchangeState
from lb.telemetry import layout
from lb.telemetry.buckets import cell_of
from lb.telemetry.cells import Cells
from lb.telemetry.record import ExchangeRecord
from lb.upstream.server import Server

_FLAGS: list[bytes] = [b"--"] * 64
_SERVER_SIDE: list[bool] = [False] * 64
for _outcome, _row in TABLE.items():
    _FLAGS[_outcome] = _row.flag.encode()
    _SERVER_SIDE[_outcome] = _row.side == "server" and _outcome != Outcome.DONE
# By the value of an Attempt; the values are dense from 0.
_WORDS: list[bytes] = [
    b"" if word == Attempt.NONE else word.name.lower().encode() for word in sorted(Attempt)
]

OUTCOMES: cython.int = layout.WORKER_OUTCOMES
LISTENER_REQUESTS: cython.int = layout.LISTENER_REQUESTS
ROUTE_IN_FLIGHT: cython.int = layout.ROUTE_IN_FLIGHT
ROUTE_CLASS: cython.int = layout.ROUTE_CLASS
ROUTE_BYTES_IN: cython.int = layout.ROUTE_BYTES_IN
ROUTE_BYTES_OUT: cython.int = layout.ROUTE_BYTES_OUT
ROUTE_RETRIES: cython.int = layout.ROUTE_RETRIES
ROUTE_DURATION_SUM: cython.int = layout.ROUTE_DURATION_SUM
ROUTE_DURATION_CELLS: cython.int = layout.ROUTE_DURATION_CELLS
ROUTE_BUDGET_REFUSED: cython.int = layout.ROUTE_BUDGET_REFUSED
ROUTE_HEDGES: cython.int = layout.ROUTE_HEDGES
ROUTE_SHED: cython.int = layout.ROUTE_SHED
SERVER_IN_FLIGHT: cython.int = layout.SERVER_IN_FLIGHT
SERVER_CLASS: cython.int = layout.SERVER_CLASS
SERVER_BYTES_IN: cython.int = layout.SERVER_BYTES_IN
SERVER_BYTES_OUT: cython.int = layout.SERVER_BYTES_OUT
SERVER_FAILURES: cython.int = layout.SERVER_FAILURES
SERVER_CONNECT_FAILURES: cython.int = layout.SERVER_CONNECT_FAILURES
SERVER_REUSED: cython.int = layout.SERVER_REUSED
SERVER_DURATION_SUM: cython.int = layout.SERVER_DURATION_SUM
SERVER_DURATION_CELLS: cython.int = layout.SERVER_DURATION_CELLS
SERVER_CONNECT_SUM: cython.int = layout.SERVER_CONNECT_SUM
SERVER_CONNECT_CELLS: cython.int = layout.SERVER_CONNECT_CELLS
SERVER_QUEUE_SUM: cython.int = layout.SERVER_QUEUE_SUM
SERVER_QUEUE_CELLS: cython.int = layout.SERVER_QUEUE_CELLS

DONE: cython.int = int(Outcome.DONE)
CONNECT_FAILED: cython.int = int(Outcome.CONNECT_FAILED)
CONNECT_TIMEOUT: cython.int = int(Outcome.CONNECT_TIMEOUT)

ROUTE_PANIC: cython.int = layout.ROUTE_PANIC
ROUTE_STICKY: cython.int = layout.ROUTE_STICKY
ROUTE_STICKY_LOST: cython.int = layout.ROUTE_STICKY_LOST
PANIC: cython.int = int(Select.PANIC)
STICKY: cython.int = int(Select.STICKY)
STICKY_LOST: cython.int = int(Select.STICKY_LOST)


@cython.ccall
def open_exchange(exchange: ExchangeState) -> object:
    """The exchange begins."""
    exchange.core.exchanges += 1
    exchange.core.cells.add(exchange.client.rules.slot + LISTENER_REQUESTS, 1)
    return None


@cython.ccall
def enter_route(exchange: ExchangeState) -> object:
    """A Route matched, and `slot` is that of (route, service)."""
    exchange.core.cells.add(exchange.slot + ROUTE_IN_FLIGHT, 1)
    return None


@cython.ccall
def record_pick(exchange: ExchangeState) -> object:
    """A server was picked for a reason that is counted."""
    if exchange.reason == STICKY:
        exchange.core.cells.add(exchange.slot + ROUTE_STICKY, 1)
    elif exchange.reason == STICKY_LOST:
        exchange.core.cells.add(exchange.slot + ROUTE_STICKY_LOST, 1)
    elif exchange.reason == PANIC:
        exchange.core.cells.add(exchange.slot + ROUTE_PANIC, 1)
    return None


@cython.ccall
def open_attempt(exchange: ExchangeState) -> object:
    """An attempt on `server` begins."""
    exchange.attempting = True
    exchange.core.cells.add(exchange.server.slot + SERVER_IN_FLIGHT, 1)
    return None


@cython.ccall
def record_queue(exchange: ExchangeState) -> object:
    """The exchange waited in its server's queue and has its turn."""
    us: cython.longlong = int(exchange.queue_took * 1e6)
    exchange.core.cells.add(exchange.server.slot + SERVER_QUEUE_SUM, us)
    exchange.core.cells.add(exchange.server.slot + SERVER_QUEUE_CELLS + cell_of(us), 1)
    return None


@cython.ccall
def record_connect(exchange: ExchangeState) -> object:
    """A connection was opened for the exchange."""
    us: cython.longlong = int(exchange.connect_took * 1e6)
    exchange.core.cells.add(exchange.server.slot + SERVER_CONNECT_SUM, us)
    exchange.core.cells.add(exchange.server.slot + SERVER_CONNECT_CELLS + cell_of(us), 1)
    return None


@cython.ccall
def close_attempt(exchange: ExchangeState, outcome: cython.int) -> object:
    """The attempt on `server` is over."""
    cells: Cells = exchange.core.cells
    server: Server = exchange.server
    slot: cython.Py_ssize_t = server.slot
    us: cython.longlong
    failed: cython.bint = _SERVER_SIDE[outcome]
    status: cython.int = exchange.status if exchange.first_byte >= 0 else 0
    exchange.attempting = False
    cells.add(slot + SERVER_IN_FLIGHT, -1)
    if exchange.sent:
        cells.add(slot + SERVER_BYTES_OUT, exchange.sent)
    if exchange.side is not None and exchange.side.served > 1:
        cells.add(slot + SERVER_REUSED, 1)
    if failed:
        cells.add(slot + SERVER_FAILURES, 1)
        if outcome == CONNECT_FAILED or outcome == CONNECT_TIMEOUT:
            cells.add(slot + SERVER_CONNECT_FAILURES, 1)
        learn_failure(exchange, outcome)
    if exchange.first_byte >= 0:
        us = int(exchange.first_byte * 1e6)
        cells.add(slot + SERVER_CLASS + status // 100, 1)
        cells.add(slot + SERVER_BYTES_IN, exchange.received)
        cells.add(slot + SERVER_DURATION_SUM, us)
        cells.add(slot + SERVER_DURATION_CELLS + cell_of(us), 1)
        if status != 101:
            server.latency.observe(
                exchange.first_byte, not failed and status < 500 and status != 429, exchange.core.now
            )
    elif failed:
        server.latency.observe(0.0, False, exchange.core.now)
    if server.suspect_after and status != 101:
        # What the client, lb or the end of a tunnel caused says nothing of the server.
        if failed or (outcome == DONE and status >= 500):
            server.run += 1
            if server.run % server.suspect_after == 0:
                last = _FLAGS[outcome].decode() if failed else str(status)
                exchange.core.suspect(server, server.run, last)
        elif outcome == DONE and status:
            server.run = 0
    if exchange.retries or exchange.attempts or outcome or exchange.word:
        took: cython.double = monotonic() - exchange.attempt_began
        exchange.attempts.append((server.name, status, took, _FLAGS[outcome], _WORDS[exchange.word]))
        _note_pick(exchange)
        exchange.word = 0
    return None


@cython.cfunc
def _note_pick(exchange: ExchangeState) -> object:
    reused: cython.bint = exchange.side is not None and exchange.side.served > 1
    began: cython.double = max(0.0, exchange.attempt_began - exchange.began)
    exchange.picks.append((exchange.reason, began, reused, exchange.connect_took, exchange.span))
    return None


@cython.ccall
def record_over_budget(exchange: ExchangeState) -> object:
    """Another attempt was not made because the retry budget is used up."""
    exchange.core.cells.add(exchange.slot + ROUTE_BUDGET_REFUSED, 1)
    return None


@cython.ccall
def record_shed(exchange: ExchangeState) -> object:
    """The request is refused because of overload."""
    exchange.core.cells.add(exchange.slot + ROUTE_SHED, 1)
    return None


@cython.ccall
def record_hedge(exchange: ExchangeState) -> object:
    """The request goes to a second server too."""
    exchange.core.cells.add(exchange.slot + ROUTE_HEDGES, 1)
    return None


@cython.ccall
def record_refusal(
    core: Core, rules: ListenerRules, address: str, outcome: cython.int, status: cython.int
) -> object:
    """A connection was refused, or bytes that are no valid request were answered."""
    record: ExchangeRecord = core.record
    core.cells.add(OUTCOMES + outcome, 1)
    core.refused(rules, address, outcome, status)
    if core.line is not None:
        record.clear()
        record.time = core.epoch + monotonic()
        record.client = address
        record.listener = rules.label
        record.status = status
        record.flag = _FLAGS[outcome]
        record.generation = core.generation
        core.write_log(core.line.line(record))
    return None


@cython.ccall
def close_exchange(exchange: ExchangeState) -> object:
    """The exchange is over: status, outcome and byte counts are final."""
    core: Core = exchange.core
    cells: Cells = exchange.core.cells
    rules: ListenerRules = exchange.client.rules
    slot: cython.Py_ssize_t = exchange.slot
    duration: cython.double = monotonic() - exchange.began
    us: cython.longlong = int(duration * 1e6)
    record: ExchangeRecord
    exchange.core.exchanges -= 1
    cells.add(OUTCOMES + exchange.outcome, 1)
    if exchange.rules is not None:
        cells.add(slot + ROUTE_IN_FLIGHT, -1)
        cells.add(slot + ROUTE_CLASS + exchange.status // 100, 1)
        cells.add(slot + ROUTE_BYTES_IN, exchange.bytes_in)
        cells.add(slot + ROUTE_BYTES_OUT, exchange.bytes_out)
        cells.add(slot + ROUTE_DURATION_SUM, us)
        cells.add(slot + ROUTE_DURATION_CELLS + cell_of(us), 1)
        if exchange.retries:
            cells.add(slot + ROUTE_RETRIES, exchange.retries)
    core.until_sample -= 1
    if (
        exchange.outcome != DONE
        or exchange.status >= 500
        or duration >= core.slow
        or core.until_sample == 0
        or exchange.keep
        or core.tails is not None
    ):
        core.keep(exchange, duration)
    if exchange.line is not None and exchange.line.keeps(
        exchange.outcome != DONE or exchange.status >= 500 or exchange.retries > 0, duration
    ):
        record = exchange.core.record
        record.time = exchange.core.epoch + exchange.began + duration
        record.client = exchange.source.address
        record.listener = rules.label
        record.route = exchange.rules.label if exchange.rules is not None else b""
        record.service = exchange.service.label if exchange.service is not None else b""
        record.server = exchange.server.name if exchange.server is not None else b""
        record.method = exchange.head.method
        record.target = exchange.head.target
        record.host = exchange.head.authority
        record.minor = exchange.head.minor
        record.status = exchange.status
        record.bytes_in = exchange.bytes_in
        record.bytes_out = exchange.bytes_out
        record.duration = duration
        record.ttfb = exchange.first_byte
        record.connect = exchange.connect_took
        record.queue = exchange.queue_took
        record.attempts = exchange.attempts
        record.picks = exchange.picks
        record.flag = _FLAGS[exchange.outcome]
        record.reason = exchange.reason
        record.request_id = exchange.request_id
        record.trace_id = exchange.trace.id if exchange.trace is not None else b""
        record.head = exchange.head
        record.generation = exchange.generation
        record.upgraded = exchange.status == 101
        exchange.core.write_log(exchange.line.line(record))
    return None
