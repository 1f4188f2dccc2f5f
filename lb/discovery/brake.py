"""The brake: an answer of a registry that takes away very much is not believed at once.

Lives here: which members are in force after an answer, and how long those that vanished are held. Pure. Must
not live here: asking (lb.discovery.following) and clocks; times are handed in, monotonic seconds.

A registry that lost its data, or a token that lost its rights, answers with an empty list and status 200. So
what takes away more than a share of the members that were in use, or all of them, is held for a grace time,
in which the checks of lb itself decide who is used. What an answer adds or weighs anew holds at once.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from lb.discovery.contract import Member, Registered


class BrakeSettings(Struct, frozen=True):
    """`share` (0..1] of the members in use that may go at once; `grace`: seconds that others are held."""

    share: float = 0.5
    grace: float = 60.0


class Brake:
    """The members of one service. `held`: those that stay although the source took them away; each for a
    grace of its own."""

    def __init__(self, settings: BrakeSettings) -> None:
        self.settings = settings
        self.held: tuple[Member, ...] = ()
        self._since: dict[str, float] = {}  # when those that are held were taken away, by address
        self._in_force: dict[str, Member] = {}
        self._accepted = False

    def __repr__(self) -> str:
        return f"<Brake {len(self._in_force)} members, {len(self.held)} held>"

    def begin_with(self, members: Iterable[Member]) -> None:
        """What was in force in an earlier life: the first answer is measured by it."""
        self._in_force = {member.address: member for member in members}

    def accept(self) -> None:
        """An operator believes the source: the next decision holds nothing."""
        self._accepted = True

    def decide(self, wanted: Iterable[Member], now: float) -> tuple[Member, ...]:
        """The members in force now that the source wants these, in the order of their addresses."""
        said = {member.address: member for member in wanted}
        over = {a for a, since in self._since.items() if now >= since + self.settings.grace}
        used = {a: m for a, m in self._in_force.items() if m.state is not Registered.DOWN and a not in over}
        gone = [m for a, m in used.items() if a not in said or said[a].state is Registered.DOWN]
        left = sum(member.state is not Registered.DOWN for member in said.values())
        much = bool(gone) and (not left or len(gone) > self.settings.share * len(used))
        if len(used) == 1 and gone and gone[0].address in said:
            much = False  # the source speaks of the only one: that is no lost data
        self.held = tuple(gone) if much and self.settings.grace and not self._accepted else ()
        self._since = {m.address: self._since.get(m.address, now) for m in self.held}
        self._accepted = False
        self._in_force = {**said, **{member.address: member for member in self.held}}
        return tuple(self._in_force[address] for address in sorted(self._in_force))

    @property
    def due(self) -> float:
        """When to decide again though nothing comes: the first grace is over then; 0: never."""
        return min(self._since.values()) + self.settings.grace if self.held else 0.0
