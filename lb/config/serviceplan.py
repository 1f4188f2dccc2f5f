"""A service's parts of the Spec as the plan's records: what workers make and lint tries.

Must not live here: servers and their counters (lb.control.planning).
"""

from __future__ import annotations

from hashlib import sha256

from lb.config.resilience import BreakerSpec
from lb.config.services import HASHING, AlgorithmSpec
from lb.config.sticky import StickySpec
from lb.plan import AlgorithmPlan, BreakerPlan, StickyPlan


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


def sticky_plan(sticky: StickySpec | None, key: str) -> StickyPlan | None:
    """`key`: the one where the file names no secret. A secret of any length becomes 32 bytes."""
    if sticky is None:
        return None
    if sticky.secret is not None:
        key = sha256(sticky.secret.value.get_secret_value().encode()).hexdigest()
    return StickyPlan(sticky.cookie, key, sticky.ttl, _attributes(sticky))


def _attributes(sticky: StickySpec) -> str:
    """RFC 6265 4.1.1. Max-Age is there too: the browser forgets when the signature ends."""
    words = [f"Path={sticky.path}"]
    if sticky.domain is not None:
        words.append(f"Domain={sticky.domain}")
    if sticky.ttl:
        words.append(f"Max-Age={max(1, int(sticky.ttl))}")
    if sticky.secure:
        words.append("Secure")
    if sticky.http_only:
        words.append("HttpOnly")
    words.append(f"SameSite={sticky.same_site.capitalize()}")
    return "".join(f"; {word}" for word in words)


def breaker_plan(breaker: BreakerSpec | None) -> BreakerPlan | None:
    return None if breaker is None else BreakerPlan(**breaker.model_dump())
