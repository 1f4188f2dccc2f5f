"""A server that came back grows to its weight, whatever the algorithm."""

from __future__ import annotations

from collections import Counter, deque
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.balancing.registry import ALGORITHMS
from lb.telemetry import layout
from lb.upstream.group import STEPS, warmth
from lb.upstream.service import Service
from tests.upstream.making import NOW, say, service, state

PICKS = 10_000
IN_FLIGHT = 40
EVERY = [
    *(set(ALGORITHMS) - {"consistent_hash"}),
    *(f"consistent_hash/{m}" for m in ("rendezvous", "maglev", "ketama")),
]
# They compare loads, so that a lighter server gets its share only once the others are busy for their weight,
# and of few requests at once less than its share.
BY_LOAD = {"least_connections", "power_of_two", "ewma"}


def share_of(made: Service, name: str) -> float:
    """Measured over requests of which so many are in flight at any time."""
    found: Counter[str] = Counter()
    under_way: deque = deque()
    for n in range(PICKS):
        server = made.select(b"key %d" % n, [])
        server.cells.add(server.slot + layout.SERVER_IN_FLIGHT, 1)
        under_way.append(server)
        if len(under_way) > IN_FLIGHT:
            over = under_way.popleft()
            over.cells.add(over.slot + layout.SERVER_IN_FLIGHT, -1)
        found[server.address] += 1
    while under_way:
        over = under_way.popleft()
        over.cells.add(over.slot + layout.SERVER_IN_FLIGHT, -1)
    return found[f"{name}:1"] / PICKS


@pytest.mark.parametrize("algorithm", sorted(EVERY))
def test_the_share_grows_with_every_algorithm(algorithm):
    made = service("a", "b", "c", algorithm=algorithm, slow_start=100.0)
    name = "a" if algorithm == "first" else "b"
    say(made, NOW, **{name: state(warm_from=NOW)})
    measured = []
    for after in (0, 25, 50, 75, 100):
        made.refresh(NOW + after)
        now_at = max(0.1, after // 10 / 10)
        # those that choose only among others when they pass it over
        fair = (
            now_at if algorithm == "first" else now_at / 3 if algorithm == "random" else now_at / (2 + now_at)
        )
        measured.append(share_of(made, name))
        if algorithm in BY_LOAD:
            assert 0.25 * fair < measured[-1] < 1.3 * fair, (after, measured)
        else:
            assert measured[-1] == pytest.approx(fair, abs=0.06 if "ketama" in algorithm else 0.02), after
    assert all(later > before for before, later in pairwise(measured))


def test_it_is_due_at_its_steps_and_only_then():
    made = service("a", "b", slow_start=30.0)
    assert not made.warming(NOW + 1000)
    say(made, NOW + 1, b=state(warm_from=NOW))
    seen = [made.servers[1].weight]
    refreshed = 0
    for tick in range(10, 400):
        now = NOW + tick / 10
        if made.warming(now):
            made.refresh(now)
            refreshed += 1
            seen.append(made.servers[1].weight)
    assert seen == pytest.approx([n / 10 for n in range(1, 11)]) and refreshed == STEPS - 1
    assert not made.warming(NOW + 1000)


def test_of_two_that_came_back_each_has_its_own_steps():
    made = service("a", "b", "c", slow_start=10.0)
    say(made, NOW + 4, a=state(warm_from=NOW), b=state(warm_from=NOW + 3.5))
    assert [s.weight for s in made.servers] == pytest.approx([0.4, 0.1, 1.0])
    assert made.next_step == pytest.approx(NOW + 5.0)
    made.refresh(NOW + 5)
    assert [s.weight for s in made.servers] == pytest.approx([0.5, 0.1, 1.0])
    assert made.next_step == pytest.approx(NOW + 5.5)


def test_the_weight_is_the_product_of_all_three():
    made = service("a x4", slow_start=10.0)
    say(made, NOW + 5, a=state(warm_from=NOW, weight=0.5))
    assert made.servers[0].weight == pytest.approx(4 * 0.5 * 0.5)


def test_where_all_are_warming_up_nobody_is_left_out():
    for algorithm in ("random", "first", "round_robin"):
        made = service("a", "b", algorithm=algorithm, slow_start=10.0)
        say(made, NOW, a=state(warm_from=NOW), b=state(warm_from=NOW))
        found = Counter(made.select(b"", []).address for _ in range(1000))
        assert sum(found.values()) == 1000
        if algorithm != "first":
            assert found["a:1"] == pytest.approx(500, abs=100)


def test_without_a_window_there_is_none():
    made = service("a", "b")
    say(made, NOW, b=state(warm_from=NOW))
    assert made.servers[1].weight == 1.0 and not made.warming(NOW + 1)


@given(window=st.floats(0.5, 3600), since=st.floats(-10, 5000), begun=st.floats(1, 1e7))
def test_never_under_a_tenth_nor_ahead_of_the_line(window, since, begun):
    server = service("a").servers[0]
    server.warm_from = begun
    share, step = warmth(server, window, begun + since)
    assert 0.1 <= share <= 1.0
    line = max(0.1, since / window)
    assert share <= line + 1e-3 or (share == 1.0 and since >= window * 0.999)
    assert share > line - 0.1 - 1e-3 or line > 1
    assert (step == 0.0) == (share == 1.0)
    if step:
        assert step > begun + since - 1e-3
        assert warmth(server, window, step)[0] == pytest.approx(min(1.0, share + 0.1))
