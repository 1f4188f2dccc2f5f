"""Following a catalogue: its word, and which routes are in force after it.

Lives here: gathering bursts, the last good word. Must not live here: any source, asking again after a failure
(lb.discovery.asking), what becomes of route tags (lb.control.cataloguing). Runs in control's loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from random import Random

from lb.discovery.asking import Asking, Telling
from lb.discovery.catalog import Catalog, RouteBrake
from lb.discovery.contract import Unusable
from lb.discovery.following import GATHER, MOST_UNUSABLE


class CatalogFollowing(Asking[Catalog]):
    """`brake.in_force`: the route tags of services. `unusable`: tags that the source set aside."""

    def __init__(
        self,
        source: str,
        provider: Telling[Catalog],
        stay: float,
        changed: Callable[[CatalogFollowing], None],
        random: Random | None = None,
    ) -> None:
        """`source`: for people. `stay`: seconds that the routes of a service stay when it is gone. `changed`
        is called with this when what is in force, or held of it, is another."""
        super().__init__("", source, provider, random)
        self.brake = RouteBrake(stay)
        self.unusable: tuple[Unusable, ...] = ()
        self._changed = changed
        self._said: Mapping[str, tuple[str, ...]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._due: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"<CatalogFollowing {self.source}, {len(self.brake.in_force)} services>"

    def begin_with(self, services: Mapping[str, tuple[str, ...]], age: float) -> None:
        """The last good word of an earlier life is in force until the first answer. `age`: seconds."""
        self.brake.begin_with(services)
        self.answered_at = asyncio.get_running_loop().time() - age

    def let_go(self, service: str) -> bool:
        """The routes of a service that is gone go now. False where they are not held."""
        found = self.brake.let_go(service)
        if found:
            self._changed(self)
        return found

    def _hear(self, word: Catalog) -> None:
        self._said = dict(word.services)
        self.unusable = word.unusable[:MOST_UNUSABLE]
        if not self.heard:
            self.heard = True
            self._decide()
            self.first.set()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(GATHER, self._decide)

    def _decide(self) -> None:
        loop = asyncio.get_running_loop()
        self._ended()
        self._timer = self._due = None
        before = self.brake.in_force, self.brake.held
        self.brake.decide(self._said, loop.time())
        if self.brake.due:
            self._due = loop.call_at(self.brake.due, self._decide)
        if before != (self.brake.in_force, self.brake.held):
            self.updates += 1
            self._changed(self)

    def _ended(self) -> None:
        for timer in (self._timer, self._due):
            if timer is not None:
                timer.cancel()
