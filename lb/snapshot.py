"""Snapshot: a Plan and the worker's State made into everything that a worker needs to route; all or nothing.

Lives here: the building, in slices, and what publishing changes on the State. Until `publish` nothing that
the generation in force uses is touched. Must not live here: I/O, and anything per request.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from random import Random

from lb.balancing.keys import compile_key
from lb.balancing.registry import make
from lb.plan import AccessLogPlan, Plan, RoutePlan, ServicePlan, Update
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
        line: LineFormat | None,
        used_by: dict[str, list[int]],
        update: Update | None = None,
    ) -> None:
        """`used_by`: by service, the numbers of the routes that it is part of. `update`: what alone is not
        shared with the Snapshot before."""
        self.plan = plan
        self.generation = plan.generation
        self.listeners = listeners
        self.table = table
        self.routes = routes
        self.services = services
        self.line = line
        self.used_by = used_by
        self.fresh = plan.services if update is None else update.services
        self.whole = update is None

    def __repr__(self) -> str:
        return f"<Snapshot {self.generation}: {len(self.routes)} routes, {len(self.services)} services>"

    def take_effect(self, registry: Registry) -> None:
        """Give the Servers their new weights, limits and counters, and the algorithms their members."""
        for service_plan in self.fresh:
            service = self.services[service_plan.name]
            connections = service_plan.connections
            for server, plan in zip(service.servers, service_plan.servers, strict=True):
                server.configure(plan, connections, service_plan.suspect_after)
                server.guard(service_plan.server_breaker, service_plan.adaptive)
                pool = server.pool
                pool.max_idle = connections.max_idle
                pool.idle_timeout = connections.idle_timeout
                pool.max_age = connections.max_age
            service.breaker = registry.breaker(service.name, service_plan.service_breaker)
            service.refresh()
        registry.reconcile(self.fresh, self.whole)

    def changed_routes(self) -> Iterable[int]:
        """The numbers of the routes that are not shared with the Snapshot before."""
        if self.whole:
            return range(len(self.routes))
        return sorted({n for service in self.fresh for n in self.used_by.get(service.name, ())})


def _line(log: AccessLogPlan) -> LineFormat:
    return compile_format(
        log.format, sample=log.sample, slow=log.slow, subnet=log.subnet, query=log.query, omit=log.omit
    )


def build(
    plan: Plan, registry: Registry, rng: Random, clock: Callable[[], float]
) -> Generator[None, None, Snapshot]:
    """Build a Snapshot; yields between slices of a few milliseconds so that the loop never stalls.

    Raises SnapshotError, naming what is wrong, when the plan cannot be run."""
    services = yield from _services(plan.services, registry, rng, clock)
    try:
        listeners = {p.name: ListenerRules(p) for p in plan.listeners}
        table = yield from build_steps(plan.routes)
        line = _line(plan.access_log) if plan.access_log is not None else None
    except ValueError as error:
        raise SnapshotError(str(error)) from error
    routes: list[RouteRules] = []
    used_by: dict[str, list[int]] = {}
    for number, route in enumerate(table.routes):
        if number % _SLICE == _SLICE - 1:
            yield
        route_plan = plan.routes[number]
        routes.append(_rules(route, route_plan, services))
        for name in _used(route_plan):
            used_by.setdefault(name, []).append(number)
    return Snapshot(plan, listeners, table, routes, services, line, used_by)


def build_update(
    before: Snapshot, plan: Plan, update: Update, registry: Registry, rng: Random, clock: Callable[[], float]
) -> Generator[None, None, Snapshot]:
    """As `build`, of a plan that differs from that of `before` by `update` alone: all that this does not
    touch is shared, the services that stay with their algorithms as they are."""
    fresh = yield from _services(update.services, registry, rng, clock)
    services = before.services | fresh
    made = Snapshot(
        plan, before.listeners, before.table, [*before.routes], services, before.line, before.used_by, update
    )
    for number in made.changed_routes():
        made.routes[number] = _rules(before.table.routes[number], plan.routes[number], services)
    return made


def _services(
    plans: Sequence[ServicePlan], registry: Registry, rng: Random, clock: Callable[[], float]
) -> Generator[None, None, dict[str, Service]]:
    services: dict[str, Service] = {}
    for service_plan in plans:
        servers: list[Server] = []
        for number, server_plan in enumerate(service_plan.servers):
            if number % _SLICE == _SLICE - 1:
                yield
            server = registry.server(service_plan.name, server_plan.address)
            servers.append(server)
        services[service_plan.name] = _service(service_plan, servers, rng, clock)
        yield
    return services


def _used(route: RoutePlan) -> set[str]:
    """The names of the services that a route forwards or copies to."""
    mirrored = {route.mirror.service} if route.mirror is not None else set()
    return {weighted.service for weighted in route.services} | mirrored


def _rules(route: Route, plan: RoutePlan, services: dict[str, Service]) -> RouteRules:
    try:
        used = [services[s.service] for s in plan.services]
        mirror = _mirror(plan, services)
    except KeyError as error:
        raise SnapshotError(f"route {plan.name}: there is no service {error.args[0]!r}") from None
    return RouteRules(route, plan, used, mirror)


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
