"""The access log's file: lines are collected, written in one go, and never hold up the loop.

Lives here: buffer, flush, reopening after rotation, the choice between a file and a stream. Must not
live here: the format of a line (lb.telemetry.accesslog).

A regular file takes one `write` per flush (its pages are memory). A pipe or a terminal may be slow or
stuck: it is written in runs of whole lines of at most PIPE_BUF bytes, which the kernel keeps in one
piece between workers, and only while `poll` says that there is room. What does not fit is kept, up to
MAX_BUFFERED; then new lines are dropped and counted.
"""

from __future__ import annotations

import os
import select
import stat

FLUSH_AT = 64 * 1024  # bytes in the buffer at which it is written at once
MAX_BUFFERED = 4 * 1024 * 1024  # bytes kept for a reader that does not read
PIPE_BUF = select.PIPE_BUF
STREAMS = {"stdout": 1, "stderr": 2}


class LogFile:
    """One open access log. `dropped` counts lines. Raises OSError where it cannot be opened."""

    def __init__(self, path: str) -> None:
        """`path`: a file, or the words stdout or stderr."""
        self.path = path
        self.dropped = 0
        self._parts: list[bytes] = []
        self._size = 0
        self._fd = -1
        self._pollable: select.poll | None = None
        self._open()

    def _open(self) -> None:
        stream = STREAMS.get(self.path)
        if stream is None:
            fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        else:
            fd = os.dup(stream)
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = fd
        self._pollable = None
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            self._pollable = select.poll()
            self._pollable.register(fd, select.POLLOUT)

    def write(self, lines: bytes) -> None:
        """Take one or more finished lines."""
        if self._size >= MAX_BUFFERED:
            self.dropped += lines.count(b"\n")
            return
        self._parts.append(lines)
        self._size += len(lines)
        if self._size >= FLUSH_AT:
            self.flush()

    def flush(self) -> None:
        """Write what was collected, as far as that is possible without waiting."""
        if not self._parts:
            return
        data = b"".join(self._parts)
        if self._pollable is None:
            written = self._write(data)
        else:
            written = self._write_runs(data, self._pollable)
        rest = data[written:]
        self._parts = [rest] if rest else []
        self._size = len(rest)

    def _write_runs(self, data: bytes, pollable: select.poll) -> int:
        at = 0
        while at < len(data) and any(event & select.POLLOUT for _, event in pollable.poll(0)):
            end = data.rfind(b"\n", at, at + PIPE_BUF) + 1
            if not end:  # a line longer than PIPE_BUF: as much as surely fits
                end = min(at + PIPE_BUF, len(data))
            written = self._write(data[at:end])
            at += written
            if not written:
                break
        return at

    def _write(self, data: bytes) -> int:
        """Bytes that are done with: written, or lost because the disk is full or the reader is gone."""
        try:
            return os.write(self._fd, data)
        except BlockingIOError:
            return 0
        except OSError:
            self.dropped += data.count(b"\n")
            return len(data)

    def reopen(self) -> None:
        """Write out, and open the file under its name again. Raises OSError; then the old one stays."""
        self.flush()
        self._open()

    def reopen_if_moved(self) -> None:
        """Reopen where the name no longer leads to the open file. Raises OSError."""
        if self.path in STREAMS:
            return
        try:
            found = os.stat(self.path)
        except FileNotFoundError:
            self.reopen()
            return
        opened = os.fstat(self._fd)
        if (found.st_dev, found.st_ino) != (opened.st_dev, opened.st_ino):
            self.reopen()

    def close(self) -> None:
        self.flush()
        os.close(self._fd)
        self._fd = -1
