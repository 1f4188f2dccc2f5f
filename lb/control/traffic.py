"""What this node's traffic looks like to its cluster while a staged revision is watched.

Lives here: adding up the counters. Must not live here: comparing them (lb.cluster.verdict).
"""

from __future__ import annotations

from lb.cluster.records import Traffic
from lb.outcomes import Outcome
from lb.telemetry import layout
from lb.telemetry.cells import Cells
from lb.telemetry.ledger import Ledger


def traffic_of(cells: Cells, ledger: Ledger, started: float) -> Traffic:
    """All requests that a route took, and those that none took: a wrong configuration shows in both. Those
    answered 500 to 599 and those without a route failed. `started`: unix seconds, of this life of the
    counters."""
    lost = cells.total(layout.WORKER_OUTCOMES + Outcome.NO_ROUTE)
    requests, failures, buckets = lost, lost, [0] * layout.BUCKETS
    for _, slot in ledger.routes():
        block = cells.totals(slot, layout.ROUTE_SIZE)
        requests += sum(block[layout.ROUTE_CLASS + 1 : layout.ROUTE_CLASS + 6])
        failures += block[layout.ROUTE_CLASS + 5]
        taken = block[layout.ROUTE_DURATION : layout.ROUTE_DURATION + layout.BUCKETS]
        buckets = [one + more for one, more in zip(buckets, taken, strict=True)]
    return Traffic(life=started, requests=requests, failures=failures, buckets=buckets)
