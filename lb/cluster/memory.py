"""What a node remembers of the shared configuration over restarts: the highest mark that it saw, and the
document that it ran last.

Lives here: two files. Must not live here: what is accepted (lb.cluster.following).

    config.yaml   the document that was put in force last
    seen.json     the highest mark seen, the mark of config.yaml, and the one that is about to be put in
                  force; on disk before what it names is applied
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec

from lb.cluster.shared import digest_of

DOCUMENT, SEEN = "config.yaml", "seen.json"


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


class Kept(NamedTuple):
    """What ran last."""

    mark: Mark
    text: str


class Memory:
    """`folder` is this node's; `write` replaces a file at once and waits for the disk. Raises OSError, and
    ValueError with a sentence for files that make no sense."""

    def __init__(self, folder: Path, write: Callable[[Path, bytes], None]) -> None:
        self.path = folder / DOCUMENT
        self._file = folder / SEEN
        self._write = write
        found = self._read()
        self.seen, self.applied, self._coming = found.seen, found.applied, found.coming

    def remember(self, seen: Mark, coming: Mark | None = None) -> None:
        """No publication below `seen` is accepted from now on, and `coming` is about to be put in force;
        None: nothing is."""
        coming = coming or self._coming
        if (seen, coming) != (self.seen, self._coming):
            self._save(seen, self.applied, coming)

    def keep(self, mark: Mark, data: bytes) -> None:
        """`data` is in force."""
        self._write(self.path, data)
        self._save(self.seen, mark, mark)

    def forget(self) -> None:
        """Nothing shared is in force; what was seen stays so."""
        self.applied = Mark()

    def kept(self) -> Kept | None:
        """What ran last; None where nothing shared did. After a crash between the two files of `keep` it is
        the newer document, under the mark that was remembered before it was applied."""
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return None
        digest = digest_of(data)
        for mark in (self.applied, self._coming):
            if mark.digest == digest:
                return Kept(mark, data.decode())
        raise ValueError(f"{self.path} is not what {self._file.name} says that was put in force")

    def _save(self, seen: Mark, applied: Mark, coming: Mark) -> None:
        self._write(self._file, msgspec.json.encode(_Seen(seen, applied, coming)))
        self.seen, self.applied, self._coming = seen, applied, coming

    def _read(self) -> _Seen:
        try:
            return msgspec.json.decode(self._file.read_bytes(), type=_Seen)
        except FileNotFoundError:
            return _Seen(Mark(), Mark())
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ValueError(f"{self._file} makes no sense: {error}") from None
