"""Following: one Provider's word on one service, and what of it is in force.

Lives here: asking again after a failure, gathering bursts, setting bad entries aside, the last good word.
Must not live here: any source, the rules of the brake and of hold-down (files beside this one), what members
become (lb.control.discovering). Runs in control's loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from random import Random

from lb.config.addresses import server_address
from lb.discovery.brake import Brake, BrakeSettings
from lb.discovery.contract import Member, Membership, Provider, ProviderError, Registered, Unusable
from lb.discovery.holddown import HoldDown
from lb.worker.journal import Journal

GATHER = 0.1  # seconds in which further answers join one
FIRST_PAUSE = (
    0.5  # seconds before a source that failed is asked again, twice as long each time; less by jitter
)
LONGEST_PAUSE = 30.0
MOST_WEIGHT = 65_535
MOST_PRIORITY = 100
MOST_ENTRY = 200  # characters of an entry that are shown
MOST_UNUSABLE = 100  # of them are kept to be shown

log = Journal("lb.discovery")


class Following:
    """`members`: those in force. `heard`: whether the source answered in this life; `answered_at`: the
    loop's time of its last answer, less the age that this had; `error`: why it does not answer now."""

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
        self.service = service
        self.source = source
        self.provider = provider
        self.brake = Brake(settings)
        self.hold_down = HoldDown()
        self.members: tuple[Member, ...] = ()
        self.unusable: tuple[Unusable, ...] = ()
        self.heard = False
        self.first = asyncio.Event()
        self.answered_at: float | None = None
        self.error = ""
        self.errors = 0
        self.updates = 0
        self._changed = changed
        self._random = random or Random()
        self._said: tuple[Member, ...] = ()
        self._stale = False  # whether the last answer was old when it came
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

    @property
    def age(self) -> float:
        """Seconds since the source last confirmed what is in force; -1 where it never did."""
        if self.answered_at is None:
            return -1.0
        # a source that holds its answer until something changes confirms by holding
        if self.heard and not self.error and not self._stale:
            return 0.0
        return asyncio.get_running_loop().time() - self.answered_at

    async def run(self) -> None:
        """Follow until cancelled."""
        failures = 0
        loop = asyncio.get_running_loop()
        try:
            while True:
                wait, answered = 0.0, None
                try:
                    async with aclosing(self.provider.watch()) as words:  # type: ignore[type-var]
                        async for word in words:
                            answered = answered or loop.time()
                            self._hear(word)
                    raise ProviderError(f"{self.source} ended its answers")
                except (ProviderError, OSError, TimeoutError) as error:
                    wait = error.wait if isinstance(error, ProviderError) else 0.0
                    self._fail(str(error) or type(error).__name__)
                except Exception as error:
                    log.bug("a bug in a provider; it is started again", error, service=self.service)
                    self._fail(f"a bug in the provider of {self.source}: {type(error).__name__}")
                if answered is not None and loop.time() - answered >= LONGEST_PAUSE:
                    failures = 0  # one word is no sign of health: many sources fail after it
                failures += 1
                pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(failures - 1, 16))
                await asyncio.sleep(wait + pause * self._random.uniform(0.5, 1.0))
        finally:
            for timer in (self._timer, self._due):
                if timer is not None:
                    timer.cancel()

    def accept(self) -> None:
        """An operator believes the source: what the brake holds goes."""
        self.brake.accept()
        self._decide("released")

    def _fail(self, error: str) -> None:
        self.errors += 1
        if not self.error:
            if self.answered_at is not None and self.heard and not self._stale:
                self.answered_at = asyncio.get_running_loop().time()
            log.warning(
                "a source of servers does not answer: what it said last stays in force",
                service=self.service, source=self.source, why=error, members=len(self.members),
            )  # fmt: skip
        self.error = error

    def _hear(self, word: Membership) -> None:
        loop = asyncio.get_running_loop()
        self.answered_at = loop.time() - word.age
        self._stale = word.age > 0
        if self.error:
            log.note("a source of servers answers again", service=self.service, source=self.source)
            self.error = ""
        self._said, bad = sound(word.members)
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
            self._timer = loop.call_later(GATHER, self._decide, "answer")

    def _decide(self, cause: str) -> None:
        loop = asyncio.get_running_loop()
        for timer in (self._timer, self._due):
            if timer is not None:
                timer.cancel()
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
            good[address] = Member(
                address, member.weight, member.priority, member.state, member.why, member.name, member.zone
            )
        if known is not None:
            bad.append(Unusable(entry, f"{address} is there twice"))
    return tuple(good.values()), tuple(bad)
