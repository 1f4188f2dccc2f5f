"""Planning: a Spec and the slots of its counters → the Plan that workers run.

Lives here: filling in what the Spec left to defaults, in the units of the Plan. Must not live here:
checks (lb.config did them) and state.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from lb.config.accesslog import access_log_plan
from lb.config.decisions import decisions_plan
from lb.config.listeners import ListenerSpec
from lb.config.routeplan import route_plan
from lb.config.serviceplan import algorithm_plan, breaker_plan, sticky_plan
from lb.config.services import ServiceSpec
from lb.config.spec import Spec
from lb.config.tracing import tracing_plan
from lb.discovery.contract import Member
from lb.plan import (
    AdaptivePlan,
    ConnectionsPlan,
    LimitsPlan,
    ListenerPlan,
    Plan,
    ServerPlan,
    ServicePlan,
)


class Slots(Protocol):
    """Who allots the counters, by identity (lb.telemetry.ledger)."""

    def listener(self, name: str) -> int: ...
    def route(self, route: str, service: str) -> int: ...
    def mirror(self, route: str, service: str) -> int: ...
    def server(self, service: str, address: str) -> int: ...


Members = Callable[[str], Sequence[Member]]


def nobody(service: str) -> Sequence[Member]:
    """The members of a service that nobody has discovered."""
    return ()


def make_plan(
    spec: Spec, generation: int, ledger: Slots, sticky_key: str = "", members: Members = nobody
) -> Plan:
    """The Plan of a Spec. Routes stay in the order of the file. `members`: of a service by discovery; where
    the file has the same server, the file counts. `sticky_key`: 64 hexadecimal digits that sign the cookies
    of services whose `sticky` names no secret; "" only for a plan that serves nobody."""
    log = spec.access_log
    return Plan(
        generation=generation,
        listeners=tuple(_listener(listener, ledger) for listener in spec.listeners),
        routes=tuple(
            route_plan(route, partial(ledger.route, route.name), partial(ledger.mirror, route.name))
            for route in spec.routes
        ),
        services=tuple(
            service_plan(name, service, ledger, sticky_key, members(name))
            for name, service in spec.services.items()
        ),
        access_log=None if log is None else access_log_plan(log),
        decisions=decisions_plan(spec.decisions),
        tracing=None if spec.tracing is None else tracing_plan(spec.tracing),
        shutdown_grace=spec.shutdown_grace,
    )


def _listener(listener: ListenerSpec, ledger: Slots) -> ListenerPlan:
    return ListenerPlan(
        name=listener.name,
        bind=listener.bind,
        trusted_proxies=listener.trusted_proxies,
        forwarded_headers=listener.forwarded_headers,
        proxy_status=listener.proxy_status,
        limits=LimitsPlan(**listener.limits.model_dump()),
        slot=ledger.listener(listener.name),
    )


def service_plan(
    name: str, service: ServiceSpec, ledger: Slots, sticky_key: str, members: Sequence[Member]
) -> ServicePlan:
    """One service of a Plan; as in make_plan."""
    written = {server.address: server for server in service.servers if server.resolve is None}
    breaker, adaptive = service.breaker, service.adaptive_concurrency
    return ServicePlan(
        name=name,
        algorithm=algorithm_plan(service.algorithm),
        servers=tuple(
            ServerPlan(
                server.address,
                server.weight,
                server.backup,
                server.priority,
                ledger.server(name, server.address),
            )
            for server in written.values()
        )
        + tuple(
            ServerPlan(
                member.address,
                member.weight,
                member.backup,
                priority=member.priority,
                slot=ledger.server(name, member.address),
            )
            for member in members
            if member.address not in written
        ),
        connections=ConnectionsPlan(**service.connections.model_dump()),
        panic_threshold=service.panic_threshold,
        slow_start=service.slow_start,
        suspect_after=0 if service.outlier is None else service.outlier.consecutive_failures,
        sticky=sticky_plan(service.sticky, sticky_key),
        server_breaker=None if breaker is None else breaker_plan(breaker.server),
        service_breaker=None if breaker is None else breaker_plan(breaker.service),
        adaptive=None if adaptive is None else AdaptivePlan(adaptive.least, adaptive.most),
    )
