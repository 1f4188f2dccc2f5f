"""The Plan: what control tells a worker to run, as plain data.

Lives here: the frozen records that cross the process border, with every default filled in and every
unit resolved (seconds, bytes). Must not live here: defaults (lb.config), behaviour (lb.snapshot,
lb.routing, lb.balancing), or anything that needs more than msgspec to import.

Names of records and fields follow the configuration file. `slot` fields are offsets of counter blocks
in a worker's shared-memory cells; control allots them by identity (lb.telemetry.ledger), so that a
counter survives every reload.
"""

from __future__ import annotations

from msgspec import Struct

from lb.telemetry.condition import Condition


class Record(Struct, frozen=True, gc=False, omit_defaults=True):
    """Base of all plan records: immutable, compared by value, invisible to the cycle collector."""


# ---------------------------------------------------------------------------------------- listeners


class LimitsPlan(Record, frozen=True):
    """Limits of a listener. Times in seconds, sizes in bytes; 0 means no limit for `max_body`."""

    max_connections: int = 100_000
    header_timeout: float = 10.0
    idle_timeout: float = 75.0
    body_timeout: float = 60.0
    max_header_bytes: int = 32 * 1024
    max_headers: int = 100
    max_body: int = 0
    max_age: float = 0.0  # of a client connection; less up to a tenth; 0: no limit


class ListenerPlan(Record, frozen=True):
    name: str
    bind: tuple[str, ...]  # "0.0.0.0:8080", "[::]:8080", "unix:/run/lb.sock": normalised, never ":8080"
    trusted_proxies: tuple[str, ...] = ()  # CIDR blocks
    forwarded_headers: tuple[str, ...] = ("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "via")
    proxy_status: bool = False
    limits: LimitsPlan = LimitsPlan()
    slot: int = 0


# ------------------------------------------------------------------------------------------- routes


class ValuePlan(Record, frozen=True):
    """A predicate on one named value (header, query parameter, cookie): exactly one field is set."""

    name: str  # header names in lower case
    exact: tuple[str, ...] = ()  # alternatives
    regex: str | None = None  # re.search: anchors are the operator's
    present: bool | None = None


class MatchPlan(Record, frozen=True):
    """All present predicates must hold; a tuple holds alternatives; an empty tuple: not asked."""

    listener: tuple[str, ...] = ()
    host: tuple[str, ...] = ()  # lower case; "*.example.com" matches one or more labels in front
    path: tuple[str, ...] = ()  # at most one of path, path_prefix, path_regex is present
    path_prefix: tuple[str, ...] = ()
    path_regex: tuple[str, ...] = ()
    method: tuple[str, ...] = ()
    header: tuple[ValuePlan, ...] = ()
    query: tuple[ValuePlan, ...] = ()
    cookie: tuple[ValuePlan, ...] = ()
    client_ip: tuple[str, ...] = ()  # CIDR blocks


class WeightedService(Record, frozen=True):
    service: str
    weight: int
    slot: int = 0  # counters of (route, service)


class RedirectPlan(Record, frozen=True):
    to: str  # may contain ${path} ${query} ${host} ${scheme} ${uri}
    status: int = 308


class RespondPlan(Record, frozen=True):
    status: int = 200
    body: str = ""
    headers: tuple[tuple[str, str], ...] = ()


class RewritePlan(Record, frozen=True):
    strip_prefix: str | None = None
    add_prefix: str | None = None
    regex: str | None = None  # on the path, replaced by `to` (Python's re.sub syntax)
    to: str | None = None
    host: str = "preserve"  # preserve | server | a literal host


class HeaderEditsPlan(Record, frozen=True):
    """Names in lower case; values may contain ${client_ip} ${host} ${path} ${scheme} ${request_id}."""

    set: tuple[tuple[str, str], ...] = ()
    add: tuple[tuple[str, str], ...] = ()
    remove: tuple[str, ...] = ()


class TimeoutPlan(Record, frozen=True):
    """Seconds; 0 means no limit. `response`: to the first byte of the response head. `attempt`: the same for
    each attempt, after which the next may begin."""

    connect: float = 2.0
    attempt: float = 0.0
    response: float = 30.0
    total: float = 0.0
    idle: float = 60.0


class RetryPlan(Record, frozen=True):
    """`attempts` counts further tries after the first. `on`: connect, reset, timeout, or a status number.

    `budget`: retries, as a share (0..1) of the requests of the last ten seconds; `budget_floor`: retries a
    second of this machine that are allowed whatever the share says. `backoff`, `backoff_max`: seconds; the
    wait before retry n is drawn from 0 to min(backoff_max, backoff × 2^(n-1)); 0: none. `replay`: bytes of a
    request body that are kept to be sent again. `hedge`: seconds without a response after which the request
    goes to a second server too; 0: never."""

    attempts: int = 1
    on: tuple[str, ...] = ("connect", "reset")
    methods: tuple[str, ...] = ("GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE")
    budget: float = 0.2
    budget_floor: float = 3.0
    backoff: float = 0.025
    backoff_max: float = 0.25
    replay: int = 64 * 1024
    hedge: float = 0.0


class MirrorPlan(Record, frozen=True):
    """A share (0..1) of a route's requests goes to a second service too; its answers are compared and
    dropped. `headers`: names in lower case. `max_body`: bytes of a body up to which it is sent and
    compared. `slot`: counters of (route, service) for copies."""

    service: str
    share: float = 1.0
    status: bool = True
    headers: tuple[str, ...] = ("content-type",)
    body: bool = True
    max_body: int = 64 * 1024
    slot: int = 0


class RoutePlan(Record, frozen=True):
    """A route. Exactly one of services, redirect, respond is present; one service or a split."""

    name: str
    match: MatchPlan = MatchPlan()
    priority: int = 0
    services: tuple[WeightedService, ...] = ()
    redirect: RedirectPlan | None = None
    respond: RespondPlan | None = None
    rewrite: RewritePlan | None = None
    request_headers: HeaderEditsPlan | None = None
    response_headers: HeaderEditsPlan | None = None
    timeout: TimeoutPlan = TimeoutPlan()
    retry: RetryPlan = RetryPlan()
    mirror: MirrorPlan | None = None
    slot: int = 0  # counters of the route where no service is involved (redirect, respond)


# ----------------------------------------------------------------------------------------- services


class AlgorithmPlan(Record, frozen=True):
    name: str = "round_robin"  # a registry name, or "package.module:Class"
    key: str = ""  # client_ip | host | path | uri | header:NAME | cookie:NAME | query:NAME
    options: dict[str, str | int | float | bool] = {}  # method, bounded_load, a user's own


class ServerPlan(Record, frozen=True):
    address: str  # "10.0.0.1:8080", "[::1]:8080", "name:8080", "unix:/run/app.sock"
    weight: int = 1
    backup: bool = False
    priority: int = 0  # servers of a higher number get what those of lower ones cannot take
    slot: int = 0


class ConnectionsPlan(Record, frozen=True):
    max_idle: int = 64  # idle connections kept per worker and server
    idle_timeout: float = 60.0
    max_age: float = 3600.0  # less up to a tenth, so that not all end at once
    max_per_server: int = 0  # 0: no limit. A machine-wide number, divided among the workers
    queue: int = 1000
    queue_timeout: float = 5.0


class StickyPlan(Record, frozen=True):
    """`key`: the secret by which a server's identity is signed, 32 bytes as hexadecimal digits.
    `attributes`: of Set-Cookie, finished ("; Path=/; HttpOnly"). `ttl`: seconds; 0: till the browser ends."""

    cookie: str
    key: str
    ttl: float = 0.0
    attributes: str = "; Path=/; HttpOnly; SameSite=Lax"


class BreakerPlan(Record, frozen=True):
    """Opens when of at least `min_requests` in `window` seconds a share (0..1) of `failures` failed, for
    `open` seconds; then a few requests try whether it may close."""

    failures: float = 0.5
    min_requests: int = 20
    window: float = 10.0
    open: float = 5.0


class AdaptivePlan(Record, frozen=True):
    """Bounds of the limit of concurrent requests to a server that follows its latency (gradient)."""

    least: int = 4
    most: int = 1000


class ServicePlan(Record, frozen=True):
    """`panic_threshold`: share (0..1) of usable servers below which all are used; 0: never. `slow_start`:
    seconds in which a server that came back grows to its weight. `suspect_after`: failures in a row, in one
    worker, that the worker reports to control; 0: never."""

    name: str
    algorithm: AlgorithmPlan = AlgorithmPlan()
    servers: tuple[ServerPlan, ...] = ()
    connections: ConnectionsPlan = ConnectionsPlan()
    panic_threshold: float = 0.0
    slow_start: float = 0.0
    suspect_after: int = 0
    sticky: StickyPlan | None = None
    server_breaker: BreakerPlan | None = None
    service_breaker: BreakerPlan | None = None
    adaptive: AdaptivePlan | None = None


class StatePlan(Record, frozen=True):
    """What control knows of one server and the file does not: sent beside the plan, and whenever it changes.
    A server without one is usable at its weight.

    `usable`: gets new exchanges. `draining`: not new ones, but those of sticky sessions it has. `weight`:
    factor on the weight of the file (an agent's or an operator's word). `warm_from`: monotonic seconds
    (CLOCK_MONOTONIC is the same in all processes) at which a slow start began; 0: none. `why`: one short text
    for people."""

    service: str
    address: str
    usable: bool = True
    draining: bool = False
    weight: float = 1.0
    warm_from: float = 0.0
    why: str = ""


# ------------------------------------------------------------------------------------------ the plan


class AccessLogPlan(Record, frozen=True):
    path: str = "stdout"  # stdout | stderr | a file | syslog:…
    format: str = "json"  # json | common | combined | a template with ${fields}
    sample: float = 1.0  # of the ordinary exchanges
    slow: float = 1.0  # seconds from which an exchange is always logged
    subnet: bool = False  # of clients, only their networks
    query: tuple[str, ...] = ()  # parameters whose values are hidden; "*": all
    omit: tuple[str, ...] = ()  # fields that are left out


class DecisionsPlan(Record, frozen=True):
    """Which exchanges a worker keeps beside those that failed: of at least `slow` seconds (0: none for that),
    and a `sample` (0..1). `debug_key` signs X-LB-Debug; "": nobody may ask so."""

    slow: float = 1.0
    sample: float = 0.01
    debug_key: str = ""


class TracingPlan(Record, frozen=True):
    """`sample` (0..1) of the traces that begin here are sampled. `accept`: a client's trace goes on here.
    `export`: control has somebody to send spans to."""

    sample: float = 0.01
    accept: bool = True
    export: bool = False


class TailPlan(Record, frozen=True):
    """Somebody who looks on: requests on which `condition` holds, up to `rate` a second."""

    id: int
    condition: Condition
    rate: int


class Plan(Record, frozen=True):
    generation: int
    listeners: tuple[ListenerPlan, ...] = ()
    routes: tuple[RoutePlan, ...] = ()  # in the order of the file
    services: tuple[ServicePlan, ...] = ()
    access_log: AccessLogPlan | None = None
    decisions: DecisionsPlan = DecisionsPlan()
    tracing: TracingPlan | None = None
    shutdown_grace: float = 30.0


class Update(Record, frozen=True):
    """The Plan of generation `base` becomes that of `generation`: these services, which it has, are others;
    all else stays."""

    base: int
    generation: int
    services: tuple[ServicePlan, ...]
