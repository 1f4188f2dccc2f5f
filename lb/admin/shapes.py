"""The shape of the admin API's answers: plans, cells and facts as JSON-ready data.

Pure functions over what lb.admin.view gives. Must not live here: HTTP.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from lb import __version__
from lb.admin.view import ControlView, Event, Problem, Reload
from lb.plan import MirrorPlan, Plan, RoutePlan, ServerPlan, ServicePlan
from lb.telemetry import layout
from lb.telemetry.buckets import CLASSIC_ENDS
from lb.telemetry.cells import Cells
from lb.telemetry.facts import WorkerFacts
from lb.telemetry.traffic import CONNECTION_STATES, DIFFERENCES

Data = dict[str, object]
ServerStatus = Callable[[str, str], Mapping[str, object]]  # service, address: ControlView.server_status


def status(control: ControlView, now: float) -> Data:
    conditions = control.conditions()
    reload = control.last_reload
    listeners = control.plan.listeners if control.plan is not None else ()
    slots = [listener.slot for listener in listeners]
    return {
        "version": __version__,
        "python": platform.python_version(),
        "pid": os.getpid(),
        "started": moment(control.started),
        "uptime": _age(control.started, now),
        "ready": all(condition.ok for condition in conditions),
        "conditions": [condition._asdict() for condition in conditions],
        "generation": control.generation,
        "workers": [_worker(control.cells, worker, slots, now) for worker in control.workers()],
        "listeners": [
            {"name": plan.name, "bind": list(plan.bind), **_listener(control.cells, plan.slot)}
            for plan in listeners
        ],
        "last_reload": None if reload is None else {**reloaded(reload), "age": _age(reload.at, now)},
    }


def routes(plan: Plan | None, cells: Cells) -> list[Data]:
    """In the order of the file, which is not the order of precedence."""
    return [] if plan is None else [_route(route, cells) for route in plan.routes]


def services(
    plan: Plan | None, cells: Cells, states: Mapping[str, Mapping[str, str]], status: ServerStatus
) -> list[Data]:
    if plan is None:
        return []
    return [_service(s, cells, states.get(s.name, {}), status) for s in plan.services]


def reloaded(reload: Reload) -> Data:
    """A reload's result; `problems` and `error` only where it failed."""
    found: Data = {
        "ok": reload.ok,
        "generation": reload.generation,
        "at": moment(reload.at),
        "trigger": reload.trigger,
        "changes": list(reload.changes),
    }
    if not reload.ok:
        found["problems"] = problems(reload.problems)
        found["error"] = reload.error
    return found


def problems(found: Sequence[Problem]) -> list[Data]:
    return [
        {"file": p.file, "line": p.line, "column": p.column, "path": p.path, "message": p.message}
        for p in found
    ]


def dated(status: Mapping[str, object]) -> Data:
    """A server's status (ControlView.server_status) with its unix seconds as moments."""
    found = dict(status)
    check = found.get("check")
    if isinstance(check, Mapping):
        found["check"] = {**check, "at": moment(check["at"] or 0.0)}
    layers = found.get("layers")
    if isinstance(layers, Mapping) and layers["override"] is not None:
        ordered = layers["override"]
        times = {name: moment(ordered[name] or 0.0) for name in ("since", "until")}
        found["layers"] = {**layers, "override": {**ordered, **times}}
    evidence = found.get("evidence")
    if isinstance(evidence, list):
        found["evidence"] = [
            {**one, "at": moment(one["at"]), "until": moment(one["until"] or 0.0)} for one in evidence
        ]
    return found


def event(told: Event) -> Data:
    return {
        "number": told.number,
        "at": moment(told.at),
        "kind": told.kind,
        "reason": told.reason,
        "service": told.service,
        "server": told.server,
        "text": told.text,
        "facts": told.facts,
    }


def moment(seconds: float) -> str | None:
    """Unix seconds as RFC 3339; None for 0, which means never."""
    if not seconds:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _age(since: float, now: float) -> float | None:
    return round(max(0.0, now - since), 3) if since else None


def _worker(cells: Cells, worker: WorkerFacts, listeners: list[int], now: float) -> Data:
    region = worker.worker
    return {
        "worker": region,
        "pid": worker.pid or None,
        "state": worker.state,
        "generation": worker.generation,
        "started": moment(worker.started),
        "uptime": _age(worker.started, now) if worker.pid else None,
        "restarts": worker.restarts,
        "connections": sum(cells.of(region, slot + layout.LISTENER_CONNECTIONS) for slot in listeners),
        "tunnels": sum(cells.of(region, slot + layout.LISTENER_TUNNELS) for slot in listeners),
        "loop_lag": cells.of(region, layout.WORKER_LAG_US) / 1e6,
    }


def _listener(cells: Cells, slot: int) -> Data:
    block = cells.totals(slot, layout.LISTENER_SIZE)
    return {
        "connections": block[layout.LISTENER_CONNECTIONS],
        "tunnels": block[layout.LISTENER_TUNNELS],
        "accepted": block[layout.LISTENER_ACCEPTED],
        "rejected": block[layout.LISTENER_REJECTED],
        "requests": block[layout.LISTENER_REQUESTS],
        "bytes_in": block[layout.LISTENER_BYTES_IN],
        "bytes_out": block[layout.LISTENER_BYTES_OUT],
    }


def _route(route: RoutePlan, cells: Cells) -> Data:
    found: Data = {
        "name": route.name,
        "priority": route.priority,
        "match": msgspec.to_builtins(route.match),
    }
    if route.redirect is not None:
        found["redirect"] = {"to": route.redirect.to, "status": route.redirect.status}
    if route.respond is not None:
        found["respond"] = {"status": route.respond.status}
    if route.rewrite is not None:
        found["rewrite"] = msgspec.to_builtins(route.rewrite)
    if route.mirror is not None:
        found["mirror"] = _mirror(route.mirror, cells)
    if route.services:
        found["services"] = [
            {"service": s.service, "weight": s.weight, **_exchanges(cells, s.slot)} for s in route.services
        ]
    else:
        found |= _exchanges(cells, route.slot)
    return found


def _mirror(mirror: MirrorPlan, cells: Cells) -> Data:
    block = cells.totals(mirror.slot, layout.MIRROR_SIZE)
    return {
        "service": mirror.service,
        "share": mirror.share,
        "compare": {"status": mirror.status, "headers": list(mirror.headers), "body": mirror.body},
        "max_body": mirror.max_body,
        "in_flight": block[layout.MIRROR_IN_FLIGHT],
        "requests": block[layout.MIRROR_REQUESTS],
        "different": {word: block[at] for word, at in DIFFERENCES},
        "failed": block[layout.MIRROR_FAILED],
        "skipped": block[layout.MIRROR_SKIPPED],
    }


def _exchanges(cells: Cells, slot: int) -> Data:
    block = cells.summary(slot, layout.ROUTE_DURATION_CELLS, CLASSIC_ENDS)
    return {
        "in_flight": block[layout.ROUTE_IN_FLIGHT],
        "requests": _classes(block, layout.ROUTE_CLASS),
        "retries": block[layout.ROUTE_RETRIES],
        "bytes_in": block[layout.ROUTE_BYTES_IN],
        "bytes_out": block[layout.ROUTE_BYTES_OUT],
        "duration_average": _average(block, layout.ROUTE_DURATION_SUM, layout.ROUTE_DURATION_CELLS),
    }


def _service(service: ServicePlan, cells: Cells, states: Mapping[str, str], status: ServerStatus) -> Data:
    return {
        "name": service.name,
        "algorithm": service.algorithm.name,
        "key": service.algorithm.key or None,
        "servers": [
            _server(
                server, cells, states.get(server.address, "unknown"), status(service.name, server.address)
            )
            for server in service.servers
        ],
    }


def _server(server: ServerPlan, cells: Cells, state: str, status: Mapping[str, object]) -> Data:
    block = cells.summary(server.slot, layout.SERVER_DURATION_CELLS, CLASSIC_ENDS)
    connections: Data = {name: block[at] for name, at in CONNECTION_STATES}
    connections["opened"] = block[layout.SERVER_CONNECTIONS]
    connections["reused"] = block[layout.SERVER_REUSED]
    return {
        "address": server.address,
        "weight": server.weight,
        "backup": server.backup,
        "state": state,
        **dated(status),
        "in_flight": block[layout.SERVER_IN_FLIGHT],
        "requests": _classes(block, layout.SERVER_CLASS),
        "breaker_open": block[layout.SERVER_BREAKER],
        "limit": block[layout.SERVER_LIMIT] or None,
        "failures": block[layout.SERVER_FAILURES],
        "connect_failures": block[layout.SERVER_CONNECT_FAILURES],
        "bytes_in": block[layout.SERVER_BYTES_IN],
        "bytes_out": block[layout.SERVER_BYTES_OUT],
        "response_average": _average(block, layout.SERVER_DURATION_SUM, layout.SERVER_DURATION_CELLS),
        "connections": connections,
    }


def _classes(block: list[int], at: int) -> Data:
    return {f"{digit}xx": block[at + digit] for digit in range(1, 6)}


def _average(block: list[int], total: int, buckets: int) -> float | None:
    """Seconds; None before the first."""
    count = sum(block[buckets:])
    return round(block[total] / count / 1e6, 6) if count else None
