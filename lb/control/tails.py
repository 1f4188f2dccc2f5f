"""Who looks on while requests end (`lb tail`): conditions for the workers, and to whom goes what they send.

Lives here: opening and closing a tail, its rate. Must not live here: HTTP (lb.admin.tail), looking at
requests (lb.proxy.keeping).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from lb.plan import TailPlan
from lb.telemetry.condition import Condition
from lb.telemetry.decision import Decision

MOST = 8  # at a time: each costs every request a look

Listener = Callable[[Sequence[Decision], int], None]


class _Tail:
    def __init__(self, rate: int, listener: Listener) -> None:
        self.rate = rate
        self.listener = listener
        self.second = 0
        self.shown = 0  # in this second

    def room(self, second: int) -> int:
        """How many more it is shown in this second."""
        if second != self.second:
            self.second, self.shown = second, 0
        return self.rate - self.shown


class Tails:
    """One per control process, in its loop."""

    def __init__(
        self,
        workers: int,
        tell: Callable[[tuple[TailPlan, ...]], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`tell` gives all workers all tails, whenever they change."""
        self._workers = workers
        self._tell = tell
        self._clock = clock
        self._open: dict[int, _Tail] = {}
        self._plans: dict[int, TailPlan] = {}
        self._last = 0

    def open(self, condition: Condition, rate: int, listener: Listener) -> Callable[[], None] | None:
        """`listener`, which must not block or raise, gets up to `rate` requests a second on which the
        condition holds, and how many more there were, until the function that is returned is called.
        None: MOST look on already."""
        if len(self._open) >= MOST:
            return None
        self._last += 1
        number = self._last
        self._open[number] = _Tail(rate, listener)
        self._plans[number] = TailPlan(number, condition, -(-rate // self._workers))
        self._tell(tuple(self._plans.values()))
        return lambda: self._close(number)

    def _close(self, number: int) -> None:
        if self._open.pop(number, None) is not None:
            del self._plans[number]
            self._tell(tuple(self._plans.values()))

    def take(self, decisions: Sequence[Decision], left_out: Mapping[int, int]) -> None:
        """What a worker sent; `left_out` by tail: what it had no room for."""
        second = int(self._clock())
        for number, tail in self._open.items():
            meant = [one for one in decisions if number in one.tails]
            shown = meant[: tail.room(second)]
            tail.shown += len(shown)
            more = left_out.get(number, 0) + len(meant) - len(shown)
            if shown or more:
                tail.listener(shown, more)
