"""The metric families of routes, mirrors and servers: counted in blocks, of which there are thousands.

Lives here: the name, kind, labels and meaning of each, and the cell of its block. Must not live here: all
other families (lb.telemetry.families), reading (lb.telemetry.rows).
"""

from __future__ import annotations

from lb.telemetry import layout
from lb.telemetry.family import Family
from lb.telemetry.family import counter as _counter
from lb.telemetry.family import gauge as _gauge
from lb.telemetry.family import histogram as _histogram

_BY_ROUTE = ("route", "service")
_BY_SERVER = ("service", "server")

ROUTE: tuple[Family, ...] = (
    _counter(
        "lb_requests",
        ("route", "service", "code"),
        "Responses sent to clients, by status class.",
        layout.ROUTE_CLASS,
    ),
    _gauge("lb_requests_in_flight", _BY_ROUTE, "Exchanges and tunnels under way.", layout.ROUTE_IN_FLIGHT),
    _counter("lb_request_bytes", _BY_ROUTE, "Bytes of request bodies from clients.", layout.ROUTE_BYTES_IN),
    _counter("lb_response_bytes", _BY_ROUTE, "Bytes of response bodies to clients.", layout.ROUTE_BYTES_OUT),
    _counter("lb_route_retries", _BY_ROUTE, "Attempts after the first.", layout.ROUTE_RETRIES),
    _counter(
        "lb_route_retries_refused",
        _BY_ROUTE,
        "Failures that were not tried again because the retry budget was used up.",
        layout.ROUTE_BUDGET_REFUSED,
    ),
    _gauge(
        "lb_route_retry_budget",
        _BY_ROUTE,
        "Retries that a route's budget allows in ten seconds; 0 where no request came in these. A route with "
        "several services has one budget, and shows it for each.",
        layout.ROUTE_BUDGET,
    ),
    _gauge(
        "lb_route_retry_budget_used",
        _BY_ROUTE,
        "Retries of the last ten seconds that count against it.",
        layout.ROUTE_BUDGET_USED,
    ),
    _counter(
        "lb_route_hedges",
        _BY_ROUTE,
        "Requests that went to a second server because the first did not answer in time.",
        layout.ROUTE_HEDGES,
    ),
    _counter(
        "lb_route_panic_picks",
        _BY_ROUTE,
        "Picks among all servers because too few of them were usable.",
        layout.ROUTE_PANIC,
    ),
    _counter(
        "lb_route_sticky",
        _BY_ROUTE,
        "Requests that went where the cookie of their session says.",
        layout.ROUTE_STICKY,
    ),
    _counter(
        "lb_route_sticky_lost",
        _BY_ROUTE,
        "Requests whose cookie names no server that is in use.",
        layout.ROUTE_STICKY_LOST,
    ),
    _counter(
        "lb_route_shed",
        _BY_ROUTE,
        "Requests refused because a circuit breaker was open.",
        layout.ROUTE_SHED,
    ),
    _histogram(
        "lb_request_duration_seconds",
        _BY_ROUTE,
        "Time from the complete request head to the end of the exchange.",
        layout.ROUTE_DURATION_CELLS,
        layout.ROUTE_DURATION_SUM,
    ),
)

# `service`: the one that gets the copies.
MIRROR: tuple[Family, ...] = (
    _counter(
        "lb_mirror_requests",
        _BY_ROUTE,
        "Copies of requests that were sent to the mirror's service.",
        layout.MIRROR_REQUESTS,
    ),
    _gauge(
        "lb_mirror_requests_in_flight",
        _BY_ROUTE,
        "Requests that were chosen to be copied, until the copy is answered.",
        layout.MIRROR_IN_FLIGHT,
    ),
    _counter(
        "lb_mirror_different",
        ("route", "service", "difference"),
        "Copies that were answered otherwise than the request, by what differed first.",
        layout.MIRROR_DIFFERENT,
    ),
    _counter(
        "lb_mirror_failed",
        _BY_ROUTE,
        "Copies without an answer that could be compared (connect, time-out, broken off).",
        layout.MIRROR_FAILED,
    ),
    _counter(
        "lb_mirror_skipped",
        _BY_ROUTE,
        "Requests that were chosen but not copied: the body was too large, the request was not answered in "
        "full, or too many copies were under way.",
        layout.MIRROR_SKIPPED,
    ),
)

SERVER: tuple[Family, ...] = (
    _counter(
        "lb_server_requests",
        ("service", "server", "code"),
        "Responses of a server, by status class.",
        layout.SERVER_CLASS,
    ),
    _gauge(
        "lb_server_requests_in_flight", _BY_SERVER, "Attempts under way on a server.", layout.SERVER_IN_FLIGHT
    ),
    _counter(
        "lb_server_received_bytes",
        _BY_SERVER,
        "Bytes of response bodies from a server.",
        layout.SERVER_BYTES_IN,
    ),
    _counter(
        "lb_server_sent_bytes", _BY_SERVER, "Bytes of request bodies to a server.", layout.SERVER_BYTES_OUT
    ),
    _counter(
        "lb_server_failures",
        _BY_SERVER,
        "Attempts that failed on the server's side (connect, reset, time-out, bad response).",
        layout.SERVER_FAILURES,
    ),
    _counter(
        "lb_server_connect_failures",
        _BY_SERVER,
        "Connections to a server that could not be opened.",
        layout.SERVER_CONNECT_FAILURES,
    ),
    _counter(
        "lb_server_connections_opened",
        _BY_SERVER,
        "Connections opened to a server.",
        layout.SERVER_CONNECTIONS,
    ),
    _counter(
        "lb_server_connections_reused",
        _BY_SERVER,
        "Attempts on a connection that had served before.",
        layout.SERVER_REUSED,
    ),
    _gauge(
        "lb_server_connections",
        ("service", "server", "state"),
        "Connections to a server by state; queued: exchanges that wait for one.",
        layout.SERVER_IDLE,
    ),
    _gauge(
        "lb_server_breaker_open",
        _BY_SERVER,
        "Workers in which the server's circuit breaker is open.",
        layout.SERVER_BREAKER,
    ),
    _gauge(
        "lb_server_limit",
        _BY_SERVER,
        "Adaptive limit of concurrent requests to a server; 0: none, or nothing was measured yet.",
        layout.SERVER_LIMIT,
    ),
    _histogram(
        "lb_server_response_seconds",
        _BY_SERVER,
        "Time to the first byte of a server's response, from the beginning of the attempt.",
        layout.SERVER_DURATION_CELLS,
        layout.SERVER_DURATION_SUM,
    ),
    _histogram(
        "lb_server_connect_seconds",
        _BY_SERVER,
        "Time that it took to open a connection to a server; one for each that was opened.",
        layout.SERVER_CONNECT_CELLS,
        layout.SERVER_CONNECT_SUM,
    ),
    _histogram(
        "lb_server_queue_seconds",
        _BY_SERVER,
        "Time in a server's queue, of exchanges that had to wait and got their turn.",
        layout.SERVER_QUEUE_CELLS,
        layout.SERVER_QUEUE_SUM,
    ),
)

CONNECTION_STATES = (
    ("idle", layout.SERVER_IDLE),
    ("busy", layout.SERVER_BUSY),
    ("connecting", layout.SERVER_CONNECTING),
    ("queued", layout.SERVER_QUEUED),
)
DIFFERENCES = tuple(
    (word, layout.MIRROR_DIFFERENT + at) for at, word in enumerate(("status", "header", "body"))
)
# By the last label of a family of blocks: its values, and the cell of each.
WORDS = {"state": CONNECTION_STATES, "difference": DIFFERENCES}
EXEMPLARY = ROUTE[-1]  # the family whose series have exemplars
