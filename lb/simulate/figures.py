"""What a run comes to, in numbers: of an algorithm, of each server, and over time.

Lives here: sums and percentiles. Must not live here: text and pictures.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate, pairwise

import msgspec

from lb.simulate.replay import Run, Served


class ServerFigures(msgspec.Struct):
    """`share` (0..1) of all requests; `in_flight`: the mean while the load lasts; `p99`: seconds from a
    request to its answer, None where there is none."""

    address: str
    requests: int
    share: float
    in_flight: float
    p99: float | None
    failed: int


class Figures(msgspec.Struct):
    """Seconds that clients wait for an answer: `p50`, `p99`, `mean`, of which `queued` is the mean that they
    wait for a slot of their server; None where nothing was answered. `failed`: share (0..1) of all requests.
    `kept`: of the requests whose key (or else client) had come before, the share that went where the one
    before had gone."""

    algorithm: str
    p50: float | None
    p99: float | None
    mean: float | None
    queued: float | None
    failed: float
    kept: float | None
    servers: list[ServerFigures]


class Over(msgspec.Struct):
    """One server over time, a value a bucket: the mean in flight, and the p99 of the requests that came in it
    (None where none was answered)."""

    address: str
    in_flight: list[float]
    p99: list[float | None]


def figures(run: Run, seconds: float) -> Figures:
    """`seconds`: how long the load lasts."""
    times = sorted(took for served in run.servers for took in _answers(served))
    failed = run.unserved + sum(served.answered.count(0) for served in run.servers)
    requests = len(times) + failed
    return Figures(
        run.algorithm,
        percentile(times, 0.5),
        percentile(times, 0.99),
        sum(times) / len(times) if times else None,
        run.queued / len(times) if times else None,
        failed / requests,
        run.kept / run.known if run.known else None,
        [_of_server(served, requests, seconds) for served in run.servers],
    )


def _of_server(served: Served, requests: int, seconds: float) -> ServerFigures:
    return ServerFigures(
        served.address,
        len(served.began),
        len(served.began) / requests,
        _areas(served, [0.0, seconds])[0] / seconds,
        percentile(sorted(_answers(served)), 0.99),
        served.answered.count(0),
    )


def over_time(run: Run, seconds: float, buckets: int) -> list[Over]:
    """Every server in `buckets` equal parts of `seconds`."""
    edges = [seconds * at / buckets for at in range(buckets + 1)]
    found = []
    for served in run.servers:
        times: list[list[float]] = [[] for _ in range(buckets)]
        for began, done, answered in zip(served.began, served.done, served.answered, strict=True):
            if answered:
                times[min(buckets - 1, int(began / seconds * buckets))].append(done - began)
        found.append(
            Over(
                served.address,
                [area / (seconds / buckets) for area in _areas(served, edges)],
                [percentile(sorted(each), 0.99) for each in times],
            )
        )
    return found


def percentile(ordered: Sequence[float], share: float) -> float | None:
    """The smallest of `ordered` (ascending) that at least `share` of them do not exceed."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None


def _answers(served: Served) -> list[float]:
    """Seconds to each answer."""
    return [
        done - began
        for began, done, answered in zip(served.began, served.done, served.answered, strict=True)
        if answered
    ]


def _areas(served: Served, edges: Sequence[float]) -> list[float]:
    """Between each two edges, the seconds that requests were in flight, all together."""
    came, went = _elapsed(served.began, edges), _elapsed(array("d", sorted(served.done)), edges)
    under_way = [a - b for a, b in zip(came, went, strict=True)]
    return [max(0.0, after - before) for before, after in pairwise(under_way)]


def _elapsed(moments: array[float], edges: Sequence[float]) -> list[float]:
    """At each edge, the seconds since every moment before it, all together. Moments ascend."""
    sums = [0.0, *accumulate(moments)]
    places = [bisect_right(moments, edge) for edge in edges]
    return [edge * at - sums[at] for edge, at in zip(edges, places, strict=True)]
