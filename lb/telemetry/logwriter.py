"""Where a worker's access-log lines go: gathered, and written in few, whole pieces.

Lives here: the buffer, the file or pipe behind it, its reopening. Must not live here: the format of a
line (lb.telemetry.accesslog), timers and signals (the worker calls `tick` and `reopen`).

Traffic never waits for the log. Pipes and sockets are written without blocking; when they or a full
disk refuse, lines are kept up to a limit and then dropped and counted. All workers append to the same
file: with O_APPEND each write lands in one piece, so a write holds whole lines.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import stat
import time
from collections.abc import Callable

FLUSH_AT = 64 * 1024
KEEP = 4 * 1024 * 1024

_log = logging.getLogger(__name__)
_STANDARD = {"stdout": 1, "stderr": 2}


class LogWriter:
    """A sink for finished lines. Used by one thread.

    `path`: stdout, stderr, or a file that is created (mode 0640) and appended to. `dropped` is called
    with a number of lines that were lost. Raises OSError where the file cannot be opened.
    """

    def __init__(self, path: str, dropped: Callable[[int], None], keep: int = KEEP) -> None:
        self.path = path
        self._dropped = dropped
        self._keep = keep
        self._lines: list[bytes] = []
        self._size = 0
        self._refused = False  # the last write failed or was short: wait for the next tick
        self._torn = False  # the first pending bytes are the rest of a line that was written in part
        self._complained: set[str] = set()  # what is failing and was said
        self._file = path not in _STANDARD
        self._use(self._open())

    def write(self, lines: bytes) -> None:
        """Take one or more finished lines. Costs an append; every 64 KiB a system call."""
        if self._size + len(lines) > self._keep:
            self._dropped(lines.count(b"\n"))
            return
        self._lines.append(lines)
        self._size += len(lines)
        if self._size >= FLUSH_AT and not self._refused:
            self.flush()

    def tick(self) -> None:
        """Called every 100 to 1000 ms: follows a renamed or removed file, writes what is pending."""
        if self._file and self._moved():
            self.reopen()
        else:
            self.flush()

    def flush(self) -> None:
        """Write what is pending, as far as it goes without waiting."""
        if not self._lines:
            return
        data = b"".join(self._lines)
        self._lines.clear()
        written = 0
        self._refused = False
        try:
            while written < len(data):
                end = self._end_of_piece(data, written)
                done = self._send(data[written:end] if self._piece else memoryview(data)[written:end])
                written += done
                if written < end:
                    self._refused = True
                    break
            else:
                self._complained.discard("write")
        except OSError as error:
            self._refused = True
            self._complain("write", error)
        if written:
            self._torn = data[written - 1] != 10
        rest = data[written:]
        self._size = len(rest)
        if rest:
            self._lines.append(rest)

    def reopen(self) -> None:
        """Open `path` again (after a rotation); the old file gets what was pending for it, or as much as
        it takes. Where the new one cannot be opened, the old one stays in use."""
        self.flush()
        if not self._file:
            return
        try:
            fd = self._open()
        except OSError as error:
            self._complain("open", error)
            return
        self._complained.discard("open")
        os.close(self._fd)
        self._use(fd)
        if self._torn and self._lines:  # the rest of a line means nothing in another file
            data = b"".join(self._lines)
            rest = data[data.index(b"\n") + 1 :]
            self._lines = [rest] if rest else []
            self._size = len(rest)
            self._dropped(1)
        self._torn = False
        self.flush()

    def close(self, wait: float = 0.0) -> None:
        """Write what is pending, for up to `wait` seconds where the reader of a pipe is slow; count the
        rest as dropped, close the file."""
        end = time.monotonic() + wait
        self.flush()
        while self._lines and self._piece and time.monotonic() < end:
            time.sleep(0.01)
            self.flush()
        if self._lines:
            lost = b"".join(self._lines).count(b"\n")
            self._dropped(lost)
            _log.error("access log: %d lines were lost: %s did not take them", lost, self.path)
            self._lines.clear()
            self._size = 0
        os.close(self._fd)

    def _open(self) -> int:
        if self._file:
            # O_NONBLOCK: opening a named pipe that nobody reads must fail, not wait
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC
            return os.open(self.path, flags, 0o640)
        number = _STANDARD[self.path]
        mode = os.fstat(number).st_mode
        if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
            # O_NONBLOCK belongs to the open file, which the shell and other processes share: a new one
            # is opened by way of /proc. Where that does not exist, `_send` asks before it writes.
            with contextlib.suppress(OSError):
                return os.open(f"/proc/self/fd/{number}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        return os.dup(number)

    def _use(self, fd: int) -> None:
        self._fd = fd
        # A pipe takes up to PIPE_BUF bytes in one piece or not at all; a regular file any number.
        self._piece = 0 if stat.S_ISREG(os.fstat(fd).st_mode) else select.PIPE_BUF

    def _moved(self) -> bool:
        try:
            there = os.stat(self.path)
        except OSError:
            return True
        here = os.fstat(self._fd)
        return (there.st_ino, there.st_dev) != (here.st_ino, here.st_dev)

    def _end_of_piece(self, data: bytes, at: int) -> int:
        """The end of the most whole lines from `at` on that go out in one piece; one line at least."""
        if not self._piece or len(data) - at <= self._piece:
            return len(data)
        end = data.rfind(b"\n", at, at + self._piece)
        if end < 0:
            end = data.find(b"\n", at)
        return end + 1 if end >= 0 else len(data)

    def _send(self, piece: bytes | memoryview) -> int:
        if not self._piece:
            return os.write(self._fd, piece)
        poll = select.poll()
        poll.register(self._fd, select.POLLOUT)
        if not poll.poll(0):
            return 0
        try:
            return os.write(self._fd, piece)
        except BlockingIOError:
            return 0

    def _complain(self, what: str, error: OSError) -> None:
        if what not in self._complained:
            self._complained.add(what)
            _log.error(
                "access log: cannot %s %s: %s. Lines are kept up to %d KiB, then dropped and counted in "
                "lb_access_log_dropped_total; traffic goes on",
                what,
                self.path,
                error.strerror,
                self._keep // 1024,
            )
