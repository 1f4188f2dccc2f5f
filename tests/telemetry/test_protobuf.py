"""The protobuf exposition, decoded by its field numbers; a real Prometheus reads it in tests/docker."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families as parse

from lb.telemetry import layout
from lb.telemetry.buckets import CLASSIC_US, LAST, SCHEMA, ZERO_THRESHOLD, cell_of
from lb.telemetry.cells import Cells
from lb.telemetry.ledger import Ledger
from lb.telemetry.metrics import PROTOBUF, TEXT, Metrics
from tests.telemetry.facts import Facts
from tests.telemetry.wire import Exemplar, Histogram, families

SIZE = 64 * 1024
ROUTE = (("route", "api"), ("service", "app"))
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def histogram(times: list[int], facts: Facts | None = None) -> Histogram | None:
    cells, ledger = Cells(-1, 0, 2, SIZE), Ledger(SIZE)
    slot = ledger.route("api", "app")
    for us in times:
        cells.add(slot + layout.ROUTE_DURATION_CELLS + cell_of(us), 1)
        cells.add(slot + layout.ROUTE_DURATION_SUM, us)
    found = {one.name: one for one in families(Metrics(cells, ledger, facts or Facts()).render(PROTOBUF))}
    value = found["lb_request_duration_seconds"].samples.get(ROUTE)
    assert value is None or isinstance(value, Histogram)
    return value


@settings(deadline=None, max_examples=40)
@given(st.lists(st.one_of(st.integers(0, 10**10), st.integers(0, 10**6)), min_size=1, max_size=60))
def test_both_kinds_of_buckets_hold_what_was_counted(times):
    found = histogram(times)
    assert (found.count, found.sum) == (len(times), pytest.approx(sum(times) / 1e6))
    assert found.classic == {bound / 1e6: sum(us <= bound for us in times) for bound in CLASSIC_US}
    assert (found.schema, found.zero_threshold) == (SCHEMA, ZERO_THRESHOLD)
    assert found.zero_count == sum(us <= ZERO_THRESHOLD * 1e6 for us in times)
    bounds = [2 ** (number / 8) * 1e6 for number in range(-112, LAST + 1)]
    expected = Counter(bisect_left(bounds, us) - 112 for us in times if us > bounds[0])
    assert found.native == expected


def test_what_was_never_counted_is_absent():
    assert histogram([]) is None


def test_the_exemplar_is_at_its_bucket():
    facts = Facts()
    facts.exemplars.note("api", "app", 0.003, TRACE, 1_700_000_000.25)
    facts.exemplars.note("other", "app", 0.003, TRACE, 1.0)
    assert histogram([3000], facts).exemplars == {
        0.005: Exemplar({"trace_id": TRACE}, 0.003, 1_700_000_000.25)
    }


def test_it_says_what_the_text_says():
    cells, ledger = Cells(-1, 0, 1, SIZE), Ledger(SIZE)
    for slot, size in (
        (ledger.route("ü\n", "s"), layout.ROUTE_SIZE),
        (ledger.mirror("r", "t"), layout.MIRROR_SIZE),
        (ledger.server("s", "a"), layout.SERVER_SIZE),
        (ledger.listener("l"), layout.LISTENER_SIZE),
    ):
        for at in range(size):
            cells.add(slot + at, 1 + at * 7)
    metrics = Metrics(cells, ledger, Facts())
    changing = ("process_", "lb_worker_cpu", "lb_worker_resident", "lb_worker_open")
    plain, written, kinds = {}, {}, {}
    for family in parse(metrics.render(TEXT).decode()):
        kinds[family.name] = (family.type, family.documentation)
        for one in family.samples:
            if not one.name.endswith(("_bucket", "_sum")):
                name = one.name.removesuffix("_count")
                plain[name, frozenset(one.labels.items())] = one.value
    for family in families(metrics.render(PROTOBUF)):
        name = family.name.removesuffix("_total") if family.type == "counter" else family.name
        assert kinds.pop(name) == (family.type, family.text)
        for labels, value in family.samples.items():
            written[family.name, frozenset(labels)] = value.count if isinstance(value, Histogram) else value
    assert not kinds
    for found in (plain, written):
        for key in [key for key in found if key[0].startswith(changing)]:
            del found[key]
    assert written == plain
