"""What this node's traffic looks like to its cluster while a staged revision is watched.

Lives here: adding up the counters. Must not live here: comparing them (lb.cluster.verdict).
"""

from __future__ import annotations

from lb.cluster.records import Traffic
from lb.outcomes import Outcome
from lb.telemetry import layout
from lb.telemetry.buckets import CLASSIC_ENDS
from lb.telemetry.cells import Cells
from lb.telemetry.ledger import Ledger, RouteId


class Totals:
    """All requests that a route took, and those that none took: a wrong configuration shows in both. Those
    answered 500 to 599 and those without a route failed. Never less than before: what a route counted stays
    in the sums when a reload removes it and its block is freed. One per control process, in its loop."""

    def __init__(self, cells: Cells, ledger: Ledger, started: float) -> None:
        """`started`: unix seconds, of this life of the counters."""
        self._cells = cells
        self._ledger = ledger
        self._sums = Traffic(life=started, buckets=[0] * layout.BUCKETS)
        self._counted: dict[RouteId, list[int]] = {}  # what of each block is in the sums
        self._lost = 0

    def read(self) -> Traffic:
        """Up to now."""
        lost = self._cells.total(layout.WORKER_OUTCOMES + Outcome.NO_ROUTE)
        requests, failures = self._sums.requests + lost - self._lost, self._sums.failures + lost - self._lost
        buckets, counted = self._sums.buckets, {}
        for route, slot in self._ledger.routes():
            block = counted[route] = self._cells.summary(slot, layout.ROUTE_DURATION_CELLS, CLASSIC_ENDS)
            block[layout.ROUTE_IN_FLIGHT] = 0
            before = self._counted.get(route, [0] * len(block))
            grown = [late - early for early, late in zip(before, block, strict=True)]
            if min(grown) < 0:  # freed, and allotted again
                grown = block
            requests += sum(grown[layout.ROUTE_CLASS + 1 : layout.ROUTE_CLASS + 6])
            failures += grown[layout.ROUTE_CLASS + 5]
            taken = grown[layout.ROUTE_DURATION_CELLS :]
            buckets = [one + more for one, more in zip(buckets, taken, strict=True)]
        self._counted, self._lost = counted, lost
        self._sums = Traffic(life=self._sums.life, requests=requests, failures=failures, buckets=buckets)
        return self._sums
