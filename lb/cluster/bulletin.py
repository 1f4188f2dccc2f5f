"""The bulletin: what each node found of servers, posted in the store for the others, and what they posted.

Lives here: posting, reading, and how long what was read counts. Must not live here: what is posted
(lb.control.sharing), what it means (lb.cluster.voting).

Clocks of machines are not compared. An entry counts from the last look at which it was another one: it was
written after that. So what is read first does not count, and what was read before the engine went away ends
by itself, as does the word of a node that is gone, paused or cut off.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import re
import time
from collections.abc import Callable, Mapping
from math import inf
from typing import NamedTuple

import msgspec

from lb.cluster.contract import Conflict, Engine, EngineError, Entry, Write
from lb.cluster.records import CorruptError, decode, encode

PLACE = "health"
BEAT = 2.0  # seconds between two posts of the same
STALE = 7.0  # seconds that a post counts
LOOK = 1.0  # seconds between two looks where nothing is heard
SPACING = 0.1  # seconds between two posts, or looks, at the least
LITTER = 600.0  # seconds without a change after which an entry is thrown away
AGAIN = 0.5  # seconds after a look that failed
PIECE = 4000  # servers in one entry: 100 KiB where all of them are down
MOST_WHYS = 100  # in one entry; the others are down without a reason
MOST_WHY = 200  # characters


class Finding(NamedTuple):
    """`up`: what this node's checks make of a server; `why`: for people."""

    up: bool
    why: str = ""


_DIGEST = re.compile(r"[0-9a-f]{16}\Z")

Findings = Mapping[int, Finding]
"""By the digest of service, address and check (lb.cluster.voting)."""


class _Post(msgspec.Struct, frozen=True):
    """One entry. `up`: digests of 8 bytes each, base64; `down`: digest in hexadecimal → why. `at`: unix
    seconds, so that each post is another one."""

    at: float
    up: str
    down: dict[str, str]


class _Read(NamedTuple):
    version: int
    born: float  # monotonic: not written before
    seen: float  # monotonic: when it was read first
    post: _Post
    found: Findings


class Bulletin:
    """One per node, in control's loop."""

    def __init__(
        self,
        engine: Engine,
        node: str,
        mine: Callable[[], Findings],
        heard: Callable[[], None],
        *,
        now: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """`mine`: what this node found; `heard`: called after every look, answered or not."""
        self._engine = engine
        self._node = node
        self._mine = mine
        self._heard = heard
        self._now = now
        self._wall = wall
        self._wanted = asyncio.Event()
        self._read: dict[str, _Read] = {}
        self._looked = -inf  # when the last look that was answered began
        self._posted = 0  # entries

    def post_soon(self) -> None:
        """What this node found is another thing now."""
        self._wanted.set()

    def fresh(self) -> dict[str, list[Findings]]:
        """What the other nodes found, by node; only what counts now."""
        limit = self._now() - STALE
        found: dict[str, list[Findings]] = {}
        for key, read in self._read.items():
            if read.born >= limit:
                found.setdefault(key.split("/")[1], []).append(read.found)
        return found

    async def post(self) -> None:
        """Until cancelled: post on change, and as a sign of life."""
        while True:
            self._wanted.clear()
            with contextlib.suppress(EngineError):  # who cannot be heard is not asked any more
                await self._write()
            await asyncio.sleep(SPACING)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(BEAT - SPACING):
                    await self._wanted.wait()

    async def look(self) -> None:
        """Until cancelled: read what the others posted."""
        while True:
            wait = LOOK
            began = self._now()
            try:
                self._take(await self._engine.list(PLACE), began)
                await self._tidy(began)
            except EngineError:
                wait = 0.0
            self._heard()
            await asyncio.sleep(SPACING if wait else AGAIN)
            with contextlib.suppress(EngineError):
                if wait:
                    await self._engine.changed(PLACE, wait)

    async def withdraw(self) -> None:
        """Before the end: others need not wait until this node's word is stale."""
        with contextlib.suppress(EngineError):
            for at in range(self._posted):
                await self._engine.put(Write(f"{PLACE}/{self._node}/{at}", None))

    async def _write(self) -> None:
        found = self._mine()
        count = max(1, -(-len(found) // PIECE))
        parts: list[dict[int, Finding]] = [{} for _ in range(count)]
        for key, finding in found.items():
            parts[key % count][key] = finding
        for at, part in enumerate(parts):
            await self._engine.put(Write(f"{PLACE}/{self._node}/{at}", encode(self._written(part))))
            self._posted = max(self._posted, at + 1)
        for at in range(count, self._posted):
            await self._engine.put(Write(f"{PLACE}/{self._node}/{at}", None))
        self._posted = count

    async def _tidy(self, now: float) -> None:
        """Throw away what nodes left that will not come back. One that comes posts anew."""
        for key, read in self._read.items():
            if now - read.seen > LITTER:
                with contextlib.suppress(Conflict):
                    await self._engine.put(Write(key, None, read.version))

    def _written(self, part: Findings) -> _Post:
        ups = b"".join(key.to_bytes(8) for key in sorted(part) if part[key].up)
        downs = [key for key in sorted(part) if not part[key].up]
        whys = {key: _line(part[key].why) for key in downs[:MOST_WHYS]}
        down = {f"{key:016x}": whys.get(key, "") for key in downs}
        return _Post(self._wall(), base64.b64encode(ups).decode(), down)

    def _take(self, entries: Mapping[str, Entry], began: float) -> None:
        before, self._read = self._read, {}
        for key, entry in entries.items():
            if key.startswith(f"{PLACE}/{self._node}/"):
                continue
            known = before.get(key)
            if known is not None and known.version == entry.version:
                self._read[key] = known
                continue
            try:
                post = decode(key, entry.value, _Post)
                same = known is not None and (known.post.up, known.post.down) == (post.up, post.down)
                found = known.found if same and known is not None else _found(key, post)
            except CorruptError:
                continue  # of a node whose lb is another one: it is not asked
            self._read[key] = _Read(entry.version, self._looked, began, post, found)
        self._looked = began


def _found(key: str, post: _Post) -> Findings:
    """Raises CorruptError."""
    try:
        ups = base64.b64decode(post.up, validate=True)
    except ValueError as error:
        raise CorruptError(f"the entry {key} makes no sense: {error}") from None
    if len(ups) % 8 or not all(_DIGEST.match(one) for one in post.down):
        raise CorruptError(f"the entry {key} makes no sense: not digests of 8 bytes")
    downs = {int(one, 16): why for one, why in post.down.items()}
    found = {int.from_bytes(ups[at : at + 8]): Finding(True) for at in range(0, len(ups), 8)}
    return found | {one: Finding(False, _line(why)) for one, why in downs.items()}


def _line(text: str) -> str:
    """For logs and terminals: one line, nothing that steers them."""
    return "".join(c if c.isprintable() else " " for c in text[:MOST_WHY])
