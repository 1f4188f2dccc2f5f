"""Lint: what is valid and still likely wrong, and the configuration's own tests.

Lives here: the list of findings. Shadowing is decided in lb.config.shadow, tests are run in
lb.config.cases, settings that have no effect are found in lb.config.doubts, and whether a plan
can be compiled is asked of the rooms that compile it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from random import Random
from typing import Literal

from lb.balancing.contract import AlgorithmError
from lb.balancing.registry import make
from lb.config.cases import failures
from lb.config.catalog import service_name
from lb.config.doubts import doubts
from lb.config.merge import NAMED, Loc, Merged
from lb.config.problems import Problem
from lb.config.routeplan import route_plan
from lb.config.serviceplan import algorithm_plan
from lb.config.shadow import hidden_routes
from lb.config.spec import Spec
from lb.routing.route import RouteError
from lb.routing.table import build_table
from lb.telemetry import spans


def lint(spec: Spec, merged: Merged | None = None) -> list[Problem]:
    """All findings: failing tests and what workers would refuse as errors, the rest as warnings.
    `merged` (lb.config.load.read) gives their places."""
    found = [*_algorithms(spec), *_routes(spec), *_extras(spec), *_unused(spec), *_doubts(spec)]
    return sorted(
        (_problem(merged, *finding) for finding in found),
        key=lambda problem: (problem.file, problem.line, problem.column),
    )


Severity = Literal["error", "warning"]
Finding = tuple[Severity, Loc, str, bool]  # bool: the place of the key, not of the value


def _problem(merged: Merged | None, severity: Severity, loc: Loc, message: str, key: bool) -> Problem:
    if merged is None:
        return Problem("", 0, 0, ".".join(map(str, loc)), message, severity)
    return Problem(*merged.where(loc, key), merged.path(loc, key), message, severity)


def _algorithms(spec: Spec) -> Iterator[Finding]:
    """A class of the operator's own may be missing, or refuse its options."""
    for name, service in spec.services.items():
        try:
            make(algorithm_plan(service.algorithm), len(service.servers) or 1, Random(0), time.monotonic)
        except AlgorithmError as error:
            yield "error", (NAMED, name, "algorithm"), str(error), False


def _routes(spec: Spec) -> Iterator[Finding]:
    plans = [route_plan(route) for route in spec.routes]
    try:
        table = build_table(plans)
    except RouteError as error:
        yield "error", ("routes",), str(error), False
        return
    names = [route.name for route in spec.routes]
    for hidden in hidden_routes(table.routes, plans, [listener.name for listener in spec.listeners]):
        takers = ", ".join(f'"{names[index]}"' for index in hidden.by)
        verb = "takes" if len(hidden.by) == 1 else "together take"
        yield (
            "warning",
            ("routes", hidden.route),
            f'the route "{names[hidden.route]}" can never win: {takers} {verb} every request that it matches',
            False,
        )
    for index, message in failures(spec, table):
        yield "error", ("tests", index), message, False


def _extras(spec: Spec) -> Iterator[Finding]:
    if spec.tracing is not None and spec.tracing.endpoint is not None and (missing := spans.lacking()):
        yield "error", ("tracing", "endpoint"), missing, False


def _doubts(spec: Spec) -> Iterator[Finding]:
    for loc, message in doubts(spec):
        yield "warning", loc, message, False


def _unused(spec: Spec) -> Iterator[Finding]:
    used = {route.service for route in spec.routes} | {
        share.service for route in spec.routes for share in route.split
    }
    used |= {route.mirror.service for route in spec.routes if route.mirror is not None}
    catalog = spec.discovery.consul.catalog is not None
    for name, service in spec.services.items():
        if name not in used and not (catalog and name.startswith(service_name(""))):
            yield "warning", (NAMED, name), f'no route uses the service "{name}"', True
        if service.servers and not service.discover and all(s.backup for s in service.servers):
            yield "warning", (NAMED, name), "all servers are backups: they serve every request", True
    if not spec.routes and not catalog:
        yield "warning", ("routes",), "there are no routes: every request gets 404", False
