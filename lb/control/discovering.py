"""Discovering: the members of every service that follows a source, and what their changes set off.

Lives here: one Following a service, kept while what it follows is the same; the last good word on disk;
events. Must not live here: sources and their rules (lb.discovery), making a plan (lb.control.planning), how a
state counts (lb.upstream.status).

Members that come, go or change their weight are a new generation; a state (drain, down) goes to the statuses,
which tell the workers at once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from lb.config.discovery import DiscoverySpec
from lb.config.spec import Spec
from lb.control.events import Events
from lb.control.providers import Followed, Providers, described, told_apart
from lb.control.statedir import give_up, write_whole
from lb.control.statuses import Statuses
from lb.discovery.contract import Member, Provider, ProviderError, Registered
from lb.discovery.following import Following
from lb.discovery.kept import FILE, KeptWord, encoded, read
from lb.upstream.status import Registry
from lb.worker.journal import Journal

FIRST_ANSWERS = 2.0  # seconds that a start waits for the first answers
SAVE_AFTER = 1.0  # seconds in which further changes join one write of the file
SAVE_EVERY = 300.0  # seconds after which it is written though nothing changed: how old a word is changes
WORDS = {Registered.UP: Registry.UP, Registered.DRAIN: Registry.DRAIN, Registered.DOWN: Registry.DOWN}

log = Journal("lb.control")


class Broken:
    """Stands for a Provider that cannot be made."""

    def __init__(self, error: ProviderError) -> None:
        self._error = error

    async def watch(self) -> Any:
        raise self._error
        yield  # a generator


class Discovering:
    """One per control process, in its loop. `refresh` asks for a generation with the members that a service
    has now."""

    def __init__(self, folder: Path, statuses: Statuses, events: Events) -> None:
        """`folder`: the state folder."""
        self._path = folder / FILE
        self._statuses = statuses
        self._events = events
        self.refresh: Callable[[str], None] = _nothing
        self.providers = Providers()
        self._following: dict[str, tuple[Followed, DiscoverySpec, Following, asyncio.Task[None]]] = {}
        self._digests: dict[str, str] = {}  # by service, of what it follows
        self._kept = read(self._path, self._set_aside)
        self._saving: asyncio.TimerHandle | None = None
        self._planned: dict[str, tuple[Any, ...]] = {}  # by service, what the last plan was told
        self._told: dict[str, set[str]] = {}  # by service, whom the statuses know from here

    async def prepare(self, spec: Spec) -> None:
        """Follow what `spec` says, and wait a moment for the first answers: a generation should not begin
        with yesterday's. Who follows the same as before goes on; new ones begin with the last good word of
        an earlier life, where it was of the same source."""
        wanted = {n: f for n, s in spec.services.items() if (f := s.followed) is not None}
        for name, (discover, discovery, _, task) in list(self._following.items()):
            if wanted.get(name) != discover or spec.discovery != discovery:
                self._keep(name)
                task.cancel()
                del self._following[name]
        begun = [name for name in wanted if name not in self._following]
        for name in begun:
            self._begin(name, wanted[name], spec.discovery)
        await _first_answers([self._following[name][2] for name in begun])

    def _begin(self, name: str, discover: Followed, discovery: DiscoverySpec) -> None:
        provider: Provider
        try:
            provider = self.providers.make(discover, discovery)
        except ProviderError as error:
            provider = Broken(error)
        source, brake = described(discover), discovery.brake.settings()
        following = Following(name, source, provider, brake, self._changed)
        self._digests[name] = told_apart(discover, discovery)
        kept = self._kept.get(name)
        if kept is not None and kept.digest == self._digests[name]:
            following.begin_with(kept.members, max(0.0, time.time() - kept.at))
        task = asyncio.create_task(following.run())
        self._following[name] = (discover, discovery, following, task)
        self._save_within(SAVE_EVERY)

    def all(self) -> list[Following]:
        return [following for _, _, following, _ in self._following.values()]

    def members(self, service: str) -> Sequence[Member]:
        """Those in force, for a plan; () for a service that follows nothing."""
        found = self._following.get(service)
        if found is None:
            return ()
        self._planned[service] = _planned(found[2].members)
        return found[2].members

    def tell_states(self, services: Collection[str] | None = None) -> None:
        """Have the statuses know what the sources say of all services, or of these; after they followed a new
        plan. Only now is forgotten what was said of those that went: a server that drains must not come up
        before it goes."""
        for service in [*self._told, *self._following] if services is None else services:
            found = self._following.get(service)
            there = {member.address for member in found[2].members} if found is not None else set()
            for address in self._told.pop(service, set()) - there:
                self._statuses.registered(service, address, Registry.NONE, None)
            if found is not None:
                self._tell_states(found[2])

    def accept(self, service: str) -> bool:
        """Believe the source of a service: what is held goes. False where nothing is held."""
        found = self._following.get(service)
        if found is None or not found[2].brake.held:
            return False
        found[2].accept()
        return True

    async def close(self) -> None:
        tasks = [task for *_, task in self._following.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._saving is not None:
            self._saving.cancel()
            self._write()

    def shown(self) -> list[dict[str, Any]]:
        """What is known of every source, for people."""
        now = asyncio.get_running_loop().time()
        return [
            {
                "service": one.service,
                "source": one.source,
                "members": len(one.members),
                "answered": one.heard and not one.error,
                "age": round(one.age, 1) if one.age >= 0 else None,
                "error": one.error or None,
                "updates": one.updates,
                "errors": one.errors,
                "held": [member.address for member in one.brake.held],
                "held_for": round(one.brake.due - now, 1) if one.brake.held else None,
                "kept_out": {a: round(until - now, 1) for a, until in one.hold_down.out.items()},
                "unusable": [{"entry": bad.entry, "reason": bad.reason} for bad in one.unusable],
            }
            for one in self.all()
        ]

    # --------------------------------------------------------------------------------------- inside

    def _changed(self, one: Following, cause: str) -> None:
        self._save_within(SAVE_AFTER)
        if cause == "held":
            addresses = [member.address for member in one.brake.held]
            self._emit(
                one, "removal_held",
                f"{one.source} takes away {len(addresses)} servers of {one.service} at once: they stay for "
                f"{one.brake.settings.grace:g}s, while checks decide; "
                f"`lb discovery accept {one.service}` ends that",
                addresses=addresses,
            )  # fmt: skip
        elif cause == "released":
            self._emit(one, "removal_released", f"{one.source}: nothing of {one.service} is held any more")
        if _planned(one.members) != self._planned.get(one.service):
            self.refresh(one.service)
        self._tell_states(one)

    def _emit(self, one: Following, kind: str, text: str, **facts: Any) -> None:
        self._events.emit("discovery", kind, text, service=one.service, source=one.source, **facts)

    def _tell_states(self, one: Following) -> None:
        for member in one.members:
            self._statuses.registered(one.service, member.address, WORDS[member.state], member)
        self._told.setdefault(one.service, set()).update(member.address for member in one.members)

    def _keep(self, name: str) -> None:
        """Remember the word that is in force; an earlier one where it has none yet."""
        one = self._following[name][2]
        if one.age >= 0:
            at = time.time() - one.age
            self._kept[name] = KeptWord(one.source, at, one.members, self._digests[name])

    def _save_within(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        if self._saving is not None:
            if self._saving.when() <= loop.time() + seconds:
                return
            self._saving.cancel()
        self._saving = loop.call_later(seconds, self._save)

    def _save(self) -> None:
        self._saving = None
        self._write()
        if self._following:
            self._save_within(SAVE_EVERY)

    def _write(self) -> None:
        names = set(self._following)
        for name in names:
            self._keep(name)
        try:
            write_whole(self._path, encoded({n: w for n, w in self._kept.items() if n in names}))
        except OSError as error:
            log.error(
                "what sources said last cannot be saved: a start while they are away begins without servers",
                file=self._path, error=error.strerror,
            )  # fmt: skip

    def _set_aside(self, error: Exception) -> None:
        give_up(self._path, "the file of what sources said last makes no sense: it is not used", error)


async def _first_answers(begun: Sequence[Following]) -> None:
    """Those that have been away for longer are not waited for: they would slow down every reload."""
    if not begun:
        return
    firsts = [asyncio.create_task(one.first.wait()) for one in begun]
    await asyncio.wait(firsts, timeout=FIRST_ANSWERS)
    for first in firsts:
        first.cancel()
    for one in begun:
        if not one.heard:
            log.warning(
                "a source of servers has not answered yet: what it said in an earlier life is in force",
                service=one.service, source=one.source, members=len(one.members), why=one.error,
            )  # fmt: skip


def _nothing(service: str) -> None:
    """Until there is a Reloader."""


def _planned(members: Sequence[Member]) -> tuple[Any, ...]:
    """What of the members is part of a plan."""
    return tuple((member.address, member.weight, member.priority, member.backup) for member in members)
