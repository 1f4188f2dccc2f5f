"""What is done with requests of one Route, and what a Listener demands: compiled once per generation.

Lives here: the numbers and objects that the hot path reads, next to each other. Part of a Snapshot:
immutable. Must not live here: predicates and rewrites themselves (lb.routing), choice (lb.upstream).
"""

from __future__ import annotations

import ipaddress

import cython
from msgspec.structs import replace

from lb.http1.fields import (
    FORWARDED,
    IMPOSTOR,
    X_FORWARDED_FOR,
    X_FORWARDED_HOST,
    X_FORWARDED_PROTO,
    X_LB_DEBUG,
)
from lb.http1.hopbyhop import HOP_BY_HOP
from lb.plan import HeaderEditsPlan, ListenerPlan, MatchPlan, MirrorPlan, RoutePlan, WeightedService
from lb.proxy.budget import Budget
from lb.routing.route import Route
from lb.upstream.service import Service

# The client's own claims about where a request came from: forwarded only where they are believed.
_CLAIMS: int = (1 << FORWARDED) | (1 << X_FORWARDED_FOR) | (1 << X_FORWARDED_PROTO) | (1 << X_FORWARDED_HOST)

# By this field a server sees that a request is a copy.
MARK: bytes = b"x-mirror"
# Seconds that a copy may take where the route has no limit: nobody waits for it, but its place is taken.
_MOST_SECONDS = 60.0


@cython.cclass
class RouteRules:
    """One Route with its Services. Times in seconds, 0 for no limit; `services` is empty for redirect and
    respond. `slots` are the counter blocks of (route, service), in the order of `services`. `budget` is None
    until the generation is published: it is that of the route's name, whatever the generation."""

    route: Route
    label: bytes
    services: list[Service]
    slots: list[int]
    slot: cython.Py_ssize_t
    connect: cython.double
    response: cython.double
    attempt: cython.double
    total: cython.double
    idle: cython.double
    attempts: cython.int
    retry_connect: cython.bint
    retry_reset: cython.bint
    retry_timeout: cython.bint
    retry_statuses: frozenset[int]
    retry_methods: frozenset[bytes]
    budget: Budget
    budget_share: cython.double
    budget_floor: cython.double  # retries a second of the whole machine
    backoff: cython.double
    backoff_max: cython.double
    replay: cython.Py_ssize_t  # bytes of a request body that are kept to be sent again
    hedge: cython.double
    plain: cython.bint  # nothing about the request head is rewritten or edited
    mirror: MirrorRules | None

    def __init__(
        self, route: Route, plan: RoutePlan, services: list[Service], mirror: MirrorRules | None = None
    ) -> None:
        self.route = route
        self.label = plan.name.encode()
        self.services = services
        self.slots = [s.slot for s in plan.services]
        self.slot = self.slots[0] if self.slots else plan.slot
        self.connect = plan.timeout.connect
        self.response = plan.timeout.response
        self.attempt = plan.timeout.attempt
        self.total = plan.timeout.total
        self.idle = plan.timeout.idle
        self.attempts = plan.retry.attempts
        self.retry_connect = "connect" in plan.retry.on
        self.retry_reset = "reset" in plan.retry.on
        self.retry_timeout = "timeout" in plan.retry.on
        self.retry_statuses = frozenset(int(word) for word in plan.retry.on if word.isdigit())
        self.retry_methods = frozenset(m.encode() for m in plan.retry.methods)
        self.budget = None  # type: ignore[assignment]
        self.budget_share = plan.retry.budget
        self.budget_floor = plan.retry.budget_floor
        self.backoff = plan.retry.backoff
        self.backoff_max = plan.retry.backoff_max
        self.replay = plan.retry.replay
        self.hedge = plan.retry.hedge
        self.plain = route.rewrite is None and route.request_edits is None
        self.mirror = mirror

    def __repr__(self) -> str:
        return f"<RouteRules {self.label.decode()} → {', '.join(s.name for s in self.services) or 'lb'}>"


@cython.cclass
class MirrorRules:
    """The copies of a `share` (0..1) of a Route's requests to `service`, and what of the answers is compared.
    `rules`: how a copy is sent: like the original, but once, and marked. `slot`: counters of the copies."""

    rules: RouteRules
    service: Service
    slot: cython.Py_ssize_t
    share: cython.double
    status: cython.bint
    headers: tuple[bytes, ...]  # lower case
    body: cython.bint
    max_body: cython.longlong

    def __init__(self, route: RoutePlan, plan: MirrorPlan, service: Service) -> None:
        copied = replace(
            route,
            match=MatchPlan(),
            services=(WeightedService(plan.service, 1, plan.slot),),
            request_headers=_marked(route.request_headers or HeaderEditsPlan()),
            response_headers=None,
            timeout=replace(route.timeout, total=route.timeout.total or _MOST_SECONDS),
            retry=replace(route.retry, attempts=0, hedge=0.0),
            mirror=None,
        )
        self.rules = RouteRules(Route(copied, 0), copied, [service])
        self.service = service
        self.slot = plan.slot
        self.share = plan.share
        self.status = plan.status
        self.headers = tuple([name.encode() for name in plan.headers])
        self.body = plan.body
        self.max_body = plan.max_body

    def __repr__(self) -> str:
        return f"<MirrorRules {self.share:.0%} of {self.rules.label.decode()} → {self.service.name}>"


def _marked(edits: HeaderEditsPlan) -> HeaderEditsPlan:
    """With the mark of a copy, and no other one."""
    name = MARK.decode()
    kept, added = ([pair for pair in pairs if pair[0] != name] for pairs in (edits.set, edits.add))
    return HeaderEditsPlan((*kept, (name, "1")), tuple(added), edits.remove)


@cython.cclass
class ListenerRules:
    """One Listener: limits, whom it believes, what it says to servers about the client."""

    name: str
    label: bytes
    slot: cython.Py_ssize_t
    max_connections: cython.longlong
    header_timeout: cython.double
    idle_timeout: cython.double
    max_age: cython.double
    body_timeout: cython.double
    max_header_bytes: cython.Py_ssize_t
    max_headers: cython.int
    max_body: cython.longlong
    add_for: cython.bint
    add_proto: cython.bint
    add_host: cython.bint
    add_forwarded: cython.bint
    add_via: cython.bint
    proxy_status: cython.bint
    drop: cython.ulonglong  # field lines that never go to a server: bits of Head.seen
    networks: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]

    def __init__(self, plan: ListenerPlan) -> None:
        limits = plan.limits
        self.name = plan.name
        self.label = plan.name.encode()
        self.slot = plan.slot
        self.max_connections = limits.max_connections
        self.header_timeout = limits.header_timeout
        self.idle_timeout = limits.idle_timeout
        self.max_age = limits.max_age
        self.body_timeout = limits.body_timeout
        self.max_header_bytes = limits.max_header_bytes
        self.max_headers = limits.max_headers
        self.max_body = limits.max_body
        added = {name.lower() for name in plan.forwarded_headers}
        self.add_for = "x-forwarded-for" in added
        self.add_proto = "x-forwarded-proto" in added
        self.add_host = "x-forwarded-host" in added
        self.add_forwarded = "forwarded" in added
        self.add_via = "via" in added
        self.proxy_status = plan.proxy_status
        self.drop = HOP_BY_HOP | _CLAIMS | (1 << IMPOSTOR) | (1 << X_LB_DEBUG)
        self.networks = tuple(ipaddress.ip_network(block, strict=False) for block in plan.trusted_proxies)

    def trusts(self, address: str) -> bool:
        """Whether the claims of a client with this address are believed."""
        if not self.networks:
            return False
        try:
            ip = ipaddress.ip_address(address)
        except ValueError:
            return False
        if ip.version == 6 and ip.ipv4_mapped is not None:
            ip = ip.ipv4_mapped
        return any(ip.version == network.version and ip in network for network in self.networks)
