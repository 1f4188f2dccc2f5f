"""Gradient: the limit grows while latency is flat, shrinks when it rises, and stays in its bounds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lb.plan import AdaptivePlan
from lb.upstream.gradient import Gradient

STEP = 20  # samples that make one step

PLAN = AdaptivePlan(least=4, most=200)


def feed(gradient: Gradient, latency: float, steps: int, in_use: int = 1000) -> int:
    limit = 0
    for _ in range(steps * STEP):
        limit = gradient.observe(latency, in_use)
    return limit


def test_it_grows_to_its_bound_while_latency_is_flat() -> None:
    gradient = Gradient(PLAN, 1)
    assert feed(gradient, 0.010, 5) > 20
    assert feed(gradient, 0.010, 500) == 200


def test_it_does_not_grow_where_nobody_needs_it() -> None:
    assert feed(Gradient(PLAN, 1), 0.010, 100, in_use=2) == 20


def test_it_shrinks_when_latency_rises_and_comes_back() -> None:
    gradient = Gradient(PLAN, 1)
    feed(gradient, 0.010, 500)
    assert feed(gradient, 0.100, 15) < 80
    assert feed(gradient, 0.010, 300) > 150


def test_a_queueing_server_is_held_near_what_it_can_do() -> None:
    """A server that does 10 at a time in 10 ms each: more only wait. The limit must end between."""
    gradient = Gradient(PLAN, 1)
    limit = 20
    for _ in range(400 * STEP):
        limit = gradient.observe(0.010 * max(1.0, limit / 10), limit)
    assert 4 <= limit <= 100


def test_workers_share_the_bounds() -> None:
    gradient = Gradient(PLAN, 4)
    assert feed(gradient, 0.010, 500) == 50


@given(st.lists(st.floats(0, 100), max_size=400), st.integers(0, 1000))
def test_it_stays_in_its_bounds(latencies: list[float], in_use: int) -> None:
    gradient = Gradient(PLAN, 1)
    for latency in latencies:
        assert 4 <= gradient.observe(latency, in_use) <= 200
