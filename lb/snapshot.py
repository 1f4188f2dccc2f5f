"""Snapshot: a Plan and the worker's State made into everything that a worker needs to route; all or nothing.

Lives here: the building, in slices, and what publishing changes on the State. Until `publish` nothing that
the generation in force uses is touched. Must not live here: I/O, and anything per request.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from random import Random

from lb.balancing.keys import compile_key
from lb.balancing.registry import make
from lb.plan import Plan, RoutePlan, ServerPlan, ServicePlan
from lb.proxy.rules import ListenerRules, MirrorRules, RouteRules
from lb.routing.route import Route
from lb.routing.table import Table, build_steps
from lb.telemetry.accesslog import LineFormat, compile_format
from lb.upstream.group import Group
from lb.upstream.registry import Registry
from lb.upstream.server import Server
from lb.upstream.service import Service
from lb.upstream.sticky import Sticky

# Servers or routes made between two yields: well under 10 ms.
_SLICE = 100


class SnapshotError(ValueError):
    """The plan cannot be run; the generation in force stays."""


class Snapshot:
    """One compiled generation. Immutable once published; `routes` in the order of the file."""

    def __init__(
        self,
        plan: Plan,
        listeners: dict[str, ListenerRules],
        table: Table,
        routes: list[RouteRules],
        services: dict[str, Service],
        members: list[tuple[Server, ServerPlan, ServicePlan]],
        line: LineFormat | None,
    ) -> None:
        self.plan = plan
        self.generation = plan.generation
        self.listeners = listeners
        self.table = table
        self.routes = routes
        self.services = services
        self.members = members
        self.line = line

    def __repr__(self) -> str:
        return f"<Snapshot {self.generation}: {len(self.routes)} routes, {len(self.services)} services>"

    def take_effect(self, registry: Registry) -> None:
        """Give the Servers their new weights, limits and counters, and the algorithms their members."""
        for server, plan, service_plan in self.members:
            connections = service_plan.connections
            server.configure(plan, connections, service_plan.suspect_after)
            server.guard(service_plan.server_breaker, service_plan.adaptive)
            pool = server.pool
            pool.max_idle = connections.max_idle
            pool.idle_timeout = connections.idle_timeout
            pool.max_age = connections.max_age
        for service_plan in self.plan.services:
            service = self.services[service_plan.name]
            service.breaker = registry.breaker(service.name, service_plan.service_breaker)
            service.refresh()
        registry.reconcile(self.plan.services)


def build(
    plan: Plan, registry: Registry, rng: Random, clock: Callable[[], float]
) -> Generator[None, None, Snapshot]:
    """Build a Snapshot; yields between slices of a few milliseconds so that the loop never stalls.

    Raises SnapshotError, naming what is wrong, when the plan cannot be run."""
    services: dict[str, Service] = {}
    members: list[tuple[Server, ServerPlan, ServicePlan]] = []
    for service_plan in plan.services:
        servers: list[Server] = []
        for number, server_plan in enumerate(service_plan.servers):
            if number % _SLICE == _SLICE - 1:
                yield
            server = registry.server(service_plan.name, server_plan.address)
            servers.append(server)
            members.append((server, server_plan, service_plan))
        services[service_plan.name] = _service(service_plan, servers, rng, clock)
        yield
    try:
        listeners = {p.name: ListenerRules(p) for p in plan.listeners}
        table = yield from build_steps(plan.routes)
        line = compile_format(plan.access_log.format) if plan.access_log is not None else None
    except ValueError as error:
        raise SnapshotError(str(error)) from error
    routes: list[RouteRules] = []
    route: Route
    for number, route in enumerate(table.routes):
        if number % _SLICE == _SLICE - 1:
            yield
        route_plan = plan.routes[number]
        try:
            used = [services[s.service] for s in route_plan.services]
            mirror = _mirror(route_plan, services)
        except KeyError as error:
            raise SnapshotError(f"route {route_plan.name}: there is no service {error.args[0]!r}") from None
        routes.append(RouteRules(route, route_plan, used, mirror))
    return Snapshot(plan, listeners, table, routes, services, members, line)


def _mirror(route: RoutePlan, services: dict[str, Service]) -> MirrorRules | None:
    if route.mirror is None:
        return None
    return MirrorRules(route, route.mirror, services[route.mirror.service])


def _service(plan: ServicePlan, servers: list[Server], rng: Random, clock: Callable[[], float]) -> Service:
    grouped: dict[tuple[bool, int], list[Server]] = {}
    for server_plan, server in zip(plan.servers, servers, strict=True):
        grouped.setdefault((server_plan.backup, server_plan.priority), []).append(server)
    try:
        groups = [
            Group(members, make(plan.algorithm, len(members), rng, clock), priority, backup, rng)
            for (backup, priority), members in sorted(grouped.items(), key=lambda item: item[0])
        ]
        if not groups:  # an algorithm that cannot be used is found even where it has no server yet
            make(plan.algorithm, 0, rng, clock)
        key = compile_key(plan.algorithm.key) if plan.algorithm.key else None
        sticky = Sticky(plan.sticky, plan.name, servers) if plan.sticky is not None else None
    except ValueError as error:
        raise SnapshotError(f"service {plan.name}: {error}") from error
    return Service(plan, groups, servers, key, sticky, rng, clock)
