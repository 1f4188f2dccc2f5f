"""Hold-down: who comes and goes waits longer each time, and is forgiven."""

from __future__ import annotations

from lb.discovery.contract import Member, Registered
from lb.discovery.holddown import FIRST, FREE, LONGEST, WINDOW, HoldDown

A, B = Member("a:1"), Member("b:1")


def flap(made: HoldDown, times: int, now: float = 0.0, gone: tuple[Member, ...] = (B,)) -> float:
    """It goes and comes so many times, a second each."""
    for _ in range(times):
        made.filter(gone, now)
        made.filter((A, B), now + 1)
        now += 2
    return now


def test_a_restart_or_two_have_no_consequence():
    made = HoldDown()
    assert made.filter((A, B), 0.0) == (A, B)
    flap(made, FREE, 1.0)
    assert made.out == {} and made.due == 0.0


def test_after_that_each_return_waits_longer():
    made = HoldDown()
    made.filter((A, B), 0.0)
    now = flap(made, FREE + 1, 1.0)
    assert made.out == {"a:1": now - 1 + FIRST}
    assert made.due == now - 1 + FIRST
    assert made.filter((A, B), now) == (B,), "the other one is not concerned"
    assert made.filter((A, B), now - 1 + FIRST) == (A, B)
    later = flap(made, 1, now + 10)
    assert made.out == {"a:1": later - 1 + 2 * FIRST}
    assert flap(made, 20, later) and made.out["a:1"] - (later + 40 - 1) == LONGEST


def test_it_is_forgiven_in_time():
    made = HoldDown()
    made.filter((A, B), 0.0)
    now = flap(made, FREE + 3, 1.0)
    made.filter((B,), now + WINDOW + 1)
    assert made.filter((A, B), now + WINDOW + 2) == (A, B)


def test_down_is_gone():
    made = HoldDown()
    made.filter((A, B), 0.0)
    now = flap(made, FREE + 1, 1.0, gone=(Member("a:1", state=Registered.DOWN), B))
    assert made.filter((A, B), now) == (B,)
