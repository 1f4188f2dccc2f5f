"""The Prometheus exposition: shared-memory cells and process facts as text.

Lives here: Metrics, which renders both text formats, and the prometheus-client collector of the small
families. Must not live here: which families there are (lb.telemetry.families).

The families that grow with the configuration (routes, servers) are rendered by filling prepared text,
since prometheus-client takes a second for 5,000 routes; all others go through prometheus-client, and
the tests read the whole with its parsers.

A status class and a histogram appear with the first response that they count; every other series is
there, as zero, as soon as its listener, route or server is.
"""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.registry import Collector

from lb import __version__
from lb.outcomes import TABLE
from lb.telemetry import families as f
from lb.telemetry import layout
from lb.telemetry.blocks import MIRROR_BLOCKS, ROUTE_BLOCKS, SERVER_BLOCKS, BlockText
from lb.telemetry.cells import Cells
from lb.telemetry.facts import ProcessFacts
from lb.telemetry.family import Family
from lb.telemetry.ledger import Ledger

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


class Metrics:
    """Renders all metrics. One per control process; reading takes no lock and stops nobody."""

    def __init__(self, cells: Cells, ledger: Ledger, facts: ProcessFacts) -> None:
        self._cells = cells
        self._ledger = ledger
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(_SmallFamilies(cells, ledger, facts))
        self._routes = BlockText(ROUTE_BLOCKS)
        self._mirrors = BlockText(MIRROR_BLOCKS)
        self._servers = BlockText(SERVER_BLOCKS)
        ProcessCollector(registry=self._registry)

    def render(self, openmetrics: bool = False) -> bytes:
        """All families as text 0.0.4 (content type TEXT) or OpenMetrics 1.0 (content type OPENMETRICS)."""
        generate = generate_openmetrics if openmetrics else generate_latest
        parts = [generate(self._registry).removesuffix(b"# EOF\n").decode()]
        self._routes.render(parts, self._cells, self._ledger.routes(), openmetrics)
        self._mirrors.render(parts, self._cells, self._ledger.mirrors(), openmetrics)
        self._servers.render(parts, self._cells, self._ledger.servers(), openmetrics)
        if openmetrics:
            parts.append("# EOF\n")
        return "".join(parts).encode()


class _SmallFamilies(Collector):
    """The families whose number of series does not grow with routes and servers."""

    def __init__(self, cells: Cells, ledger: Ledger, facts: ProcessFacts) -> None:
        self._cells = cells
        self._ledger = ledger
        self._facts = facts

    def collect(self) -> Iterable[Metric]:
        yield from self._listeners()
        yield self._outcomes()
        yield from self._workers()
        yield from self._config()
        yield from self._processes()
        yield from self._cluster()

    def _listeners(self) -> Iterable[Metric]:
        blocks = [
            (name, self._cells.totals(at, layout.LISTENER_SIZE)) for (name,), at in self._ledger.listeners()
        ]
        for family in f.LISTENER:
            yield _metric(family, [((name,), block[family.at]) for name, block in blocks])

    def _outcomes(self) -> Metric:
        return _metric(
            f.OUTCOMES,
            [
                ((outcome.name.lower(), row.side, row.flag), self._cells.total(f.OUTCOMES.at + outcome))
                for outcome, row in TABLE.items()
            ],
        )

    def _workers(self) -> Iterable[Metric]:
        for family in f.WORKER:
            unit = 1e-6 if family.at in f.IN_MICROSECONDS else 1
            values = [self._cells.of(worker, family.at) for worker in range(self._cells.workers)]
            yield _metric(family, [((str(worker),), value * unit) for worker, value in enumerate(values)])

    def _config(self) -> Iterable[Metric]:
        facts = self._facts
        yield _metric(f.BUILD, [((__version__, platform.python_version()), 1)])
        yield _metric(f.GENERATION, [((), facts.generation)])
        counts = {"success": 0, "unchanged": 0, "failure": 0, **facts.reloads}
        yield _metric(f.RELOADS, [((result,), count) for result, count in counts.items()])
        yield _metric(f.RELOAD_OK, [((), int(facts.last_reload_ok))])
        yield _metric(f.RELOAD_AT, [((), facts.last_reload_at)])
        yield _metric(f.EVENTS, sorted(facts.event_counts.items()))
        yield _metric(f.SERVERS, facts.server_counts().items())
        yield _metric(f.WEBHOOK_LOST, [((), facts.webhook_lost)])
        yield _metric(f.PROBES_WAITING, [((), facts.probes_waiting)])
        yield from self._discovery()
        yield from self._catalog()

    def _discovery(self) -> Iterable[Metric]:
        sources = self._facts.discovery()
        answered = [one for one in sources if one["age"] is not None]
        yield _metric(f.DISCOVERY_MEMBERS, [((one["service"],), one["members"]) for one in sources])
        yield _metric(f.DISCOVERY_AGE, [((one["service"],), one["age"]) for one in answered])
        yield _metric(f.DISCOVERY_HELD, [((one["service"],), len(one["held"])) for one in sources])
        yield _metric(f.DISCOVERY_UNUSABLE, [((one["service"],), len(one["unusable"])) for one in sources])
        yield _metric(f.DISCOVERY_ERRORS, [((one["service"],), one["errors"]) for one in sources])
        yield _metric(f.DISCOVERY_UPDATES, [((one["service"],), one["updates"]) for one in sources])

    def _catalog(self) -> Iterable[Metric]:
        found = self._facts.catalog()
        if found is None:
            return
        yield _metric(f.CATALOG_ROUTES, [((), len(found["routes"]))])
        yield _metric(f.CATALOG_AGE, [((), found["age"])] if found["age"] is not None else [])
        yield _metric(f.CATALOG_HELD, [((), len(found["held"]))])
        yield _metric(f.CATALOG_UNUSABLE, [((), len(found["unusable"]))])
        yield _metric(f.CATALOG_ERRORS, [((), found["errors"])])

    def _cluster(self) -> Iterable[Metric]:
        facts = self._facts.cluster_facts()
        if facts is None:
            return
        values = (
            facts.leading, facts.epoch, facts.revision, None, facts.renewal, facts.lateness, facts.reachable,
            facts.age, facts.trouble, facts.rollout,
        )  # fmt: skip
        for family, value in zip(f.CLUSTER, values, strict=True):
            if value is not None:
                yield _metric(family, [((), float(value))])
        counts = {reason: facts.transitions.get(reason, 0) for reason in f.CLUSTER_REASONS}
        yield _metric(f.CLUSTER_TRANSITIONS, [((reason,), count) for reason, count in counts.items()])
        if facts.disagreements is not None:
            differ = [((between,), facts.disagreements.get(between, 0)) for between in f.CLUSTER_BETWEEN]
            yield _metric(f.CLUSTER_DISAGREEMENTS, differ)
            yield _metric(f.CLUSTER_HEALTH_NODES, [((), facts.health_nodes)])

    def _processes(self) -> Iterable[Metric]:
        workers = self._facts.workers()
        states = Counter(worker.state for worker in workers)
        yield _metric(f.WORKERS, [((state,), count) for state, count in sorted(states.items())])
        yield _metric(f.RESTARTS, [((str(worker.worker),), worker.restarts) for worker in workers])
        figures = {worker.worker: process_figures(worker.pid) for worker in workers if worker.pid}
        for family, name in (
            (f.WORKER_RSS, "process_resident_memory_bytes"),
            (f.WORKER_CPU, "process_cpu_seconds_total"),
            (f.WORKER_FDS, "process_open_fds"),
        ):
            yield _metric(
                family, [((str(worker),), found[name]) for worker, found in figures.items() if name in found]
            )


def process_figures(pid: int) -> dict[str, float]:
    """The figures of one process that /proc gives, by prometheus-client's names; empty for a dead one."""
    collector = ProcessCollector(pid=lambda: pid, registry=None)
    return {sample.name: sample.value for metric in collector.collect() for sample in metric.samples}


def _metric(family: Family, samples: Iterable[tuple[tuple[str, ...], float]]) -> Metric:
    kind = CounterMetricFamily if family.type == "counter" else GaugeMetricFamily
    metric = kind(family.name, family.text, labels=family.labels)
    for labels, value in samples:
        metric.add_metric(labels, value)
    return metric
