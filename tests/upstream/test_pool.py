"""A Pool against a plain list: last in first out, never over its limits, the gauge always right."""

from __future__ import annotations

from time import perf_counter

from hypothesis import given, settings
from hypothesis import strategies as st

from lb.telemetry import layout
from lb.telemetry.cells import Cells
from lb.upstream.pool import BUSY, CLOSED, IDLE, RESERVED, Connection, Pool

SLOT = 100


class Wire(Connection):
    """A connection that only remembers that it was closed."""

    closed = 0

    def close(self):
        assert self.state == CLOSED, "closed while the pool holds it"
        self.closed += 1


def made(max_idle: int = 3) -> Pool:
    pool = Pool("a:1", Cells(-1, 0, 1, 1000))
    pool.max_idle = max_idle
    return pool


def busy(pool: Pool, born: float = 0.0) -> Wire:
    wire = Wire(pool)
    assert wire.state == RESERVED
    wire.state, wire.born = BUSY, born
    return wire


def gauge(pool: Pool) -> int:
    return pool.cells.get(SLOT + layout.SERVER_IDLE)


def test_the_one_used_last_comes_first():
    pool = made()
    wires = [busy(pool) for _ in range(3)]
    assert all(pool.give(wire, SLOT, 1.0) for wire in wires)
    assert [pool.take() for _ in range(4)] == [*reversed(wires), None]
    assert all(wire.state == BUSY for wire in wires) and gauge(pool) == 0


def test_the_one_idle_longest_makes_room():
    pool = made(2)
    wires = [busy(pool) for _ in range(3)]
    assert all(pool.give(wire, SLOT, float(at)) for at, wire in enumerate(wires))
    assert list(pool.idle) == wires[1:] and [w.closed for w in wires] == [1, 0, 0] and gauge(pool) == 2


def test_age_and_idleness_end_a_connection():
    pool = made()
    pool.max_age, pool.idle_timeout = 10.0, 5.0
    assert not pool.give(busy(pool, born=0.0), SLOT, 10.0)
    quiet, old, fresh = busy(pool, 4.0), busy(pool, 0.0), busy(pool, 9.0)
    for wire, now in ((quiet, 5.0), (old, 7.0), (fresh, 9.0)):
        assert pool.give(wire, SLOT, now)
    pool.expire(9.9)
    assert len(pool.idle) == 3
    pool.expire(10.0)
    assert list(pool.idle) == [fresh] and quiet.closed == old.closed == 1 and gauge(pool) == 1


def test_a_lower_limit_takes_effect_without_traffic():
    pool = made(4)
    wires = [busy(pool) for _ in range(4)]
    for wire in wires:
        pool.give(wire, SLOT, 1.0)
    pool.max_idle = 1
    pool.expire(1.0)
    assert list(pool.idle) == wires[3:] and gauge(pool) == 1


def test_a_closed_pool_takes_nothing_back():
    pool = made()
    idle, under_way = busy(pool), busy(pool)
    pool.give(idle, SLOT, 1.0)
    pool.close()
    assert idle.closed == 1 and not pool.give(under_way, SLOT, 1.0)
    assert not pool.idle and gauge(pool) == 0


def test_dropping_costs_the_same_anywhere():
    pool = made(100_000)
    wires = [busy(pool) for _ in range(100_000)]
    for wire in wires:
        pool.give(wire, SLOT, 1.0)
    began = perf_counter()
    for wire in wires[30_000:60_000]:
        pool.drop(wire)
    # a list would move 10^9 places; a few tens of ms here
    assert perf_counter() - began < 2.0
    assert gauge(pool) == len(pool.idle) == 70_000 and pool.take() is wires[-1]


EVENTS = st.lists(
    st.tuples(st.sampled_from(["open", "take", "give", "drop", "expire"]), st.integers(0, 9)), max_size=80
)


@given(events=EVENTS, most=st.integers(0, 3))
@settings(max_examples=150, deadline=None)
def test_like_a_list(events, most):
    pool, model, out, everything = made(most), [], [], []
    pool.max_age, pool.idle_timeout = 30.0, 4.0
    now = 0.0
    for event, n in events:
        now += 0.5
        if event == "open":
            out.append(busy(pool, now))
            everything.append(out[-1])
        elif event == "take":
            expected = model.pop() if model else None
            assert pool.take() is expected
            if expected is not None:
                out.append(expected)
        elif event == "give" and out:
            wire = out.pop(n % len(out))
            taken = pool.give(wire, SLOT, now)
            assert taken == (now - wire.born < 30.0 and most > 0)
            model = [*model, wire][-most:] if taken else model
        elif event == "drop" and model:
            pool.drop(model.pop(n % len(model)))
        elif event == "expire":
            pool.expire(now)
            model = [w for w in model if now - w.idle_since < 4.0 and now - w.born < 30.0]
        assert list(pool.idle) == model and len(model) <= most and gauge(pool) == len(model)
        assert all((w.state == IDLE) is (w in model) for w in everything)
        assert all(w.closed <= 1 for w in everything)
