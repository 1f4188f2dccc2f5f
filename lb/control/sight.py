"""What of a plan the live view looks at: whose counters they are, which of them moved, and how they stand.

Lives here: the blocks of cells of a plan and the sums that they belong to. Must not live here: figures and
rings (lb.telemetry.series), who follows and what is told (lb.control.live).

Most blocks stand still. Only those that moved are read, and added where they belong by what they grew.
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from lb.admin.view import Row
from lb.outcomes import Outcome
from lb.plan import ListenerPlan, Plan, RoutePlan, ServerPlan, ServicePlan
from lb.telemetry import layout
from lb.telemetry.buckets import CLASSIC_ENDS
from lb.telemetry.cells import Cells
from lb.telemetry.series import IN_FLIGHT, NOTHING, REQUESTS, Series, added, counts_of, grown
from lb.telemetry.stirred import Stirred

SLICE = 0.002  # seconds of work, after which the loop has its turn
AT_ONCE = 200  # blocks that are compared without a look at the clock: far below a slice
Identity = tuple[
    str, ...
]  # (total,) · (listener, name) · (route, name) · (service, name) · (server, service, address)
TOTAL: Identity = ("total",)
Key = tuple[int, tuple[Identity, ...]]


class Looked:
    """One of them. `counts`: how its counters stand (lb.telemetry.series). `shown`: what its row has beside
    the figures; `plan` and `origin`: what that was made of."""

    __slots__ = ("counts", "identity", "origin", "plan", "series", "shown")

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        self.counts = NOTHING
        self.series: Series | None = None
        self.plan: Any = None
        self.origin = ""
        self.shown: Row = {}


class _Block:
    """The cells at `slot`, and in whose counts they are. `key`: the same in the next plan, where both are."""

    __slots__ = ("counts", "key", "slot", "sums")

    def __init__(self, slot: int, sums: tuple[Looked, ...]) -> None:
        self.slot = slot
        self.sums = sums
        self.key: Key = slot, tuple(looked.identity for looked in sums)
        self.counts = NOTHING


class Turns:
    """Work in slices: `over` where the present one is used up."""

    def __init__(self) -> None:
        self._until = time.perf_counter() + SLICE

    @property
    def over(self) -> bool:
        if time.perf_counter() < self._until:
            return False
        self._until = time.perf_counter() + SLICE
        return True


class Sight:
    """Of one plan; complete after `begin`. `looked` are all in it; those that the Sight before it knew go on,
    `gone` are those that only that one knew. `moved`: those whose counts are others than when it was emptied
    last.

    What stays never falls or jumps when a block goes or comes, for it is made of growth: of a block that
    comes, which may have a life behind it, only what is in flight is added, and that alone goes with it."""

    def __init__(self, plan: Plan, cells: Cells) -> None:
        self.plan = plan
        self.moved: dict[Identity, Looked] = {}
        self.looked: dict[Identity, Looked] = {}
        self.gone: list[Looked] = []
        self._cells = cells
        self._known: dict[Identity, Looked] = {}  # while it begins: those of the Sight before
        self._left: dict[Key, _Block] = {}  # and those of its blocks that were not met yet
        self._bytes: dict[Identity, tuple[int, int]] = {}
        self._lost = 0  # requests that no route matched, as far as they are in TOTAL
        self._routes: list[_Block] = []
        self._servers: list[_Block] = []
        self._stirred: tuple[Stirred, Stirred]

    def begin(self, origins: Mapping[Identity, str], before: Sight | None, turns: Turns) -> Iterator[None]:
        """Once, before all else; yields between slices."""
        if before is not None:
            self._known, self._lost = before.looked, before._lost
            self._left = {block.key: block for block in (*before._routes, *before._servers)}
        total = self._take(TOTAL)
        for listener in self.plan.listeners:
            self._take(("listener", listener.name), listener)
        for service in self.plan.services:
            self._take(("service", service.name), service, origins)
            for server in service.servers:
                mine = self._take(("server", service.name, server.address), server)
                self._servers.append(self._block(server.slot, self._attempts, mine))
                if turns.over:
                    yield
        for route in self.plan.routes:
            mine = self._take(("route", route.name), route, origins)
            for one in route.services:
                service_of = self.looked["service", one.service]
                self._routes.append(self._block(one.slot, self._exchanges, mine, service_of, total))
            if not route.services:
                self._routes.append(self._block(route.slot, self._exchanges, mine, total))
            if turns.over:
                yield
        for block in self._left.values():
            self._fly(block, -block.counts[IN_FLIGHT])
        self._stirred = (
            Stirred(self._cells, [one.slot for one in self._routes], layout.ROUTE_DURATION_CELLS),
            Stirred(self._cells, [one.slot for one in self._servers], layout.SERVER_DURATION_CELLS),
        )
        if before is not None:
            self._bytes = {it: found for it, found in before._bytes.items() if it in self.looked}
            self.gone = [looked for it, looked in before.looked.items() if it not in self.looked]
        self._known, self._left = {}, {}

    def look(self, turns: Turns) -> Iterator[None]:
        """Bring all counts up to date; yields between slices."""
        for blocks, stirred, read in (
            (self._routes, self._stirred[0], self._exchanges),
            (self._servers, self._stirred[1], self._attempts),
        ):
            for begin in range(0, len(blocks), AT_ONCE):
                for number in stirred.look(begin, begin + AT_ONCE):
                    self._settle(blocks[number], read(blocks[number].slot))
                    if turns.over:
                        yield
                if turns.over:
                    yield
        lost = self._cells.total(layout.WORKER_OUTCOMES + Outcome.NO_ROUTE)
        if lost != self._lost:  # requests that no route matched are of the whole lb alone
            total = self.looked[TOTAL]
            total.counts = array("q", total.counts)
            total.counts[REQUESTS] += lost - self._lost
            self._lost = lost
            self.moved[TOTAL] = total
        for listener in self.plan.listeners:
            self._listener(listener)

    # ----------------------------------------------------------------------------------------- inside

    def _take(
        self, identity: Identity, plan: Any = None, origins: Mapping[Identity, str] | None = None
    ) -> Looked:
        found = self._known.get(identity)
        if found is None:
            found = Looked(identity)
        self.looked[identity] = found
        origin = origins.get(identity, "file") if origins is not None else ""
        if plan is not found.plan or origin != found.origin:
            found.plan, found.origin = plan, origin
            found.shown = _shown(identity, plan)
            if origin:
                found.shown["origin"] = origin
        return found

    def _block(self, slot: int, read: Callable[[int], array[int]], *sums: Looked) -> _Block:
        block = _Block(slot, sums)
        known = self._left.pop(block.key, None)
        if known is not None:
            return known
        block.counts = read(slot)
        self._fly(block, block.counts[IN_FLIGHT])
        return block

    def _fly(self, block: _Block, more: int) -> None:
        for looked in block.sums if more else ():
            if self.looked.get(looked.identity) is looked:
                looked.counts = array("q", looked.counts)
                looked.counts[IN_FLIGHT] += more
                self.moved[looked.identity] = looked

    def _settle(self, block: _Block, counts: array[int]) -> None:
        if counts == block.counts:
            return
        more, block.counts = grown(counts, block.counts), counts
        for looked in block.sums:
            looked.counts = added(looked.counts, more)
            self.moved[looked.identity] = looked

    def _exchanges(self, slot: int) -> array[int]:
        block = self._cells.summary(slot, layout.ROUTE_DURATION_CELLS, CLASSIC_ENDS)
        return counts_of(block, layout.ROUTE_CLASS, -1, layout.ROUTE_IN_FLIGHT, layout.ROUTE_DURATION_CELLS)

    def _attempts(self, slot: int) -> array[int]:
        block = self._cells.summary(slot, layout.SERVER_DURATION_CELLS, CLASSIC_ENDS)
        return counts_of(
            block,
            layout.SERVER_CLASS,
            layout.SERVER_FAILURES,
            layout.SERVER_IN_FLIGHT,
            layout.SERVER_DURATION_CELLS,
        )

    def _listener(self, plan: ListenerPlan) -> None:
        """It counts requests, but neither errors nor times: those are its routes'."""
        looked = self.looked["listener", plan.name]
        block = self._cells.totals(plan.slot, layout.LISTENER_SIZE)
        counts = array("q", NOTHING)
        counts[REQUESTS] = block[layout.LISTENER_REQUESTS]
        if counts != looked.counts:
            looked.counts = counts
            self.moved[looked.identity] = looked
        now = block[layout.LISTENER_BYTES_IN], block[layout.LISTENER_BYTES_OUT]
        before = self._bytes.get(looked.identity, now)
        self._bytes[looked.identity] = now
        looked.shown = {
            **looked.shown,
            "connections": block[layout.LISTENER_CONNECTIONS],
            "tunnels": block[layout.LISTENER_TUNNELS],
            "bytes_in": max(0, now[0] - before[0]),
            "bytes_out": max(0, now[1] - before[1]),
        }


def _shown(identity: Identity, plan: Any) -> Row:
    if isinstance(plan, RoutePlan):
        return _route(plan)
    if isinstance(plan, ServicePlan):
        return {"name": plan.name, "algorithm": plan.algorithm.name}
    if isinstance(plan, ServerPlan):
        return {
            "service": identity[1],
            "address": plan.address,
            "weight": plan.weight,
            "priority": plan.priority,
            "backup": plan.backup,
        }
    return {"name": plan.name, "bind": list(plan.bind)} if isinstance(plan, ListenerPlan) else {}


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
