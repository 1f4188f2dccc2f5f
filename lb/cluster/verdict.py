"""Whether a staged revision goes on, goes back or is watched on: a pure function of what it has shown.

Lives here: the comparison and its words. Must not live here: collecting the figures (lb.cluster.rollout),
publishing (lb.cluster.desk).

Failures are compared as shares. They end a rollout at once where chance does not explain them (a test of two
proportions, one-sided), and at its end where they are above what was allowed. Times are compared by the time
within which nine requests in ten were answered, since a mean follows its longest streams.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

from lb.cluster.records import Progress, Stage, Traffic
from lb.telemetry.layout import BOUNDS_US

LEAST_FAILURES = 5  # before the end: fewer are chance, however few requests there were
CERTAIN = 2.33  # standard deviations: chance does that once in a hundred times
QUANTILE = 0.9
SLACK = 0.005  # seconds that a quantile may be above the others' in any case: buckets are coarse


class Way(Enum):
    WAIT = "wait"
    ON = "promote"
    BACK = "abort"


class Verdict(NamedTuple):
    """`text` says why, for an operator."""

    way: Way
    text: str


def judge(stage: Stage, progress: Progress) -> Verdict:
    """What is to become of a staged revision."""
    first, others = progress.first, progress.others
    figures = shown(first) + (f"; the others: {shown(others)}" if others.requests else "")
    over = progress.watched >= stage.watch
    excess = _share(first) - _share(others) - stage.errors
    if (
        excess > 0
        and first.failures >= LEAST_FAILURES
        and (over or excess > CERTAIN * _deviation(first, others))
    ):
        return Verdict(Way.BACK, f"too many of its requests fail: {figures}")
    if first.requests < stage.requests:
        if not over:
            return Verdict(Way.WAIT, figures)
        return Verdict(Way.WAIT, f"{figures}; nothing is decided before {stage.requests}")
    if others.requests >= max(1, stage.requests):  # beside nobody, nothing is slow
        ours, theirs = quantile(first.buckets), quantile(others.buckets)
        if ours > theirs * stage.latency + SLACK:
            return Verdict(Way.BACK, f"its requests take too long: {figures}")
    if not over:
        return Verdict(Way.WAIT, figures)
    if excess > 0:
        return Verdict(Way.BACK, f"too many of its requests fail: {figures}")
    return Verdict(Way.ON, figures)


def shown(traffic: Traffic) -> str:
    """Traffic in words."""
    if not traffic.requests:
        return "no requests yet"
    ones = f"{traffic.requests:,} request{'' if traffic.requests == 1 else 's'}"
    time = quantile(traffic.buckets)
    within = f"{time:.3g}s" if time >= 1 else f"{time * 1000:.3g}ms"
    return f"{ones}, {_share(traffic):.2%} failed, nine in ten within {within}"


def quantile(buckets: Sequence[int]) -> float:
    """Seconds within which QUANTILE of the requests were answered, interpolated in a bucket as Prometheus
    does; the last bucket counts as its lower bound. 0.0 where there are none."""
    rank, before, lower = QUANTILE * sum(buckets), 0, 0.0
    for count, upper in zip(buckets, BOUNDS_US, strict=False):
        if count and before + count >= rank:
            return (lower + (upper - lower) * (rank - before) / count) / 1e6
        before, lower = before + count, upper
    return lower / 1e6 if before or sum(buckets) else 0.0


def _share(traffic: Traffic) -> float:
    return traffic.failures / traffic.requests if traffic.requests else 0.0


def _deviation(one: Traffic, other: Traffic) -> float:
    return math.sqrt(sum(_share(x) * (1 - _share(x)) / x.requests for x in (one, other) if x.requests))
