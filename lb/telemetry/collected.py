"""The families whose number of series does not grow with routes and servers, as prometheus-client has them.

Lives here: reading them out of the cells, the facts and /proc. Must not live here: which families there are
(lb.telemetry.families), the formats (lb.telemetry.metrics), routes and servers (lb.telemetry.rows).
"""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Iterable, Mapping

from prometheus_client import ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from lb import __version__
from lb.outcomes import TABLE
from lb.telemetry import families as f
from lb.telemetry import layout
from lb.telemetry.cells import Cells
from lb.telemetry.facts import ProcessFacts
from lb.telemetry.family import Family
from lb.telemetry.ledger import OTHER, Ledger
from lb.telemetry.rows import KINDS, MOST


class Collected:
    """Collects them anew at each call; in control's loop, to which the facts belong."""

    def __init__(self, cells: Cells, ledger: Ledger, facts: ProcessFacts) -> None:
        self._cells = cells
        self._ledger = ledger
        self._facts = facts
        self._own = ProcessCollector(registry=None)
        self._over: dict[str, int] = {}  # label sets over the cap, by family

    def collect(self) -> list[Metric]:
        """All but the families of routes, mirrors and servers."""
        self._over = dict.fromkeys((family.name for family in f.CAPPED), 0)
        found = [*self._small(), *self._own.collect()]
        over = [((name,), count) for name, count in self._over.items()]
        return [*found, self._metric(f.OVERFLOW, over)]

    def _small(self) -> Iterable[Metric]:
        yield from self._listeners()
        yield self._outcomes()
        yield from self._workers()
        yield from self._config()
        yield from self._processes()
        yield from self._cluster()
        self._blocks()

    def _blocks(self) -> None:
        ledger = self._ledger
        blocks = (ledger.routes(), ledger.mirrors(), ledger.servers())
        for kind, found, sharing in zip(KINDS, blocks, ledger.sharing(), strict=True):
            over = max(0, sum(identity != (OTHER, OTHER) for identity, _ in found) - MOST) + sharing
            self._over.update(dict.fromkeys((family.name for family in kind.families), over))

    def _listeners(self) -> Iterable[Metric]:
        blocks = [
            (name, self._cells.totals(at, layout.LISTENER_SIZE)) for (name,), at in self._ledger.listeners()
        ]
        for family in f.LISTENER:
            yield self._metric(family, [((name,), block[family.at]) for name, block in blocks])

    def _outcomes(self) -> Metric:
        return self._metric(
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
            yield self._metric(
                family, [((str(worker),), value * unit) for worker, value in enumerate(values)]
            )

    def _config(self) -> Iterable[Metric]:
        facts = self._facts
        yield self._metric(f.BUILD, [((__version__, platform.python_version()), 1)])
        yield self._metric(f.GENERATION, [((), facts.generation)])
        counts = {"success": 0, "unchanged": 0, "failure": 0, **facts.reloads}
        yield self._metric(f.RELOADS, [((result,), count) for result, count in counts.items()])
        yield self._metric(f.RELOAD_OK, [((), int(facts.last_reload_ok))])
        yield self._metric(f.RELOAD_AT, [((), facts.last_reload_at)])
        yield self._metric(f.EVENTS, sorted(facts.event_counts.items()))
        yield self._metric(f.SERVERS, facts.server_counts().items())
        yield self._metric(f.SERVERS_OUT, facts.servers_out().items())
        yield self._metric(f.WEBHOOK_LOST, [((), facts.webhook_lost)])
        yield self._metric(f.SPANS_EXPORTED, [((), facts.spans_exported)])
        dropped = {"worker": self._cells.total(layout.WORKER_SPANS_DROPPED), **facts.spans_dropped}
        yield self._metric(f.SPANS_DROPPED, [((reason,), spans) for reason, spans in dropped.items()])
        yield self._metric(f.PROBES_WAITING, [((), facts.probes_waiting)])
        yield from self._discovery()
        yield from self._catalog()
        yield self._metric(f.CERTIFICATE_END, facts.certificates().items())

    def _discovery(self) -> Iterable[Metric]:
        sources = self._facts.discovery()
        answered = [one for one in sources if one["age"] is not None]
        yield self._metric(f.DISCOVERY_MEMBERS, [((one["service"],), one["members"]) for one in sources])
        yield self._metric(f.DISCOVERY_AGE, [((one["service"],), one["age"]) for one in answered])
        yield self._metric(f.DISCOVERY_HELD, [((one["service"],), len(one["held"])) for one in sources])
        yield self._metric(
            f.DISCOVERY_UNUSABLE, [((one["service"],), len(one["unusable"])) for one in sources]
        )
        yield self._metric(f.DISCOVERY_ERRORS, [((one["service"],), one["errors"]) for one in sources])
        yield self._metric(f.DISCOVERY_UPDATES, [((one["service"],), one["updates"]) for one in sources])

    def _catalog(self) -> Iterable[Metric]:
        found = self._facts.catalog()
        if found is None:
            return
        yield self._metric(f.CATALOG_ROUTES, [((), len(found["routes"]))])
        yield self._metric(f.CATALOG_AGE, [((), found["age"])] if found["age"] is not None else [])
        yield self._metric(f.CATALOG_HELD, [((), len(found["held"]))])
        yield self._metric(f.CATALOG_UNUSABLE, [((), len(found["unusable"]))])
        yield self._metric(f.CATALOG_ERRORS, [((), found["errors"])])

    def _cluster(self) -> Iterable[Metric]:
        facts = self._facts.cluster_facts()
        if facts is None:
            return
        yield self._metric(f.CLUSTER_NAMES, [((facts.name, facts.node, facts.engine), 1)])
        values = (
            facts.leading, facts.epoch, facts.revision, None, facts.renewal, facts.lateness, facts.reachable,
            facts.age, facts.trouble, facts.rollout,
        )  # fmt: skip
        for family, value in zip(f.CLUSTER, values, strict=True):
            if value is not None:
                yield self._metric(family, [((), float(value))])
        counts = {reason: facts.transitions.get(reason, 0) for reason in f.CLUSTER_REASONS}
        yield self._metric(f.CLUSTER_TRANSITIONS, [((reason,), count) for reason, count in counts.items()])
        if facts.disagreements is not None:
            differ = [((between,), facts.disagreements.get(between, 0)) for between in f.CLUSTER_BETWEEN]
            yield self._metric(f.CLUSTER_DISAGREEMENTS, differ)
            yield self._metric(f.CLUSTER_HEALTH_NODES, [((), facts.health_nodes)])

    def _processes(self) -> Iterable[Metric]:
        workers = self._facts.workers()
        states = Counter(worker.state for worker in workers)
        yield self._metric(f.WORKERS, [((state,), count) for state, count in sorted(states.items())])
        yield self._metric(f.RESTARTS, [((str(worker.worker),), worker.restarts) for worker in workers])
        figures = {worker.worker: process_figures(worker.pid) for worker in workers if worker.pid}
        for family, late in zip((f.CONTROL_LAG, f.CONTROL_LAG_MAX), self._facts.loop_lag, strict=True):
            yield self._metric(family, [((), late)])
        for family, name in (
            (f.WORKER_RSS, "process_resident_memory_bytes"),
            (f.WORKER_CPU, "process_cpu_seconds_total"),
            (f.WORKER_FDS, "process_open_fds"),
        ):
            yield self._metric(
                family, [((str(worker),), found[name]) for worker, found in figures.items() if name in found]
            )

    def _metric(self, family: Family, samples: Iterable[tuple[tuple[str, ...], float]]) -> Metric:
        kind = CounterMetricFamily if family.type == "counter" else GaugeMetricFamily
        metric = kind(family.name, family.text, labels=family.labels)
        if family in f.CAPPED:
            shown, self._over[family.name] = capped(samples)
            samples = shown.items()
        for labels, value in samples:
            metric.add_metric(labels, value)
        return metric


def capped(samples: Iterable[tuple[tuple[str, ...], float]]) -> tuple[Mapping[tuple[str, ...], float], int]:
    """The first MOST, with the sum of the others under OTHER; and how many the others are."""
    shown: dict[tuple[str, ...], float] = {}
    over = 0
    for labels, value in samples:
        if len(shown) >= MOST and labels not in shown:
            labels = (OTHER,) * len(labels)
            over += 1
        shown[labels] = shown.get(labels, 0) + value
    return shown, over


def process_figures(pid: int) -> dict[str, float]:
    """The figures of one process that /proc gives, by prometheus-client's names; empty for a dead one."""
    collector = ProcessCollector(pid=lambda: pid, registry=None)
    return {sample.name: sample.value for metric in collector.collect() for sample in metric.samples}
