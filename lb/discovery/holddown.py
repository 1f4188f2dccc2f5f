"""Hold-down: a member that comes and goes comes back later each time.

Lives here: who is kept out for now. Pure; times are handed in, monotonic seconds. Must not live here: members
that are there and fail (the checks of lb see to those).
"""

from __future__ import annotations

from collections.abc import Iterable

from lb.discovery.contract import Member, Registered

WINDOW = 300.0  # seconds after which a departure is forgotten
FREE = 2  # departures within it that have no consequence: a restart, and a second one
FIRST = 5.0  # seconds out after the next one, twice as long after each further one
LONGEST = 120.0


class HoldDown:
    """Of one service. `out`: until when a member is kept out, by address."""

    def __init__(self) -> None:
        self.out: dict[str, float] = {}
        self._there: set[str] = set()
        self._left: dict[str, list[float]] = {}

    def __repr__(self) -> str:
        return f"<HoldDown {len(self.out)} kept out>"

    def filter(self, members: Iterable[Member], now: float) -> tuple[Member, ...]:
        """The members without those that are kept out. One that is DOWN is not there."""
        wanted = tuple(members)
        there = {member.address for member in wanted if member.state is not Registered.DOWN}
        for address in self._there - there:
            self._left.setdefault(address, []).append(now)
        for address in list(self._left):
            recent = [at for at in self._left[address] if at > now - WINDOW]
            if recent:
                self._left[address] = recent
            else:
                del self._left[address]
        for address in there - self._there:
            times = len(self._left.get(address, ())) - FREE
            if times > 0:
                self.out[address] = now + min(LONGEST, FIRST * 2.0 ** (times - 1))
        self._there = there
        self.out = {a: until for a, until in self.out.items() if until > now and a in there}
        return tuple(member for member in wanted if member.address not in self.out)

    @property
    def due(self) -> float:
        """When the next one may come in; 0: nobody is out."""
        return min(self.out.values(), default=0.0)
