"""From runs to figures: medians, spreads and ratios. Pure: numbers in, numbers out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

METRICS = ("cpu", "rate", "p50", "p99", "p999", "memory", "memory_per_connection", "core_busy")
HELD = 0.98  # a paced run counts as held from this share of its offered rate on


@dataclass(frozen=True, slots=True)
class Figure:
    """A metric over all rounds. `ratio` is the median of its ratios to the reference, round by round."""

    median: float
    low: float
    high: float
    ratio: float | None


@dataclass(frozen=True, slots=True)
class Standing:
    """One proxy under one load."""

    proxy: str
    rounds: int
    figures: Mapping[str, Figure]
    failures: int
    reconnects: int  # idle connections that the proxy closed
    held: bool  # it answered the offered rate (always true for loads without one)
    logged: bool  # it wrote at least one log line per request, where it says that it logs requests


def reference_of(proxies: Sequence[str]) -> str:
    """What ratios refer to: lb, or the first proxy where lb is not in the run."""
    return "lb" if "lb" in proxies else proxies[0]


def standings(runs: Iterable[Mapping[str, Any]], load: str, reference: str) -> list[Standing]:
    """The proxies' figures under one load, in the order in which they first ran."""
    by_proxy: dict[str, dict[int, Mapping[str, Any]]] = {}
    for run in runs:
        if run["load"] == load:
            by_proxy.setdefault(run["proxy"], {})[run["round"]] = run
    base = by_proxy.get(reference, {})
    return [_standing(proxy, rounds, base) for proxy, rounds in by_proxy.items()]


def _standing(
    proxy: str, rounds: Mapping[int, Mapping[str, Any]], base: Mapping[int, Mapping[str, Any]]
) -> Standing:
    runs = list(rounds.values())
    return Standing(
        proxy=proxy,
        rounds=len(runs),
        figures={metric: _figure(metric, rounds, base) for metric in METRICS},
        failures=sum(sum(run["failures"].values()) for run in runs),
        reconnects=sum(run["reconnects"] for run in runs),
        held=median(run["rate"] / run["offered_rate"] if run["offered_rate"] else 1.0 for run in runs)
        >= HELD,
        logged=all(run["log_lines"] >= run["requests"] for run in runs),
    )


def _figure(
    metric: str, rounds: Mapping[int, Mapping[str, Any]], base: Mapping[int, Mapping[str, Any]]
) -> Figure:
    values = [float(run[metric]) for run in rounds.values()]
    ratios = [
        float(run[metric]) / float(base[number][metric])
        for number, run in rounds.items()
        if number in base and base[number][metric]
    ]
    return Figure(median(values), min(values), max(values), median(ratios) if ratios else None)


def equal_rate(runs: Iterable[Mapping[str, Any]], load: str, wanted: Sequence[str], share: float) -> float:
    """A rate that all can hold: `share` of the slowest median among `wanted`, or all where none of them ran.

    0 when the load has not been run.
    """
    rates: dict[str, list[float]] = {}
    for run in runs:
        if run["load"] == load:
            rates.setdefault(run["proxy"], []).append(float(run["rate"]))
    chosen = [rates[name] for name in wanted if name in rates] or list(rates.values())
    return share * min((median(values) for values in chosen), default=0.0)
