"""Outliers: which servers of one service did worse than the others in one window of time.

Lives here: the two comparisons (share of failures, time to the first byte) as pure functions over counts.
Must not live here: where counts come from, and what follows from a verdict (lb.control.ejection).

What is usual is the median of the servers, how far they spread is their MAD (median absolute deviation). A
mean and a standard deviation (Envoy: below mean − 1.9 σ of the success rates) contain the bad server and
grow with it: of n values none lies more than √(n − 1) standard deviations from their mean (Samuelson's
inequality), which is 1.41 for three servers and 1.73 for four, so that 1.9 σ finds nothing there whatever a
server does; and two bad ones hide each other. Median and MAD stay where most servers are while fewer than
half are bad (Leys and others, "Do not use standard deviation around the mean, use absolute deviation around
the median", J. Exp. Soc. Psych. 49, 2013). The factor of 3.5 is that of Iglewicz and Hoaglin ("How to
Detect and Handle Outliers", 1993).

The MAD of three servers says little and is often 0. So a verdict also needs a difference that matters (the
floors) and that is no chance: five standard errors, for shares on the scale of their arcsine, where the
error depends on the number of requests alone; for medians in ranks, which asks nothing of how latency is
distributed. There are thousands of checks a day, and every error costs an ejection: hence five and not two.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import asin, pi, sin, sqrt
from statistics import median
from typing import NamedTuple

from lb.telemetry.layout import BOUNDS_US

SUCCESS_RATE = "success_rate"
LATENCY = "latency"

_FEWEST = 3  # servers, below which the median is no majority
_MAD = 3.5 * 1.4826  # times the MAD: 3.5 standard deviations where values are normally distributed
_CHANCE = 5.0  # standard errors
_LEAST_SHARE = 0.05  # of requests: a server that fails so few more than usual is no outlier
_LEAST_RATIO = 3.0  # of medians: more than estimates in two neighbouring buckets can be apart by
_LEAST_SECONDS = 0.01


class Counts(NamedTuple):
    """What one server did in the window. `failures` ≤ `requests`; `buckets`: how many responses began within
    each of lb.telemetry.layout.BOUNDS_US, and one more number for the rest."""

    requests: int
    failures: int
    buckets: tuple[int, ...]


class Verdict(NamedTuple):
    """One outlier with its evidence. `value`, `threshold` and `usual` (the median of all `servers` that were
    compared) are shares (0..1) of failures for SUCCESS_RATE, seconds for LATENCY."""

    server: str
    kind: str
    requests: int
    failures: int
    value: float
    threshold: float
    usual: float
    servers: int


def failing(servers: Mapping[str, Counts], min_requests: int, min_servers: int) -> list[Verdict]:
    """The servers that failed more than usual, the worst first; always fewer than half. Only servers with
    `min_requests` in the window are compared, and only where there are `min_servers` of them."""
    seen = {name: counts for name, counts in servers.items() if counts.requests >= max(1, min_requests)}
    if len(seen) < max(_FEWEST, min_servers):
        return []
    shares = {name: counts.failures / counts.requests for name, counts in seen.items()}
    usual = median(shares.values())
    least = usual + max(_LEAST_SHARE, _MAD * _deviation(shares.values(), usual))
    total = sum(counts.requests for counts in seen.values())
    found = []
    for name, share in shares.items():
        requests, failures, _ = seen[name]
        threshold = max(least, _by_chance(usual, total - requests, requests))
        if share > threshold:
            found.append(
                Verdict(name, SUCCESS_RATE, requests, failures, share, threshold, usual, len(seen)),
            )
    return _worst_first(found)


def slow(servers: Mapping[str, Counts], min_requests: int, min_servers: int) -> list[Verdict]:
    """The servers whose responses begin later than usual, the slowest first; always fewer than half. Who is
    compared: as in `failing`, by the number of responses."""
    seen = {name: counts for name, counts in servers.items() if sum(counts.buckets) >= max(1, min_requests)}
    if len(seen) < max(_FEWEST, min_servers):
        return []
    medians = {name: quantile(counts.buckets, 0.5) for name, counts in seen.items()}
    usual = median(medians.values())
    least = max(_LEAST_SECONDS, _MAD * _deviation(medians.values(), usual))
    threshold = max(usual * _LEAST_RATIO, usual + least)
    latest = median(_bucket(counts.buckets, 0.5 + _ranks(counts.buckets)) for counts in seen.values())
    found = []
    for name, value in medians.items():
        requests, failures, buckets = seen[name]
        # A bucket lies between the two: where in its bucket a response began is not known.
        if value > threshold and _bucket(buckets, 0.5 - _ranks(buckets)) > latest + 1:
            found.append(Verdict(name, LATENCY, requests, failures, value, threshold, usual, len(seen)))
    return _worst_first(found)


def quantile(buckets: Sequence[int], share: float) -> float:
    """An estimate in seconds of the time below which `share` (0..1) of the responses began: evenly spread in
    each bucket. 0 where there are none; the last bucket, which has no end, counts as its beginning."""
    total = sum(buckets)
    if not total:
        return 0.0
    at = _bucket(buckets, share)
    below = BOUNDS_US[at - 1] if at else 0
    if at == len(BOUNDS_US):
        return below / 1e6
    inside = (share * total - sum(buckets[:at])) / buckets[at]
    return (below + (BOUNDS_US[at] - below) * max(0.0, inside)) / 1e6


def _worst_first(found: list[Verdict]) -> list[Verdict]:
    """By how far over the threshold; between equals the name decides, so that their order never does."""
    return sorted(found, key=lambda verdict: (-verdict.value / verdict.threshold, verdict.server))


def _deviation(values: Iterable[float], middle: float) -> float:
    return median(abs(value - middle) for value in values)


def _by_chance(usual: float, others: int, requests: int) -> float:
    """The share of failures that chance can reach in `requests` where `others`, so many requests, had the
    usual one. 2 asin √p has a standard error of 1/√n whatever p is (Anscombe 1948, with his 3/8)."""
    angle = 2.0 * asin(sqrt((usual * others + 0.375) / (others + 0.75)))
    angle += _CHANCE * sqrt(1.0 / requests + 1.0 / others)
    return sin(min(angle, pi) / 2.0) ** 2


def _ranks(buckets: Sequence[int]) -> float:
    """How far from the middle, as a share, the rank of the true median may be by chance."""
    return min(0.5, _CHANCE * 0.5 / sqrt(sum(buckets)))


def _bucket(buckets: Sequence[int], share: float) -> int:
    """The number of the bucket, not an empty one, in which that quantile lies."""
    wanted = share * sum(buckets)
    reached = 0
    last = 0
    for number, count in enumerate(buckets):
        if count:
            reached += count
            last = number
            if reached >= wanted:
                break
    return last
