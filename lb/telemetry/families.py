"""What lb measures: the name, kind, labels and meaning of every metric family.

Lives here: the one table that the exposition (lb.telemetry.metrics) and docs/metrics.md are made from; those
of routes, mirrors and servers come from lb.telemetry.traffic.
Must not live here: reading cells, rendering. Names and units by the conventions of Prometheus: base
units (seconds, bytes), `_total` on counters.
"""

from __future__ import annotations

from lb.telemetry import layout
from lb.telemetry.family import Family
from lb.telemetry.family import counter as _counter
from lb.telemetry.family import gauge as _gauge
from lb.telemetry.traffic import MIRROR, ROUTE, SERVER

_BY_LISTENER = ("listener",)
_BY_WORKER = ("worker",)

LISTENER: tuple[Family, ...] = (
    _gauge("lb_listener_connections", _BY_LISTENER, "Open client connections.", layout.LISTENER_CONNECTIONS),
    _gauge(
        "lb_listener_tunnels",
        _BY_LISTENER,
        "Open tunnels (WebSocket and other upgrades).",
        layout.LISTENER_TUNNELS,
    ),
    _counter("lb_listener_accepted", _BY_LISTENER, "Client connections accepted.", layout.LISTENER_ACCEPTED),
    _counter(
        "lb_listener_rejected",
        _BY_LISTENER,
        "Client connections refused because of max_connections.",
        layout.LISTENER_REJECTED,
    ),
    _counter(
        "lb_listener_requests",
        _BY_LISTENER,
        "Requests received, those that no route matched too.",
        layout.LISTENER_REQUESTS,
    ),
    _counter(
        "lb_listener_received_bytes", _BY_LISTENER, "Bytes received from clients.", layout.LISTENER_BYTES_IN
    ),
    _counter("lb_listener_sent_bytes", _BY_LISTENER, "Bytes sent to clients.", layout.LISTENER_BYTES_OUT),
)

# Cells of a worker's own block; what is in microseconds is shown in seconds.
WORKER: tuple[Family, ...] = (
    _gauge(
        "lb_worker_generation",
        _BY_WORKER,
        "Generation of the configuration that a worker runs; 0: none.",
        layout.WORKER_GENERATION,
    ),
    _counter(
        "lb_worker_snapshots", _BY_WORKER, "Snapshots that a worker has put in force.", layout.WORKER_RELOADS
    ),
    _gauge(
        "lb_snapshot_build_seconds",
        _BY_WORKER,
        "Time that the last snapshot took to build.",
        layout.WORKER_BUILD_US,
    ),
    _gauge(
        "lb_snapshot_build_stall_seconds",
        _BY_WORKER,
        "Longest time that the last build kept the loop from serving.",
        layout.WORKER_STALL_US,
    ),
    _gauge(
        "lb_worker_loop_lag_seconds",
        _BY_WORKER,
        "How late the last tick of a worker's loop was.",
        layout.WORKER_LAG_US,
    ),
    _gauge(
        "lb_worker_loop_lag_max_seconds",
        _BY_WORKER,
        "The latest that a tick of a worker's loop has been.",
        layout.WORKER_LAG_MAX_US,
    ),
    _counter(
        "lb_access_log_dropped",
        _BY_WORKER,
        "Access-log lines lost because the log could not take them.",
        layout.WORKER_LOG_DROPPED,
    ),
    _counter(
        "lb_decisions_dropped", _BY_WORKER, "Decisions lost: too many.", layout.WORKER_DECISIONS_DROPPED
    ),
)
IN_MICROSECONDS = frozenset(
    (layout.WORKER_BUILD_US, layout.WORKER_STALL_US, layout.WORKER_LAG_US, layout.WORKER_LAG_MAX_US)
)

OUTCOMES = _counter(
    "lb_outcomes",
    ("outcome", "side", "flag"),
    "Exchanges by how they ended; flag: as in the log.",
    layout.WORKER_OUTCOMES,
)

# Facts of the processes, not in cells.
BUILD = _gauge("lb_build_info", ("version", "python"), "Always 1; which version this is.")
WORKERS = _gauge("lb_workers", ("state",), "Worker processes by state.")
RESTARTS = _counter("lb_worker_restarts", _BY_WORKER, "How often a dead worker was replaced.")
WORKER_RSS = _gauge("lb_worker_resident_memory_bytes", _BY_WORKER, "Resident memory of a worker process.")
WORKER_CPU = _counter(
    "lb_worker_cpu_seconds", _BY_WORKER, "CPU time of the present worker process, user and system."
)
WORKER_FDS = _gauge("lb_worker_open_fds", _BY_WORKER, "Open file descriptors of a worker process.")
GENERATION = _gauge("lb_config_generation", (), "Generation of the configuration in force.")
RELOADS = _counter("lb_config_reloads", ("result",), "Reloads by result: success, unchanged, failure.")
RELOAD_OK = _gauge("lb_config_last_reload_successful", (), "1 where the last load or reload is in force.")
RELOAD_AT = _gauge(
    "lb_config_last_reload_timestamp_seconds", (), "When the last load or reload ended, unix time."
)
CONTROL_LAG = _gauge("lb_control_loop_lag_seconds", (), "How late the last tick of control's loop was.")
CONTROL_LAG_MAX = _gauge(
    "lb_control_loop_lag_max_seconds", (), "The latest that a tick of control's loop has been."
)
EVENTS = _counter(
    "lb_events", ("kind", "reason", "service"), "Events (/api/v1/events); service: may be empty."
)
SERVERS = _gauge("lb_service_servers", ("service", "status"), "Servers of a service by status.")
SERVERS_OUT = _gauge(
    "lb_service_servers_out",
    ("service", "signal"),
    "Servers of a service that get no new requests, by the signal that decides (docs/status.md).",
)
WEBHOOK_LOST = _counter("lb_webhook_lost_events", (), "Events that the webhook did not take.")
SPANS_EXPORTED = _counter("lb_spans_exported", (), "Spans that the collector took.")
SPANS_DROPPED = _counter(
    "lb_spans_dropped",
    ("reason",),
    "Spans lost: worker (too many at once), queue (too many wait for the collector), refused (by it), unsent "
    "(lb ended, or the endpoint went).",
)
_BY_SERVICE = ("service",)
DISCOVERY_MEMBERS = _gauge("lb_discovery_members", _BY_SERVICE, "Servers that a source named and that count.")
DISCOVERY_AGE = _gauge(
    "lb_discovery_age_seconds", _BY_SERVICE, "Since the source last confirmed them; 0 while it answers."
)
DISCOVERY_HELD = _gauge("lb_discovery_held", _BY_SERVICE, "Servers that it took away and that are held.")
DISCOVERY_UNUSABLE = _gauge("lb_discovery_unusable", _BY_SERVICE, "Entries of it that are set aside.")
DISCOVERY_ERRORS = _counter("lb_discovery_errors", _BY_SERVICE, "How often it failed.")
DISCOVERY_UPDATES = _counter("lb_discovery_updates", _BY_SERVICE, "How often its word changed something.")
CATALOG_ROUTES = _gauge("lb_catalog_routes", (), "Routes in force that a catalogue asked for.")
CATALOG_AGE = _gauge("lb_catalog_age_seconds", (), "Since it last confirmed them; 0 while it answers.")
CATALOG_HELD = _gauge("lb_catalog_held", (), "Services that are gone from it and keep their routes.")
CATALOG_UNUSABLE = _gauge("lb_catalog_unusable", (), "Tags of it that are set aside.")
CATALOG_ERRORS = _counter("lb_catalog_errors", (), "How often it failed.")
CATALOG = (CATALOG_ROUTES, CATALOG_AGE, CATALOG_HELD, CATALOG_UNUSABLE, CATALOG_ERRORS)
PROBES_WAITING = _gauge(
    "lb_probes_waiting", (), "Probes that are due and wait; above 0 for long: too many servers hang."
)
CERTIFICATE_END = _gauge(
    "lb_certificate_expiry_timestamp_seconds",
    ("key", "file"),
    "When a certificate that lb shows or trusts ends, unix time; key: what of the configuration names it.",
)
CLUSTER_NAMES = _gauge(
    "lb_cluster_info",
    ("cluster", "node", "engine"),
    "Always 1; which cluster this lb belongs to, and as whom.",
)
CLUSTER_LEADER = _gauge("lb_cluster_leader", (), "1: this lb leads its cluster.")
CLUSTER_EPOCH = _gauge("lb_cluster_epoch", (), "The term of leadership held, or published last.")
CLUSTER_REVISION = _gauge("lb_cluster_revision", (), "The shared revision in force here; 0: the own file.")
CLUSTER_TRANSITIONS = _counter("lb_cluster_transitions", ("reason",), "Changes of leadership here.")
CLUSTER_RENEWAL = _gauge("lb_cluster_renewal_seconds", (), "How long the last renewal of the term took.")
CLUSTER_LATENESS = _gauge("lb_cluster_renewal_lateness_seconds", (), "How late that renewal began.")
CLUSTER_REACHABLE = _gauge("lb_cluster_engine_reachable", (), "1: the cluster's engine answered last.")
CLUSTER_AGE = _gauge(
    "lb_cluster_engine_age_seconds", (), "Time since the cluster's engine answered; absent: it never did."
)
CLUSTER_TROUBLE = _gauge(
    "lb_cluster_differs",
    (),
    "1: what the cluster published is not in force here, or another node has this name "
    "(/api/v1/cluster says which).",
)
CLUSTER_ROLLOUT = _gauge("lb_cluster_rollout", (), "1: a revision is tried on some nodes first.")
CLUSTER_DISAGREEMENTS = _gauge(
    "lb_cluster_health_disagreements",
    ("between",),
    "Servers on which the nodes' checks differ (nodes), or a vote and this lb's passive checks (passive).",
)
CLUSTER_HEALTH_NODES = _gauge("lb_cluster_health_nodes", (), "Nodes that share health; 1: this lb is alone.")
CLUSTER_BETWEEN = ("nodes", "passive")
CLUSTER_REASONS = ("elected", "deposed", "expired", "resigned", "ended")
CLUSTER = (
    CLUSTER_LEADER,
    CLUSTER_EPOCH,
    CLUSTER_REVISION,
    CLUSTER_TRANSITIONS,
    CLUSTER_RENEWAL,
    CLUSTER_LATENESS,
    CLUSTER_REACHABLE,
    CLUSTER_AGE,
    CLUSTER_TROUBLE,
    CLUSTER_ROLLOUT,
)
CLUSTER_HEALTH = (CLUSTER_DISAGREEMENTS, CLUSTER_HEALTH_NODES)

OVERFLOW = _gauge(
    "lb_metrics_overflow_series",
    ("family",),
    "Label sets of a family that are summed under `other`, because there are more than 10,000 of them.",
)

FACTS = (
    BUILD, GENERATION, RELOADS, RELOAD_OK, RELOAD_AT, EVENTS, SERVERS, SERVERS_OUT, WEBHOOK_LOST,
    SPANS_EXPORTED, SPANS_DROPPED, PROBES_WAITING, DISCOVERY_MEMBERS, DISCOVERY_AGE, DISCOVERY_HELD,
    DISCOVERY_UNUSABLE, DISCOVERY_ERRORS, DISCOVERY_UPDATES, *CATALOG, WORKERS, RESTARTS, WORKER_RSS,
    WORKER_CPU, WORKER_FDS, CONTROL_LAG, CONTROL_LAG_MAX, CERTIFICATE_END, CLUSTER_NAMES, *CLUSTER,
    *CLUSTER_HEALTH, OVERFLOW,
)  # fmt: skip
GROUPS: tuple[tuple[str, tuple[Family, ...]], ...] = (
    ("Routes", ROUTE),
    ("Mirrors", MIRROR),
    ("Servers", SERVER),
    ("Listeners", LISTENER),
    ("Outcomes", (OUTCOMES,)),
    ("Workers", WORKER),
    ("Configuration and processes", FACTS),
)
# The families that grow with the configuration, and so can have more series than a scrape shows.
CAPPED = tuple(
    family
    for _, families in GROUPS
    for family in families
    if {"route", "service", "server", "listener"} & {*family.labels}
)
