"""A service's algorithm as the plan's record: what workers make and lint tries."""

from __future__ import annotations

from lb.config.services import HASHING, AlgorithmSpec
from lb.plan import AlgorithmPlan


def algorithm_plan(algorithm: AlgorithmSpec) -> AlgorithmPlan:
    """With the key that consistent_hash has unless another is given."""
    key = algorithm.key or ""
    options = dict(algorithm.options)
    if algorithm.name == HASHING:
        key = key or "client_ip"
        if algorithm.method is not None:
            options["method"] = algorithm.method
        if algorithm.bounded_load:
            options["bounded_load"] = algorithm.bounded_load
    return AlgorithmPlan(algorithm.name, key, options)
