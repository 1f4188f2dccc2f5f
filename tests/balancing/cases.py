"""Members for tests, and every algorithm that the registry can make."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from lb.balancing.contract import Balancer, Member
from lb.balancing.latency import PeakEwma
from lb.balancing.registry import ALGORITHMS, LARGE, METHODS, SMALL, make
from lb.plan import AlgorithmPlan


class Server(Member):
    """A member whose load and latency a test sets."""

    def __init__(self, identity: str, weight: float = 1.0, load: int = 0) -> None:
        super().__init__(identity, weight)
        self.load = load
        self.latency = PeakEwma()
        self.picks = 0

    def in_flight(self) -> int:
        return self.load

    def cost(self, now: float) -> float:
        return self.latency.value(now)

    def __repr__(self) -> str:
        return f"{self.identity}·{self.weight:g}·{self.load}"


def servers(count: int, *weights: float) -> list[Server]:
    """`count` servers; `weights` are repeated as often as needed, 1.0 where there are none."""
    given = weights or (1.0,)
    return [Server(f"app/10.0.{i // 250}.{i % 250}:80", given[i % len(given)]) for i in range(count)]


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Case(NamedTuple):
    name: str
    plan: AlgorithmPlan
    count: int  # configured servers, which chooses between small and large

    def make(self, seed: int = 1, clock: Clock | None = None) -> Balancer:
        return make(self.plan, self.count, Random(seed), clock or Clock())


OWN = "tests.balancing.own:Quietest"

CASES = [
    *(
        Case(name, AlgorithmPlan(name, "client_ip"), SMALL)
        for name in ALGORITHMS
        if name != "consistent_hash"
    ),
    *(Case(f"{name}, large", AlgorithmPlan(name), SMALL + 1) for name in LARGE if name != "consistent_hash"),
    *(
        Case(
            f"consistent_hash, {method}{bound}", AlgorithmPlan("consistent_hash", "client_ip", options), SMALL
        )
        for method in METHODS
        for bound, options in (
            ("", {"method": method}),
            (", bounded", {"method": method, "bounded_load": 1.25}),
        )
    ),
    Case("a user's own", AlgorithmPlan(OWN, options={"sample": 3}), SMALL),
]
