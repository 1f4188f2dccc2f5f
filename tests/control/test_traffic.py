"""A node's traffic, added up for its cluster."""

from lb.control.traffic import Totals
from lb.outcomes import Outcome
from lb.telemetry import layout
from lb.telemetry.buckets import cell_of
from lb.telemetry.cells import Cells
from lb.telemetry.ledger import Ledger


def test_routes_and_requests_without_one_are_added_up():
    cells, ledger = Cells(-1, 0, 2, 4096), Ledger(4096)
    for name, status, bucket in (("a", 2, 3), ("a", 5, 4), ("b", 4, 3), ("c", 1, 0)):
        slot = ledger.route(name, "app")
        cells.add(slot + layout.ROUTE_CLASS + status, 10)
        cells.add(slot + layout.ROUTE_DURATION_CELLS + cell_of(layout.BOUNDS_US[bucket]), 10)
    cells.add(layout.WORKER_OUTCOMES + Outcome.NO_ROUTE, 7)
    cells.add(layout.WORKER_OUTCOMES + Outcome.BAD_REQUEST, 100)  # what clients do wrong says nothing
    found = Totals(cells, ledger, 5.0).read()
    assert (found.life, found.requests, found.failures) == (5.0, 47, 17)
    assert found.buckets[:5] == [10, 0, 0, 20, 10]


def test_what_a_route_counted_stays_when_its_block_is_freed():
    cells, ledger = Cells(-1, 0, 1, 4096), Ledger(4096)
    totals = Totals(cells, ledger, 5.0)

    def serve(name, status, count):
        slot = ledger.route(name, "app")
        cells.add(slot + layout.ROUTE_CLASS + status, count)
        cells.add(slot + layout.ROUTE_DURATION_CELLS, count)
        return totals.read()

    ledger.begin(1)
    ledger.route("stays", "app")
    serve("goes", 5, 100)
    for generation in (2, 3):
        ledger.begin(generation)
        ledger.route("stays", "app")
    cells.put(layout.WORKER_GENERATION, 3)
    assert ledger.sweep(cells) == 1
    found = serve("stays", 2, 10)
    assert (found.requests, found.failures, found.buckets[0]) == (110, 100, 110)
    found = serve("goes", 2, 7)  # it has a block again, from nothing
    assert (found.requests, found.failures) == (117, 100)
