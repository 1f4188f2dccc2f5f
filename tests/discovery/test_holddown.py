"""Hold-down: who comes and goes waits longer each time, and is forgiven."""

from __future__ import annotations

from lb.discovery.contract import Member, Registered
from lb.discovery.holddown import FIRST, FREE, LONGEST, WINDOW, HoldDown

A, B = Member("a:1"), Member("b:1")


def hear(made: HoldDown, members: tuple[Member, ...], now: float) -> tuple[Member, ...]:
    """As in a service without a brake: who is let in is in force."""
    found = made.filter(members, now)
    made.settle(found, now)
    return found


def flap(made: HoldDown, times: int, now: float = 0.0, gone: tuple[Member, ...] = (B,)) -> float:
    """It goes and comes so many times, a second each."""
    for _ in range(times):
        hear(made, gone, now)
        hear(made, (A, B), now + 1)
        now += 2
    return now


def test_a_restart_or_two_have_no_consequence():
    made = HoldDown()
    assert hear(made, (A, B), 0.0) == (A, B)
    flap(made, FREE, 1.0)
    assert made.out == {} and made.due == 0.0


def test_after_that_each_return_waits_longer():
    made = HoldDown()
    hear(made, (A, B), 0.0)
    now = flap(made, FREE + 1, 1.0)
    assert made.out == {"a:1": now - 1 + FIRST}
    assert made.due == now - 1 + FIRST
    assert hear(made, (A, B), now) == (B,), "the other one is not concerned"
    assert hear(made, (A, B), now - 1 + FIRST) == (A, B)
    later = flap(made, 1, now + 10)
    assert made.out == {"a:1": later - 1 + 2 * FIRST}
    assert flap(made, 20, later) and made.out["a:1"] - (later + 40 - 1) == LONGEST


def test_it_is_forgiven_in_time():
    made = HoldDown()
    hear(made, (A, B), 0.0)
    now = flap(made, FREE + 3, 1.0)
    hear(made, (B,), now + WINDOW + 1)
    assert hear(made, (A, B), now + WINDOW + 2) == (A, B)


def test_down_is_gone():
    made = HoldDown()
    hear(made, (A, B), 0.0)
    now = flap(made, FREE + 1, 1.0, gone=(Member("a:1", state=Registered.DOWN), B))
    assert hear(made, (A, B), now) == (B,)


def test_who_was_held_in_force_never_left():
    made = HoldDown()
    hear(made, (A, B), 0.0)
    for now in range(1, 40, 2):
        assert made.filter((B,), now) == (B,)
        made.settle((A, B), now)
        assert hear(made, (A, B), now + 1) == (A, B)


def test_nobody_is_kept_out_where_nobody_would_be_left():
    made = HoldDown()
    hear(made, (A, B), 0.0)
    now = flap(made, FREE + 3, 1.0, gone=())
    assert made.out == {} and hear(made, (A, B), now) == (A, B)
    now = flap(made, 1, now)
    assert set(made.out) == {"a:1"}
    assert hear(made, (A,), now) == (A,), "the other one went: this one is needed"
