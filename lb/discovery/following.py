"""Following: one Provider's word on one service, and what of it is in force.

Lives here: gathering bursts, setting bad entries aside, the last good word. Must not live here: any source,
asking again after a failure, the rules of the brake and of hold-down (files beside this one), what members
become (lb.control.discovering). Runs in control's loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random

from msgspec import structs

from lb.config.addresses import server_address
from lb.discovery.asking import Asking
from lb.discovery.brake import Brake, BrakeSettings
from lb.discovery.contract import Member, Membership, Provider, Registered, Unusable
from lb.discovery.holddown import HoldDown
from lb.worker.journal import Journal

GATHER = 0.1  # seconds in which further answers join one
MOST_WEIGHT = 65_535
MOST_PRIORITY = 100
MOST_ENTRY = 200  # characters of an entry that are shown
MOST_UNUSABLE = 100  # of them are kept to be shown

log = Journal("lb.discovery")


class Following(Asking[Membership]):
    """`members`: those in force."""

    def __init__(
        self,
        service: str,
        source: str,
        provider: Provider,
        settings: BrakeSettings,
        changed: Callable[[Following, str], None],
        random: Random | None = None,
    ) -> None:
        """`source`: for people. `changed` is called with this and a word (answer, held, released, returned)
        when `members` or `brake.held` are others."""
        super().__init__(service, source, provider, random)
        self.brake = Brake(settings)
        self.hold_down = HoldDown()
        self.members: tuple[Member, ...] = ()
        self.unusable: tuple[Unusable, ...] = ()
        self._changed = changed
        self._said: tuple[Member, ...] = ()
        self._timer: asyncio.TimerHandle | None = None
        self._due: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        state = f": {self.error}" if self.error else ""
        return f"<Following {self.service} from {self.source}, {len(self.members)} members{state}>"

    def begin_with(self, members: tuple[Member, ...], age: float) -> None:
        """The last good word of an earlier life is in force until the first answer. `age`: seconds."""
        self.members = members
        self.brake.begin_with(members)
        self.answered_at = asyncio.get_running_loop().time() - age

    def accept(self) -> None:
        """An operator believes the source: what the brake holds goes."""
        self.brake.accept()
        self._decide("released")

    def _ended(self) -> None:
        for timer in (self._timer, self._due):
            if timer is not None:
                timer.cancel()

    def _hear(self, word: Membership) -> None:
        said, bad = sound(word.members)
        told = {member.address for member in said}
        stay = (one for one in self.members if one.name in word.silent and one.address not in told)
        self._said = (*said, *stay)
        unusable = (*word.unusable, *bad)[:MOST_UNUSABLE]
        for entry in unusable:
            if entry not in self.unusable:
                log.warning(
                    "an entry of a source of servers is set aside",
                    service=self.service, source=self.source, entry=entry.entry[:MOST_ENTRY],
                    why=entry.reason,
                )  # fmt: skip
        self.unusable = unusable
        if not self.heard:
            self.heard = True
            self._decide("answer")
            self.first.set()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(GATHER, self._decide, "answer")

    def _decide(self, cause: str) -> None:
        loop = asyncio.get_running_loop()
        self._ended()
        self._timer = self._due = None
        now = loop.time()
        held = self.brake.held
        members = self.brake.decide(self.hold_down.filter(self._said, now), now)
        self.hold_down.settle(members, now)
        due = [at for at in (self.brake.due, self.hold_down.due) if at]
        if due:
            self._due = loop.call_at(min(due), self._decide, "returned")
        before = {member.address for member in held}
        if any(member.address not in before for member in self.brake.held):
            cause = "held"
        elif held and not self.brake.held:
            cause = "released"
        if members != self.members or held != self.brake.held:
            self.members = members
            self.updates += 1
            self._changed(self, cause)


def sound(members: tuple[Member, ...]) -> tuple[tuple[Member, ...], tuple[Unusable, ...]]:
    """The members that can be used, their addresses in normal form, and the others with the reason. Of two
    with one address the one that is up counts, else the first."""
    good: dict[str, Member] = {}
    bad: list[Unusable] = []
    for member in members:
        entry = member.name or member.address
        try:
            address = server_address(member.address)
        except ValueError as error:
            bad.append(Unusable(entry, f"the address makes no sense: {error}"))
            continue
        if not 0 <= member.weight <= MOST_WEIGHT or not 0 <= member.priority <= MOST_PRIORITY:
            bad.append(
                Unusable(entry, f"weight {member.weight} or priority {member.priority} is out of range")
            )
            continue
        known = good.get(address)
        if known is None or (known.state is not Registered.UP and member.state is Registered.UP):
            good[address] = structs.replace(member, address=address)
        if known is not None:
            bad.append(Unusable(entry, f"{address} is there twice"))
    return tuple(good.values()), tuple(bad)
