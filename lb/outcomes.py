"""How an exchange can end: one closed table (docs/architecture.md, "Errors").

Lives here: the outcomes as small ints for the hot path, and for each its stage, side, retry class,
status and two-letter flag (the access log's termination state). The data plane passes outcomes and
raises only for bugs. Nothing else may invent a status for a failure.

First letter of a flag: C the client, L lb itself, S the server. Second: what happened.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Literal, NamedTuple

Stage = Literal["accept", "parse", "route", "select", "connect", "send", "receive"]
Side = Literal["client", "lb", "server"]
Retry = Literal["never", "if-reused", "if-idempotent", "always"]


class Outcome(IntEnum):
    DONE = 0
    # The client's request
    BAD_REQUEST = 1
    HEAD_TOO_LARGE = 2
    TARGET_TOO_LONG = 3
    BODY_TOO_LARGE = 4
    METHOD_NOT_ALLOWED = 5
    NOT_IMPLEMENTED = 6
    VERSION_NOT_SUPPORTED = 7
    EXPECTATION_FAILED = 8
    HEAD_TIMEOUT = 9
    BODY_TIMEOUT = 10
    CLIENT_GONE = 11
    CLIENT_STALLED = 12
    BAD_BODY = 13
    # lb's own decisions
    TOO_MANY_CONNECTIONS = 20
    NO_ROUTE = 21
    NO_SERVER = 22
    QUEUE_FULL = 23
    QUEUE_TIMEOUT = 24
    TOTAL_TIMEOUT = 25
    SHED = 26
    INTERNAL = 27
    # The server
    CONNECT_FAILED = 40
    CONNECT_TIMEOUT = 41
    SERVER_RESET = 42
    SERVER_BAD_RESPONSE = 43
    RESPONSE_TIMEOUT = 44
    SERVER_BROKE_OFF = 45
    IDLE_TIMEOUT = 46
    SEND_FAILED = 47


class Row(NamedTuple):
    """`status` is what the client gets where no byte of a response was sent yet. `proxy_error` is the
    error type of RFC 9209 2.3."""

    stage: Stage
    side: Side
    retry: Retry
    status: int
    flag: str
    proxy_error: str
    text: str


TABLE: dict[Outcome, Row] = {
    Outcome.DONE: Row("receive", "server", "never", 200, "--", "", "completed"),
    Outcome.BAD_REQUEST: Row(
        "parse", "client", "never", 400, "CR", "http_request_error", "the request is malformed"
    ),
    Outcome.HEAD_TOO_LARGE: Row(
        "parse", "client", "never", 431, "CH", "http_request_error", "the request head is too large"
    ),
    Outcome.TARGET_TOO_LONG: Row(
        "parse", "client", "never", 414, "CU", "http_request_error", "the request target is too long"
    ),
    Outcome.BODY_TOO_LARGE: Row(
        "receive", "client", "never", 413, "CL", "http_request_error", "the request body is too large"
    ),
    Outcome.METHOD_NOT_ALLOWED: Row(
        "parse", "client", "never", 405, "CM", "http_request_denied", "the method is not allowed here"
    ),
    Outcome.NOT_IMPLEMENTED: Row(
        "parse", "client", "never", 501, "CN", "http_request_error", "the transfer coding is not implemented"
    ),
    Outcome.VERSION_NOT_SUPPORTED: Row(
        "parse", "client", "never", 505, "CV", "http_request_error", "the HTTP version is not supported"
    ),
    Outcome.EXPECTATION_FAILED: Row(
        "parse", "client", "never", 417, "CE", "http_request_error", "the expectation cannot be met"
    ),
    Outcome.HEAD_TIMEOUT: Row(
        "parse", "client", "never", 408, "CT", "http_request_error", "the request head took too long"
    ),
    Outcome.BODY_TIMEOUT: Row(
        "receive", "client", "never", 408, "CB", "http_request_error", "the request body took too long"
    ),
    Outcome.CLIENT_GONE: Row(
        "receive", "client", "never", 499, "CD", "http_request_error", "the client closed the connection"
    ),
    Outcome.CLIENT_STALLED: Row(
        "send", "client", "never", 499, "CS", "connection_write_timeout", "the client stopped reading"
    ),
    Outcome.BAD_BODY: Row(
        "receive", "client", "never", 400, "CF", "http_request_error", "the request body is malformed"
    ),
    Outcome.TOO_MANY_CONNECTIONS: Row(
        "accept", "lb", "never", 503, "LC", "connection_limit_reached", "too many connections"
    ),
    Outcome.NO_ROUTE: Row("route", "lb", "never", 404, "LR", "destination_not_found", "no route matches"),
    Outcome.NO_SERVER: Row(
        "select", "lb", "never", 503, "LS", "destination_unavailable", "no server is available"
    ),
    Outcome.QUEUE_FULL: Row(
        "connect", "lb", "always", 503, "LQ", "connection_limit_reached", "the server's queue is full"
    ),
    Outcome.QUEUE_TIMEOUT: Row(
        "connect", "lb", "never", 503, "LW", "connection_limit_reached", "waited too long for the server"
    ),
    Outcome.SHED: Row(
        "select",
        "lb",
        "never",
        503,
        "LB",
        "destination_unavailable",
        "overloaded: the servers get time to recover",
    ),
    Outcome.TOTAL_TIMEOUT: Row(
        "receive", "lb", "never", 504, "LT", "http_response_timeout", "the request took too long"
    ),
    Outcome.INTERNAL: Row("receive", "lb", "never", 500, "LI", "proxy_internal_error", "an error inside lb"),
    Outcome.CONNECT_FAILED: Row(
        "connect", "server", "always", 502, "SC", "connection_refused", "the server cannot be reached"
    ),
    Outcome.CONNECT_TIMEOUT: Row(
        "connect",
        "server",
        "always",
        504,
        "ST",
        "connection_timeout",
        "connecting to the server took too long",
    ),
    Outcome.SEND_FAILED: Row(
        "send",
        "server",
        "always",
        502,
        "SW",
        "connection_terminated",
        "the server took no byte of the request",
    ),
    Outcome.SERVER_RESET: Row(
        "receive",
        "server",
        "if-idempotent",
        502,
        "SR",
        "connection_terminated",
        "the server closed the connection before it answered",
    ),
    Outcome.SERVER_BAD_RESPONSE: Row(
        "receive", "server", "never", 502, "SP", "http_protocol_error", "the server's response is malformed"
    ),
    Outcome.RESPONSE_TIMEOUT: Row(
        "receive",
        "server",
        "if-idempotent",
        504,
        "SH",
        "http_response_timeout",
        "the server took too long to answer",
    ),
    Outcome.SERVER_BROKE_OFF: Row(
        "receive", "server", "never", 502, "SD", "http_response_incomplete", "the server's response broke off"
    ),
    Outcome.IDLE_TIMEOUT: Row(
        "receive",
        "server",
        "never",
        504,
        "SI",
        "connection_read_timeout",
        "the exchange stood still too long",
    ),
}

# What clients bring about, so that no look at servers or lb helps; a request without a route is of them.
_OF_CLIENTS = frozenset(
    {Outcome.NO_ROUTE, *(outcome for outcome, row in TABLE.items() if row.side == "client")}
)


def blamed(outcome: int) -> Literal["server", "client"]:
    """Whose doing a failure is: the client's, or that of a server or lb, for the operator to look at."""
    return "client" if outcome in _OF_CLIENTS else "server"
