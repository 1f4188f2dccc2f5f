"""A node's traffic, added up for its cluster."""

from lb.control.traffic import traffic_of
from lb.outcomes import Outcome
from lb.telemetry import layout
from lb.telemetry.cells import Cells
from lb.telemetry.ledger import Ledger


def test_routes_and_requests_without_one_are_added_up():
    cells, ledger = Cells(-1, 0, 2, 4096), Ledger(4096)
    for name, status, bucket in (("a", 2, 3), ("a", 5, 4), ("b", 4, 3), ("c", 1, 0)):
        slot = ledger.route(name, "app")
        cells.add(slot + layout.ROUTE_CLASS + status, 10)
        cells.add(slot + layout.ROUTE_DURATION + bucket, 10)
    cells.add(layout.WORKER_OUTCOMES + Outcome.NO_ROUTE, 7)
    cells.add(layout.WORKER_OUTCOMES + Outcome.BAD_REQUEST, 100)  # what clients do wrong says nothing
    found = traffic_of(cells, ledger, 5.0)
    assert (found.life, found.requests, found.failures) == (5.0, 47, 17)
    assert found.buckets[:5] == [10, 0, 0, 20, 10]
