"""The shared configuration in the store: reading it, and the documents in pieces.

Lives here: what everybody may do with it. Must not live here: publishing (lb.cluster.desk), following
(lb.cluster.following).
"""

from __future__ import annotations

import contextlib
import hashlib
from typing import NamedTuple

from lb.cluster.contract import Engine, Write
from lb.cluster.records import HEAD, PROGRESS, CorruptError, Progress, Report, Revision, decode

SHARE = 0.9  # of the engine's limit that a piece has: keys count too
MOST_BYTES = 16 * 2**20  # of a document


class Head(NamedTuple):
    """`revision` None: nothing was published, or what is there makes no sense (`corrupt` says so). `version`
    is for the write that replaces it."""

    revision: Revision | None
    version: int
    corrupt: str = ""


def digest_of(data: bytes | bytearray) -> str:
    return hashlib.sha256(data).hexdigest()


class Shared:
    """Every method raises EngineError."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    async def head(self) -> Head:
        entry = await self.engine.get(HEAD)
        if entry is None:
            return Head(None, 0)
        try:
            return Head(decode(HEAD, entry.value, Revision), entry.version)
        except CorruptError as error:
            return Head(None, entry.version, str(error))

    async def revision(self, number: int) -> Revision:
        """Raises CorruptError where it is not kept, or makes no sense."""
        key = f"revisions/{number}"
        entry = await self.engine.get(key)
        if entry is None:
            raise CorruptError(f"there is no revision {number} (any more)")
        return decode(key, entry.value, Revision)

    async def history(self) -> list[Revision]:
        """What is kept and makes sense, the newest first."""
        found = []
        for key, entry in (await self.engine.list("revisions")).items():
            try:
                found.append(decode(key, entry.value, Revision))
            except CorruptError:
                continue
        return sorted(found, key=lambda one: -one.revision)

    async def nodes(self) -> list[Report]:
        """What every node runs, as it last said; by name."""
        found = []
        for key, entry in (await self.engine.list("nodes")).items():
            try:
                found.append(decode(key, entry.value, Report))
            except CorruptError:
                continue
        return sorted(found, key=lambda one: one.node)

    async def progress(self, revision: int) -> Progress:
        """What the staged `revision` has shown; nothing where that is not there, or makes no sense."""
        entry = await self.engine.get(PROGRESS)
        if entry is not None:
            with contextlib.suppress(CorruptError):
                found = decode(PROGRESS, entry.value, Progress)
                if found.revision == revision:
                    return found
        return Progress(revision=revision)

    async def document(self, revision: Revision) -> bytes:
        """Its document, verified. Raises CorruptError."""
        return await self.fetch(f"pieces/{revision.digest}", revision.pieces, revision.size, revision.digest)

    # ----------------------------------------------------------------------------------- pieces

    async def save(self, prefix: str, data: bytes) -> int:
        """Put `data` below `prefix`; how many pieces it took."""
        size = max(1, int(self.engine.value_limit * SHARE))
        pieces = [data[at : at + size] for at in range(0, len(data), size)] or [b""]
        for index, piece in enumerate(pieces):
            await self.engine.put(Write(f"{prefix}/{index}", piece))
        return len(pieces)

    async def fetch(self, prefix: str, pieces: int, size: int, digest: str) -> bytes:
        """What `save` put there. Raises CorruptError."""
        if not 0 <= size <= MOST_BYTES or not 0 < pieces <= max(1, size):
            raise CorruptError(f"{prefix}: {pieces} pieces of {size} bytes make no sense")
        found = bytearray()
        for index in range(pieces):
            entry = await self.engine.get(f"{prefix}/{index}")
            if entry is None:
                raise CorruptError(f"the entry {prefix}/{index} is not there")
            found += entry.value
            if len(found) > size:
                break
        if len(found) != size or digest_of(found) != digest:
            raise CorruptError(f"{prefix}: the document is not the one that was published (digest differs)")
        return bytes(found)
