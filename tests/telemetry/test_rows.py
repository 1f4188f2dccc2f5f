"""The cap on the label sets of a family: what is over it is one more, and counted."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families as parse

from lb.telemetry import collected, layout, rows
from lb.telemetry.buckets import cell_of
from lb.telemetry.cells import Cells
from lb.telemetry.ledger import Ledger
from lb.telemetry.metrics import PROTOBUF, TEXT, Metrics
from tests.telemetry.facts import Facts
from tests.telemetry.wire import families

SIZE = 64 * 1024


@pytest.fixture
def low(monkeypatch):
    monkeypatch.setattr(rows, "MOST", 3)
    monkeypatch.setattr(collected, "MOST", 3)


def scraped(cells, ledger, facts=None, media=TEXT):
    metrics = Metrics(cells, ledger, facts or Facts())
    if media == PROTOBUF:
        return {one.name: one.samples for one in families(metrics.render(media))}
    found = {}
    for family in parse(metrics.render(media).decode()):
        for sample in family.samples:
            key = (sample.name, *sorted(sample.labels.values()))
            assert key not in found, f"{key} twice"
            found[key] = sample.value
    return found


def used(cells, names):
    ledger = Ledger(SIZE)
    for number, name in enumerate(names):
        slot = ledger.route(name, name)
        cells.add(slot + layout.ROUTE_CLASS + 2, 10**number)
        cells.add(slot + layout.ROUTE_DURATION_CELLS + cell_of(700), 10**number)
    return ledger


def test_over_the_cap_is_summed_under_other_and_counted(low):
    cells = Cells(-1, 0, 1, SIZE)
    ledger = used(cells, "abcde")
    found = scraped(cells, ledger)
    names = {key[2] for key in found if key[0] == "lb_requests_total"}
    assert names == {"a", "b", "c", "other"}
    assert found["lb_requests_total", "2xx", "other", "other"] == 11_000
    assert found["lb_request_duration_seconds_bucket", "0.001", "other", "other"] == 11_000
    assert found["lb_metrics_overflow_series", "lb_requests"] == 2
    assert found["lb_metrics_overflow_series", "lb_request_duration_seconds"] == 2
    assert found["lb_metrics_overflow_series", "lb_server_requests"] == 0
    native = scraped(cells, ledger, media=PROTOBUF)["lb_request_duration_seconds"]
    assert native[("route", "other"), ("service", "other")].count == 11_000


def test_at_the_cap_nothing_is_other(low):
    cells = Cells(-1, 0, 1, SIZE)
    found = scraped(cells, used(cells, "abc"))
    assert not any(key[0].startswith("lb_request") and "other" in key for key in found)


def test_a_route_that_is_named_other_is_shown_with_it(low):
    cells = Cells(-1, 0, 1, SIZE)
    found = scraped(cells, used(cells, ["other", "b", "c", "d", "e"]))
    assert found["lb_requests_total", "2xx", "other", "other"] == 10_001
    assert found["lb_metrics_overflow_series", "lb_requests"] == 1


def test_families_of_services_have_the_cap_too(low):
    facts = Facts()
    facts.event_counts = {("override", "drain", str(number)): 10**number for number in range(5)}
    found = scraped(Cells(-1, 0, 1, SIZE), Ledger(SIZE), facts)
    assert found["lb_events_total", "other", "other", "other"] == 11_000
    assert found["lb_metrics_overflow_series", "lb_events"] == 2


def test_what_shares_a_block_because_the_region_is_full_counts():
    size = (
        layout.WORKER_SIZE
        + layout.LISTENER_SIZE
        + 2 * layout.ROUTE_SIZE
        + layout.MIRROR_SIZE
        + layout.SERVER_SIZE
    )
    cells, ledger = Cells(-1, 0, 1, size), Ledger(size)
    for name in "abc":
        cells.add(ledger.route(name, name) + layout.ROUTE_CLASS + 2, 1)
    found = scraped(cells, ledger)
    assert found["lb_requests_total", "2xx", "other", "other"] == 2
    assert found["lb_metrics_overflow_series", "lb_requests"] == 2
    ledger.begin(1)
    ledger.route("a", "a")
    found = scraped(cells, ledger)
    assert found["lb_requests_total", "2xx", "other", "other"] == 2, "counters stay"
    assert found["lb_metrics_overflow_series", "lb_requests"] == 0
