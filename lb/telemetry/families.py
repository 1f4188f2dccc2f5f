"""What lb measures: the name, kind, labels and meaning of every metric family.

Lives here: the one table that the exposition (lb.telemetry.metrics) and docs/metrics.md are made from.
Must not live here: reading cells, rendering. Names and units by the conventions of Prometheus: base
units (seconds, bytes), `_total` on counters.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from lb.telemetry import layout

Type = Literal["counter", "gauge", "histogram"]


class Family(NamedTuple):
    """`name` without `_total`. `at`: the cell in the block (the first of several)."""

    name: str
    type: Type
    labels: tuple[str, ...]
    text: str
    at: int = 0


ROUTE: tuple[Family, ...] = (
    Family(
        "lb_requests",
        "counter",
        ("route", "service", "code"),
        "Responses sent to clients, by status class.",
        layout.ROUTE_CLASS,
    ),
    Family(
        "lb_requests_in_flight",
        "gauge",
        ("route", "service"),
        "Exchanges and tunnels under way.",
        layout.ROUTE_IN_FLIGHT,
    ),
    Family(
        "lb_request_bytes",
        "counter",
        ("route", "service"),
        "Bytes of request bodies from clients.",
        layout.ROUTE_BYTES_IN,
    ),
    Family(
        "lb_response_bytes",
        "counter",
        ("route", "service"),
        "Bytes of response bodies to clients.",
        layout.ROUTE_BYTES_OUT,
    ),
    Family(
        "lb_route_retries", "counter", ("route", "service"), "Attempts after the first.", layout.ROUTE_RETRIES
    ),
    Family(
        "lb_request_duration_seconds",
        "histogram",
        ("route", "service"),
        "Time from the complete request head to the end of the exchange.",
        layout.ROUTE_DURATION,
    ),
)

SERVER: tuple[Family, ...] = (
    Family(
        "lb_server_requests",
        "counter",
        ("service", "server", "code"),
        "Responses of a server, by status class.",
        layout.SERVER_CLASS,
    ),
    Family(
        "lb_server_requests_in_flight",
        "gauge",
        ("service", "server"),
        "Attempts under way on a server.",
        layout.SERVER_IN_FLIGHT,
    ),
    Family(
        "lb_server_received_bytes",
        "counter",
        ("service", "server"),
        "Bytes of response bodies from a server.",
        layout.SERVER_BYTES_IN,
    ),
    Family(
        "lb_server_sent_bytes",
        "counter",
        ("service", "server"),
        "Bytes of request bodies to a server.",
        layout.SERVER_BYTES_OUT,
    ),
    Family(
        "lb_server_failures",
        "counter",
        ("service", "server"),
        "Attempts that failed on the server's side (connect, reset, time-out, bad response).",
        layout.SERVER_FAILURES,
    ),
    Family(
        "lb_server_connect_failures",
        "counter",
        ("service", "server"),
        "Connections to a server that could not be opened.",
        layout.SERVER_CONNECT_FAILURES,
    ),
    Family(
        "lb_server_connections_opened",
        "counter",
        ("service", "server"),
        "Connections opened to a server.",
        layout.SERVER_CONNECTIONS,
    ),
    Family(
        "lb_server_connections_reused",
        "counter",
        ("service", "server"),
        "Attempts on a connection that had served before.",
        layout.SERVER_REUSED,
    ),
    Family(
        "lb_server_connections",
        "gauge",
        ("service", "server", "state"),
        "Connections to a server by state; queued: exchanges that wait for one.",
        layout.SERVER_IDLE,
    ),
    Family(
        "lb_server_response_seconds",
        "histogram",
        ("service", "server"),
        "Time to the first byte of a server's response.",
        layout.SERVER_DURATION,
    ),
)

LISTENER: tuple[Family, ...] = (
    Family(
        "lb_listener_connections",
        "gauge",
        ("listener",),
        "Open client connections.",
        layout.LISTENER_CONNECTIONS,
    ),
    Family(
        "lb_listener_tunnels",
        "gauge",
        ("listener",),
        "Open tunnels (WebSocket and other upgrades).",
        layout.LISTENER_TUNNELS,
    ),
    Family(
        "lb_listener_accepted",
        "counter",
        ("listener",),
        "Client connections accepted.",
        layout.LISTENER_ACCEPTED,
    ),
    Family(
        "lb_listener_rejected",
        "counter",
        ("listener",),
        "Client connections refused because of max_connections.",
        layout.LISTENER_REJECTED,
    ),
    Family(
        "lb_listener_requests",
        "counter",
        ("listener",),
        "Requests received, those that no route matched too.",
        layout.LISTENER_REQUESTS,
    ),
    Family(
        "lb_listener_received_bytes",
        "counter",
        ("listener",),
        "Bytes received from clients.",
        layout.LISTENER_BYTES_IN,
    ),
    Family(
        "lb_listener_sent_bytes",
        "counter",
        ("listener",),
        "Bytes sent to clients.",
        layout.LISTENER_BYTES_OUT,
    ),
)

# Cells of a worker's own block; what is in microseconds is shown in seconds.
WORKER: tuple[Family, ...] = (
    Family(
        "lb_worker_generation",
        "gauge",
        ("worker",),
        "Generation of the configuration that a worker runs; 0: none.",
        layout.WORKER_GENERATION,
    ),
    Family(
        "lb_worker_snapshots",
        "counter",
        ("worker",),
        "Snapshots that a worker has put in force.",
        layout.WORKER_RELOADS,
    ),
    Family(
        "lb_snapshot_build_seconds",
        "gauge",
        ("worker",),
        "Time that the last snapshot took to build.",
        layout.WORKER_BUILD_US,
    ),
    Family(
        "lb_snapshot_build_stall_seconds",
        "gauge",
        ("worker",),
        "Longest time that the last build kept the loop from serving.",
        layout.WORKER_STALL_US,
    ),
    Family(
        "lb_worker_loop_lag_seconds",
        "gauge",
        ("worker",),
        "How late the last tick of a worker's loop was.",
        layout.WORKER_LAG_US,
    ),
    Family(
        "lb_worker_loop_lag_max_seconds",
        "gauge",
        ("worker",),
        "The latest that a tick of a worker's loop has been.",
        layout.WORKER_LAG_MAX_US,
    ),
    Family(
        "lb_access_log_dropped",
        "counter",
        ("worker",),
        "Access-log lines lost because the log could not take them.",
        layout.WORKER_LOG_DROPPED,
    ),
)
IN_MICROSECONDS = frozenset(
    (layout.WORKER_BUILD_US, layout.WORKER_STALL_US, layout.WORKER_LAG_US, layout.WORKER_LAG_MAX_US)
)

OUTCOMES = Family(
    "lb_outcomes",
    "counter",
    ("outcome", "side", "flag"),
    "Exchanges by how they ended; flag as in the access log.",
    layout.WORKER_OUTCOMES,
)

# Facts of the processes, not in cells.
BUILD = Family("lb_build_info", "gauge", ("version", "python"), "Always 1; which version this is.")
WORKERS = Family("lb_workers", "gauge", ("state",), "Worker processes by state.")
RESTARTS = Family("lb_worker_restarts", "counter", ("worker",), "How often a dead worker was replaced.")
WORKER_RSS = Family(
    "lb_worker_resident_memory_bytes", "gauge", ("worker",), "Resident memory of a worker process."
)
WORKER_CPU = Family(
    "lb_worker_cpu_seconds",
    "counter",
    ("worker",),
    "CPU time of the present worker process, user and system.",
)
WORKER_FDS = Family("lb_worker_open_fds", "gauge", ("worker",), "Open file descriptors of a worker process.")
GENERATION = Family("lb_config_generation", "gauge", (), "Generation of the configuration in force.")
RELOADS = Family(
    "lb_config_reloads", "counter", ("result",), "Reloads by result: success, unchanged, failure."
)
RELOAD_OK = Family(
    "lb_config_last_reload_successful", "gauge", (), "1 where the last load or reload is in force."
)
RELOAD_AT = Family(
    "lb_config_last_reload_timestamp_seconds", "gauge", (), "When the last load or reload ended, unix time."
)

FACTS = (
    BUILD,
    GENERATION,
    RELOADS,
    RELOAD_OK,
    RELOAD_AT,
    WORKERS,
    RESTARTS,
    WORKER_RSS,
    WORKER_CPU,
    WORKER_FDS,
)
CONNECTION_STATES = (
    ("idle", layout.SERVER_IDLE),
    ("busy", layout.SERVER_BUSY),
    ("connecting", layout.SERVER_CONNECTING),
    ("queued", layout.SERVER_QUEUED),
)
GROUPS: tuple[tuple[str, tuple[Family, ...]], ...] = (
    ("Routes", ROUTE),
    ("Servers", SERVER),
    ("Listeners", LISTENER),
    ("Outcomes", (OUTCOMES,)),
    ("Workers", WORKER),
    ("Configuration and processes", FACTS),
)
