"""The last lines of a log, whatever its size.

Lives here: finding them from the end of a file, bounds on what is read. Must not live here: what a line
says (lb.config.rehearsal, lb.simulate.recorded).
"""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import IO

MOST_LINE = 64 * 1024  # bytes; of a longer line one byte more is given, so that a reader sees that it is one
_BLOCK = 1024 * 1024
_GZIP = b"\x1f\x8b"


class LastLines:
    """The last `most` lines of the log at `path`; iterating reads them, once. `count`: how many they are.
    The file is read from its end, a block at a time; what comes in after the beginning is left out. What
    cannot be read from the end (a pipe) is read whole, and `most` lines of it are kept in memory.
    Raises OSError with the name of the file and a sentence, for a compressed one too."""

    def __init__(self, path: Path, most: int) -> None:
        self._file = path.open("rb")
        try:
            if self._file.seekable():
                if self._file.read(len(_GZIP)) == _GZIP:
                    self._compressed(path)
                self.count, self._ends = _seek(self._file, most)
                self._lines = self._read()
            else:
                self.count, self._lines = kept(self._file, most)
        except BaseException:
            self._file.close()
            raise

    def __iter__(self) -> Iterator[bytes]:
        with self._file:
            yield from self._lines

    def _read(self) -> Iterator[bytes]:
        for line in _bounded(self._file):
            yield line
            if self._file.tell() >= self._ends:
                return

    @staticmethod
    def _compressed(path: Path) -> None:
        reason = f"is compressed: gzip -dc {path} | … --log /dev/stdin reads it"
        raise OSError(errno.EINVAL, reason, str(path))


def kept(file: IO[bytes], most: int) -> tuple[int, Iterator[bytes]]:
    """How many the last `most` lines of a stream are, and they."""
    lines = deque(_bounded(file), most)
    return len(lines), iter(lines)


def _bounded(file: IO[bytes]) -> Iterator[bytes]:
    while line := file.readline(MOST_LINE + 1):
        rest = line
        while len(rest) > MOST_LINE and not rest.endswith(b"\n"):
            rest = file.readline(MOST_LINE + 1)
        yield line


def _seek(file: IO[bytes], most: int) -> tuple[int, int]:
    """Go to the first of the last `most` lines. How many there are from there, and where the file ends."""
    ends = at = file.seek(0, 2)
    if not ends:
        return 0, 0
    file.seek(ends - 1)
    count = 0 if file.read(1) == b"\n" else 1  # the last one may have no end yet
    while at > 0:
        size = min(_BLOCK, at)
        at -= size
        file.seek(at)
        block = file.read(size)
        found = block.count(b"\n")
        if count + found <= most:
            count += found
            continue
        end = len(block)
        for _ in range(most - count + 1):
            end = block.rfind(b"\n", 0, end)
        file.seek(at + end + 1)
        return most, ends
    file.seek(0)
    return count, ends
