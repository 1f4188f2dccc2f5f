"""What a node remembers of the shared configuration over restarts: the highest mark that it saw, and the
documents that it ran last and is about to run.

Lives here: three files. Must not live here: what is accepted (lb.cluster.following).

    config.yaml   the document that was put in force last
    coming.yaml   the one that is about to be; it becomes config.yaml when it is in force
    seen.json     the highest mark seen, the marks of both, and the one that this node refused; on disk before
                  what it names is applied
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec

from lb.cluster.shared import digest_of

DOCUMENT, COMING, SEEN = "config.yaml", "coming.yaml", "seen.json"


class Mark(msgspec.Struct, frozen=True):
    """A publication. It is above another if its revision is, and its epoch is not below."""

    revision: int = 0
    epoch: int = 0
    digest: str = ""


class _Seen(msgspec.Struct):
    """`coming` is not `seen` where a staged publication is for other nodes first."""

    seen: Mark
    applied: Mark
    coming: Mark = Mark()
    refused: Mark = Mark()


class Kept(NamedTuple):
    mark: Mark
    data: bytes


class Memory:
    """`folder` is this node's; `write` replaces a file at once and waits for the disk. Raises OSError, and
    ValueError with a sentence for files that make no sense."""

    def __init__(self, folder: Path, write: Callable[[Path, bytes], None]) -> None:
        self.path = folder / DOCUMENT
        self._next = folder / COMING
        self._file = folder / SEEN
        self._write = write
        self._known = self._read()
        self.running = self.applied
        """What this node starts with: set by who chooses from `kept`."""

    @property
    def seen(self) -> Mark:
        return self._known.seen

    @property
    def applied(self) -> Mark:
        """Of config.yaml."""
        return self._known.applied

    def remember(self, seen: Mark, coming: Mark | None = None, data: bytes = b"") -> None:
        """No publication below `seen` is accepted from now on, and `data`, which `coming` published, is about
        to be put in force; None: nothing is."""
        if coming is not None:
            self._write(self._next, data)
        self._save(seen=seen, coming=coming or self._known.coming)

    def refuse(self, mark: Mark) -> None:
        """What `mark` published cannot be put in force here: this node does not start with it."""
        self._save(refused=mark)

    def keep(self, mark: Mark) -> None:
        """What came last is in force."""
        with contextlib.suppress(FileNotFoundError):  # it was moved, and seen.json could not be written
            os.replace(self._next, self.path)
        self._save(applied=mark, refused=Mark())

    def forget(self) -> None:
        """Nothing shared is in force; what was seen stays so."""
        self._known = msgspec.structs.replace(self._known, applied=Mark())
        self.running = Mark()

    def kept(self) -> list[Kept]:
        """What this node may start with, the best first. After a crash before `keep` that is what was coming,
        unless it was refused here: it is what the leader published, and may have been in force. Then comes
        what ran last."""
        known = self._known
        coming = known.coming if known.coming != known.refused else Mark()
        found, there = [], False
        for path, marks in ((self._next, (coming,)), (self.path, (known.applied, coming))):
            with contextlib.suppress(FileNotFoundError):
                data = path.read_bytes()
                there = there or path == self.path
                digest = digest_of(data)
                found += [Kept(mark, data) for mark in marks if mark.digest == digest][:1]
        if there and not found:
            raise ValueError(f"{self.path} is not what {self._file.name} says that was put in force")
        return found

    def _save(self, **changes: Mark) -> None:
        known = msgspec.structs.replace(self._known, **changes)
        if known != self._known:
            self._write(self._file, msgspec.json.encode(known))
            self._known = known

    def _read(self) -> _Seen:
        try:
            return msgspec.json.decode(self._file.read_bytes(), type=_Seen)
        except FileNotFoundError:
            return _Seen(Mark(), Mark())
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ValueError(f"{self._file} makes no sense: {error}") from None
