"""A door: a UNIX socket at which a process lets its successor take over its listening sockets.

Lives here: opening and closing it, who may come in, and what is said there. Must not live here: what is
done about it (lb.control.succession in control, lb.worker.work in a worker), or the visitor's side
(lb.control.handover).

Control has one, `handover.sock`, and every worker has one: so that a new lb can take the sockets of workers
whose control was killed, without waiting for them to notice that it is gone.

    Take → Serve …, Offered     the listening sockets, which stay in use where they were; who is down
    Drain                       the visitor serves: drain and end
    Failed                      the visitor cannot serve: go on as if nothing had been
    Upgrade → Upgraded          control alone: start a successor, and say what became of it
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lb.worker.channel import Channel, ChannelClosedError
from lb.worker.messages import Drain, Message

CONTROL = "handover.sock"  # control's door in the state directory
WORKERS = "workers"  # the folder of the workers' doors, each named by its process
BACKLOG = 16


class Take(Message, frozen=True):
    """Give me your listening sockets."""


class Offered(Message, frozen=True):
    """Those were all: `sockets` of them. `down`: servers (service, address) that their checks find down."""

    sockets: int
    down: tuple[tuple[str, str], ...] = ()


class Failed(Message, frozen=True):
    """Who took the sockets cannot serve."""

    reason: str


class Upgrade(Message, frozen=True):
    """Start a successor."""


class Upgraded(Message, frozen=True):
    """Process `pid` serves now; or `error` says why the one before goes on."""

    pid: int
    error: str = ""


FromVisitor = Take | Drain | Failed | Upgrade


class Visit:
    """One visitor. `pid`: its process, 0 where the system does not say."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, sock: socket.socket, said: Callable[[Visit, Any], None]
    ) -> None:
        self.pid = other_end(sock)[0]
        self._channel = Channel(
            loop, sock, FromVisitor, lambda message, _: said(self, message), lambda _: None
        )

    def answer(self, message: Message, fd: int = -1) -> None:
        """A visitor that is gone is not told."""
        with contextlib.suppress(ChannelClosedError):
            self._channel.send(message, fd)

    @property
    def over(self) -> bool:
        return self._channel.closed

    def close(self) -> None:
        self._channel.close()


class Door:
    """Open from the start until `close`. `said` is told each visitor's words."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, path: Path, said: Callable[[Visit, Any], None]
    ) -> None:
        """Takes the place of a door of the same name. Raises OSError."""
        self.path = path
        self._loop = loop
        self._said = said
        self._visits: list[Visit] = []
        # Under another name first: at no moment is there no door, or one that strangers may open.
        fresh = path.with_name(f".{os.getpid()}.sock")
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            fresh.unlink(missing_ok=True)
            self._sock.bind(str(fresh))
            fresh.chmod(0o600)
            self._sock.listen(BACKLOG)
            self._sock.setblocking(False)
            self._inode = fresh.stat().st_ino
            fresh.rename(path)
        except OSError:
            self._sock.close()
            raise
        loop.add_reader(self._sock.fileno(), self._come_in)

    def _come_in(self) -> None:
        try:
            sock, _ = self._sock.accept()
        except OSError:
            return  # gone again
        if not may_enter(sock):
            sock.close()
            return
        self._visits = [visit for visit in self._visits if not visit.over]
        self._visits.append(Visit(self._loop, sock, self._said))

    def close(self) -> None:
        """Close it, and remove its file, unless a successor has put its own there."""
        if self._sock.fileno() < 0:
            return
        self._loop.remove_reader(self._sock.fileno())
        self._sock.close()
        for visit in self._visits:
            visit.close()
        with contextlib.suppress(OSError):
            if self.path.stat().st_ino == self._inode:
                self.path.unlink()


def other_end(sock: socket.socket) -> tuple[int, int]:
    """Process and user at the other end; (0, -1) where the system does not say."""
    if not hasattr(socket, "SO_PEERCRED"):
        return 0, -1
    size = struct.calcsize("3i")
    pid, uid, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return pid, uid


def may_enter(sock: socket.socket) -> bool:
    """The same user and root may; where the system does not say who comes, the rights of the file decided."""
    return other_end(sock)[1] in (-1, 0, os.geteuid())
