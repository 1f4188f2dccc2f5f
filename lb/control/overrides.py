"""Overrides: what operators ordered of single servers, kept over reloads and restarts.

Lives here: the orders in force, their file, their end in time. Must not live here: what an order does to a
server (lb.upstream.status, lb.control.statuses), or how it is given (lb.admin).

An order is kept where its server is not in the configuration, for the time when it is again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Protocol

import msgspec

from lb.admin.servers import MOST_WEIGHT
from lb.control.events import Events
from lb.control.statedir import give_up, write_whole
from lb.upstream.status import Mode, Override
from lb.worker.journal import Journal

FILE = "overrides.json"
LONGEST_SLEEP = 30.0  # seconds; the clock of the wall may be set at any time

Identity = tuple[str, str]  # service, address

log = Journal("lb.control")


class Receiver(Protocol):
    """Who makes an effective status of it (lb.control.statuses)."""

    def override(self, service: str, address: str, override: Override | None) -> None:
        """What an operator wants of this server from now on; None: nothing more. Also of a server that is not
        in the configuration."""


_LAST = 253_402_300_799  # the end of the year 9999, unix seconds
_Time = Annotated[float, msgspec.Meta(ge=0, le=_LAST)]


class _Kept(msgspec.Struct):
    service: str
    address: str
    mode: Mode
    weight: Annotated[float, msgspec.Meta(ge=0, le=MOST_WEIGHT)] | None
    author: str
    reason: str
    since: _Time
    until: _Time


class _File(msgspec.Struct):
    overrides: list[_Kept]


class Overrides:
    """One per control process. All calls from its loop."""

    def __init__(
        self, folder: Path, receiver: Receiver, events: Events, now: Callable[[], float] = time.time
    ) -> None:
        """`folder`: the state folder; what it holds is in force at once. `now`: unix seconds."""
        self.saved = True  # whether the file holds what is in force
        self._path = folder / FILE
        self._receiver = receiver
        self._events = events
        self._now = now
        self._changed = asyncio.Event()
        self._retired = False
        self._all: dict[Identity, Override] = {}
        self.load()

    @property
    def all(self) -> Mapping[Identity, Override]:
        """What is in force, by service and address."""
        return self._all

    def load(self) -> None:
        """Put in force what the file holds, and nothing else."""
        before, self._all = self._all, self._read()
        for identity in before.keys() | self._all.keys():
            if before.get(identity) != self._all.get(identity):
                self._receiver.override(*identity, self._all.get(identity))
        self.expire()

    def retire(self) -> None:
        """A successor has the file now, and says what ends: change nothing more."""
        self._retired = True

    def set(self, service: str, address: str, override: Override) -> None:
        """Put it in force in place of the one before. Where it cannot be saved it is in force all the same,
        and `saved` is false."""
        self._all[service, address] = override
        self._save()
        self._receiver.override(service, address, override)
        text = f"{service}/{address}: {describe(override)}"
        self._tell(override.mode.value, text, service, address, override)

    def clear(self, service: str, address: str, author: str) -> bool:
        """Lift it; false where there was none."""
        override = self._all.get((service, address))
        if override is None:
            return False
        by = f" by {author}" if author else ""
        self._lift(service, address, override, "cleared", f"{override.mode.value} lifted{by}")
        return True

    def expire(self) -> float:
        """Lift what is over. Returns the seconds until this is to be asked again."""
        if self._retired:
            return LONGEST_SLEEP
        now = self._now()
        for (service, address), override in list(self._all.items()):
            if override.until and override.until <= now:
                text = f"{override.mode.value} by {override.author or 'somebody'} is over"
                self._lift(service, address, override, "expired", text)
        waits = [override.until - now for override in self._all.values() if override.until]
        return min([LONGEST_SLEEP, *waits])

    async def run(self) -> None:
        """Lift each in its time, until cancelled."""
        while True:
            self._changed.clear()
            wait = self.expire()
            try:
                async with asyncio.timeout(wait):
                    await self._changed.wait()
            except TimeoutError:
                pass

    def _lift(self, service: str, address: str, override: Override, reason: str, text: str) -> None:
        del self._all[service, address]
        self._save()
        self._receiver.override(service, address, None)
        self._tell(reason, f"{service}/{address}: {text}", service, address, override)

    def _tell(self, reason: str, text: str, service: str, address: str, override: Override) -> None:
        self._changed.set()
        facts = {**override._asdict(), "mode": override.mode.value, "why": override.reason}
        del facts["reason"]  # an event's reason is the word that labels a counter
        self._events.emit("override", reason, text, service=service, server=address, **facts)

    # ----------------------------------------------------------------------------------- the file

    def _read(self) -> dict[Identity, Override]:
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return {}
        except OSError as error:
            self._set_aside(error)  # what is saved next would take its place
            return {}
        try:
            kept = msgspec.json.decode(data, type=_File).overrides
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            self._set_aside(error)
            return {}
        return {
            (k.service, k.address): Override(k.mode, k.weight, k.author, k.reason, k.since, k.until)
            for k in kept
        }

    def _set_aside(self, error: Exception) -> None:
        give_up(
            self._path,
            "the file of overrides makes no sense: none is in force; give them again (lb servers)",
            error,
        )

    def _save(self) -> None:
        if self._retired:
            return
        kept = [_Kept(*identity, **self._all[identity]._asdict()) for identity in sorted(self._all)]
        data = msgspec.json.format(msgspec.json.encode(_File(kept)), indent=2) + b"\n"
        try:
            write_whole(self._path, data)
        except OSError as error:
            self.saved = False
            log.error(
                "overrides cannot be saved: they are in force, and lost when lb ends",
                file=self._path, error=error.strerror,
            )  # fmt: skip
        else:
            self.saved = True


def describe(override: Override) -> str:
    """An order in a few words: `drain by anna until 2026-01-31T12:30:00Z: deploy of 1.4`."""
    words = [] if override.mode is Mode.AUTO else [override.mode.value]
    if override.weight is not None:
        words.append(f"weight {override.weight:.4g} of the configured")
    said = " and ".join(words)
    if override.author:
        said += f" by {override.author}"
    if override.until:
        said += f" until {time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(override.until))}"
    return f"{said}: {override.reason}" if override.reason else said
