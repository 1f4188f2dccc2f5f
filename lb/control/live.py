"""The live view: once a second what every listener, route, service and server does, and its last hour.

Lives here: whose counters are read, the rows that are shown of them, what changed since the last second, who
follows. Must not live here: rates and rings (lb.telemetry.series), HTTP (lb.admin.live).
"""

from __future__ import annotations

import asyncio
import time
from array import array
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lb.admin.view import Row, Rows
from lb.outcomes import Outcome
from lb.plan import ListenerPlan, Plan, RoutePlan, ServerPlan, ServicePlan
from lb.telemetry import layout
from lb.telemetry.buckets import CLASSIC_ENDS
from lb.telemetry.cells import Cells
from lb.telemetry.series import NOTHING, Points, Series, added, counts_of

MOST_RINGS = 5000  # series with a last hour; about 50 MiB
Identity = tuple[
    str, ...
]  # (total,) · (listener, name) · (route, name) · (service, name) · (server, service, address)
TOTAL: Identity = ("total",)

Standing = Callable[[str, str], Mapping[str, Any]]


class Live:
    """One per control process, in its loop. `standing` gives what control knows of a server (status, reasons,
    order), `facts` what is shown of the whole lb, `origins` says where a route or service comes from that is
    not in the file."""

    def __init__(
        self,
        cells: Callable[[], Cells],
        plan: Callable[[], Plan | None],
        standing: Standing,
        facts: Callable[[], Mapping[str, Any]] = dict,
        origins: Callable[[], Mapping[Identity, str]] = dict,
    ) -> None:
        self.tick = 0
        self._cells = cells
        self._plan = plan
        self._standing = standing
        self._facts = facts
        self._origins = origins
        self._series: dict[Identity, Series] = {}
        self._rings = 0
        self._seen: Plan | None = None
        self._rows: dict[Identity, Row] = {}
        self._bytes: dict[Identity, tuple[int, int]] = {}
        self._listeners: set[Callable[[Rows, bool], None]] = set()

    async def run(self) -> None:
        """For ever."""
        began = time.monotonic()
        while True:
            await asyncio.sleep(max(0.0, began + self.tick + 1 - time.monotonic()))
            self.take(max(self.tick + 1, int(time.monotonic() - began)))

    def take(self, tick: int) -> None:
        """Look at everything at this tick, in seconds; tell those who follow."""
        plan = self._plan()
        self.tick = tick
        if plan is None:
            return
        rows = self._look(plan)
        anew = plan is not self._seen or rows.keys() != self._rows.keys()
        changed = rows if anew else {one: row for one, row in rows.items() if row != self._rows[one]}
        self._seen, self._rows = plan, rows
        if anew:
            self._forget()
        if self._listeners:
            said = self._shaped(changed)
            for listener in tuple(self._listeners):
                listener(said, anew)

    def whole(self) -> Rows:
        """All rows, of the last tick."""
        return self._shaped(self._rows)

    def follow(self, listener: Callable[[Rows, bool], None]) -> Callable[[], None]:
        """Call `listener`, which must not block or raise, every second with the rows that changed, or (True)
        all, until the function that is returned is called."""
        self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)

    def history(self, identity: Identity, hour: bool) -> Points | None:
        """The last hour, or the last two minutes; None of what there is not."""
        series = self._series.get(identity)
        if series is None and identity == TOTAL:  # before the first second
            series = Series(self.tick, NOTHING)
        if series is None:
            return None
        return series.hour(self.tick) if hour else series.seconds(self.tick)

    # ----------------------------------------------------------------------------------------- inside

    def _look(self, plan: Plan) -> dict[Identity, Row]:
        origins = self._origins()
        rows: dict[Identity, Row] = {TOTAL: {}}
        for listener in plan.listeners:
            rows["listener", listener.name] = self._listener(listener)
        services: dict[str, array[int]] = {}
        total = NOTHING
        for route in plan.routes:
            mine = NOTHING
            for slot, service in [(one.slot, one.service) for one in route.services] or [(route.slot, "")]:
                counts = self._exchanges(slot)
                mine = added(mine, counts) if len(route.services) > 1 else counts
                services[service] = added(services[service], counts) if service in services else counts
            total = added(total, mine)
            rows["route", route.name] = {
                **_route(route), "origin": origins.get(("route", route.name), "file"),
                **self._figures(("route", route.name), mine),
            }  # fmt: skip
        for one in plan.services:
            rows["service", one.name] = {
                **_service(one), "origin": origins.get(("service", one.name), "file"),
                **self._figures(("service", one.name), services.get(one.name, NOTHING)),
            }  # fmt: skip
            for server in one.servers:
                rows["server", one.name, server.address] = self._server(one, server)
        lost = self._cells().total(layout.WORKER_OUTCOMES + Outcome.NO_ROUTE)
        total = array("q", [total[0] + lost, total[1], *total[2:]])
        rows[TOTAL] = {**self._facts(), **self._figures(TOTAL, total)}
        return rows

    def _exchanges(self, slot: int) -> array[int]:
        block = self._cells().summary(slot, layout.ROUTE_DURATION_CELLS, CLASSIC_ENDS)
        return counts_of(block, layout.ROUTE_CLASS, -1, layout.ROUTE_IN_FLIGHT, layout.ROUTE_DURATION_CELLS)

    def _server(self, service: ServicePlan, server: ServerPlan) -> Row:
        block = self._cells().summary(server.slot, layout.SERVER_DURATION_CELLS, CLASSIC_ENDS)
        counts = counts_of(
            block,
            layout.SERVER_CLASS,
            layout.SERVER_FAILURES,
            layout.SERVER_IN_FLIGHT,
            layout.SERVER_DURATION_CELLS,
        )
        return {
            "service": service.name,
            "address": server.address,
            "weight": server.weight,
            "priority": server.priority,
            "backup": server.backup,
            **self._standing(service.name, server.address),
            **self._figures(("server", service.name, server.address), counts),
        }

    def _listener(self, plan: ListenerPlan) -> Row:
        """It counts requests, but neither errors nor times: those are its routes'."""
        identity = ("listener", plan.name)
        block = self._cells().totals(plan.slot, layout.LISTENER_SIZE)
        counts = array("q", NOTHING)
        counts[0] = block[layout.LISTENER_REQUESTS]
        figures = self._figures(identity, counts)
        before = self._bytes.get(
            identity, (block[layout.LISTENER_BYTES_IN], block[layout.LISTENER_BYTES_OUT])
        )
        now = self._bytes[identity] = block[layout.LISTENER_BYTES_IN], block[layout.LISTENER_BYTES_OUT]
        return {
            "name": plan.name,
            "bind": list(plan.bind),
            "rate": figures["rate"],
            "connections": block[layout.LISTENER_CONNECTIONS],
            "tunnels": block[layout.LISTENER_TUNNELS],
            "bytes_in": max(0, now[0] - before[0]),
            "bytes_out": max(0, now[1] - before[1]),
        }

    def _figures(self, identity: Identity, counts: array[int]) -> Row:
        series = self._series.get(identity)
        if series is None:
            series = self._series[identity] = Series(self.tick, counts)
        else:
            had = series.remembers
            series.take(self.tick, counts, self._rings < MOST_RINGS)
            self._rings += series.remembers and not had
        return series.figures._asdict()

    def _forget(self) -> None:
        """What is gone from the plan; a route or server that comes back begins anew."""
        for identity in self._series.keys() - self._rows.keys():
            self._rings -= self._series.pop(identity).remembers
            self._bytes.pop(identity, None)

    def _shaped(self, rows: Mapping[Identity, Row]) -> Rows:
        found: dict[str, Sequence[Row]] = {
            kind + "s": [row for one, row in rows.items() if one[0] == kind]
            for kind in ("listener", "route", "service", "server")
        }
        generation = self._seen.generation if self._seen is not None else 0
        total = rows.get(TOTAL, self._rows.get(TOTAL, {}))
        return {"at": time.time(), "tick": self.tick, "generation": generation, "total": total, **found}


def _route(plan: RoutePlan) -> Row:
    if plan.redirect is not None:
        does = f"redirect {plan.redirect.status}"
    elif plan.respond is not None:
        does = f"respond {plan.respond.status}"
    else:
        does = "forward" if len(plan.services) == 1 else "split"
    match = plan.match
    words = [*match.method, *match.host, *match.path, *(f"{p}*" for p in match.path_prefix)]
    words += [f"~{p}" for p in match.path_regex]
    words += [f"{kind} {one.name}" for kind in ("header", "query", "cookie") for one in getattr(match, kind)]
    return {
        "name": plan.name,
        "listeners": list(match.listener),
        "match": " ".join([*words, *match.client_ip]),
        "does": does,
        "services": [{"service": one.service, "weight": one.weight} for one in plan.services],
    }


def _service(plan: ServicePlan) -> Row:
    return {"name": plan.name, "algorithm": plan.algorithm.name}
