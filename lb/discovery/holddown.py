"""Hold-down: a member that comes and goes comes back later each time.

Lives here: who is kept out for now. Pure; times are handed in, monotonic seconds. Must not live here: members
that are there and fail (the checks of lb see to those), nor those that the brake held: they never went.
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
        """The members without those that are kept out; all of them where nobody would be left. One that is
        DOWN is not there."""
        wanted = tuple(members)
        there = _there(wanted)
        for address in there - self._there - self.out.keys():
            times = sum(at > now - WINDOW for at in self._left.get(address, ())) - FREE
            if times > 0:
                self.out[address] = now + min(LONGEST, FIRST * 2.0 ** (times - 1))
        self.out = {a: until for a, until in self.out.items() if until > now and a in there}
        if there == self.out.keys():
            self.out = {}
        return tuple(member for member in wanted if member.address not in self.out)

    def settle(self, in_force: Iterable[Member], now: float) -> None:
        """Told after each `filter`, who is in force: who was, and is neither that nor kept out, has left."""
        there = _there(in_force) | self.out.keys()
        for address in self._there - there:
            self._left.setdefault(address, []).append(now)
        recent = {a: [at for at in times if at > now - WINDOW] for a, times in self._left.items()}
        self._left = {address: times for address, times in recent.items() if times}
        self._there = there

    @property
    def due(self) -> float:
        """When the next one may come in; 0: nobody is out."""
        return min(self.out.values(), default=0.0)


def _there(members: Iterable[Member]) -> set[str]:
    return {member.address for member in members if member.state is not Registered.DOWN}
