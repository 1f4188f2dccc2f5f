"""Obeying: what every node does with what operators ordered everywhere.

Lives here: which orders are accepted, the file that keeps them, their end in time. Must not live here: what
an order does to a server (lb.control.everywhere), giving one (lb.cluster.ordering).

As with revisions, nothing that the store says makes a node go backwards: orders are on disk before they are
obeyed, and what is missing or broken in the store lifts none of them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from lb.cluster.contract import Engine, EngineError, Write
from lb.cluster.following import Reached
from lb.cluster.ordering import KEY, OBEYED, over, read
from lb.cluster.records import CorruptError, Orders, encode

FILE = "orders.json"
POLL = 5.0  # seconds between two looks where nothing is heard
SPACING = 0.1  # seconds between two looks, at the least: engines tell of writes to other keys, too
AGAIN = 1.0  # seconds after a look that failed: the engine told of the change already


class Remembered:
    """The file. `write` replaces a file at once and waits for the disk. Raises OSError, and ValueError with a
    sentence for a file that makes no sense."""

    def __init__(self, folder: Path, write: Callable[[Path, bytes], None]) -> None:
        self.path = folder / FILE
        self._write = write
        self.orders = self._read()

    def keep(self, orders: Orders) -> None:
        self._write(self.path, msgspec.json.format(msgspec.json.encode(orders), indent=2) + b"\n")
        self.orders = orders

    def _read(self) -> Orders:
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=Orders)
        except FileNotFoundError:
            return Orders()
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"{self.path} makes no sense: {error}") from None


class Obeying:
    """One per node, in control's loop."""

    def __init__(
        self,
        engine: Engine,
        node: str,
        remembered: Remembered,
        apply: Callable[[Orders], None],
        *,
        told: Callable[[str, str], None] = lambda reason, text: None,
        now: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """`apply` gets the orders that hold, whenever they change. `told` hears what an operator may want to
        know: reason (distrusted) and a sentence. `wall`: unix seconds."""
        self.reached = Reached()
        self.trouble = ""  # why what the store says is not what holds; "" where it is
        self._engine = engine
        self._key = f"{OBEYED}/{node}"
        self._laid = True  # it may be there, from the life before
        self._remembered = remembered
        self._apply = apply
        self._told = told
        self._now = now
        self._wall = wall
        self._held = Orders()
        self._one_look = asyncio.Lock()
        self.expire()

    @property
    def latest(self) -> Orders:
        """The highest accepted, with orders whose time is over."""
        return self._remembered.orders

    async def run(self) -> None:
        """Until cancelled. Nothing that the engine does ends it."""
        while True:
            await self.step()
            wait = self.expire()
            await asyncio.sleep(SPACING)
            await self._wait(max(0.0, (min(wait, AGAIN) if self.reached.error else wait) - SPACING))

    async def step(self) -> None:
        """Look once, and obey what is new."""
        async with self._one_look:
            try:
                entry = await self._engine.get(KEY)
            except EngineError as error:
                self.reached = self.reached._replace(error=str(error))
                return
            self.reached = Reached(self._now(), "")
            try:
                found = read(entry)
            except CorruptError as error:
                found = Orders()
                self._distrust(str(error))
            else:
                await self._take(found)
            await self._lay(found)

    def expire(self) -> float:
        """Let go of what is over. Returns the seconds until this is to be asked again."""
        now, latest = self._wall(), self.latest
        kept = [one for one in latest.orders if not over(one, now)]
        held = msgspec.structs.replace(latest, orders=kept)
        if held != self._held:
            self._held = held
            self._apply(held)
        return min([POLL, *(one.until - now for one in held.orders if one.until)])

    async def _take(self, found: Orders) -> None:
        latest = self.latest
        if found == latest:
            self.trouble = ""
            return
        if not _above(found, latest):
            return self._distrust(
                f"the store says orders {found.number} of epoch {found.epoch}; "
                f"{latest.number} of epoch {latest.epoch} were seen before"
            )
        try:
            # On disk first: after a crash this node must not go back to those before.
            await asyncio.to_thread(self._remembered.keep, found)
        except OSError as error:
            return self._distrust(f"orders {found.number} cannot be saved: {error}")
        self.trouble = ""
        self.expire()

    async def _lay(self, found: Orders) -> None:
        """Where the store says what is not obeyed, lay there what is: its leader may have seen less, and what
        it orders next takes the place of all. Taken off when the store has it again."""
        latest = self.latest
        refused = found != latest and not _above(found, latest)
        value = encode(latest) if refused else None
        if not refused and not self._laid:
            return
        if value is not None and len(value) > self._engine.value_limit:
            return  # kept by an engine that took more
        self._laid = True
        try:
            entry = await self._engine.get(self._key)
            if (entry.value if entry is not None else None) != value:
                await self._engine.put(Write(self._key, value))
        except EngineError as error:
            self.reached = self.reached._replace(error=str(error))
            return
        self._laid = refused

    def _distrust(self, text: str) -> None:
        text = f"{text}; orders {self.latest.number} hold on"
        if text != self.trouble:
            self._told("distrusted", text)
        self.trouble = text

    async def _wait(self, seconds: float) -> None:
        before = self._now()
        try:
            await self._engine.changed("overrides", seconds)
        except EngineError as error:
            self.reached = self.reached._replace(error=str(error))
            await asyncio.sleep(max(0.0, min(1.0, seconds - (self._now() - before))))


def _above(orders: Orders, others: Orders) -> bool:
    return orders.number > others.number and orders.epoch >= others.epoch
