"""Taking over from whoever has the listening sockets: a control that is being replaced, or its workers.

Lives here: the visitor's side of a door. Must not live here: the door (lb.worker.door), or when to visit
(lb.control.succession).
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from pathlib import Path
from typing import Any, NamedTuple

from lb.worker.channel import Channel, ChannelClosedError
from lb.worker.door import Failed, Offered, Take, Upgrade, Upgraded, other_end
from lb.worker.messages import Drain, Serve

KNOCK_TIMEOUT = 2.0  # seconds to be let in; a process that is stopped does that as well
TAKE_TIMEOUT = 10.0  # seconds until all sockets are here

FromDoor = Serve | Offered | Upgraded


class HandoverError(Exception):
    """Whoever has the sockets does not give them. The text says who and why."""


class Taken(NamedTuple):
    """A listening socket; `address` is the text of the configuration that it was bound for."""

    address: str
    sock: socket.socket


def knock(path: Path) -> socket.socket | None:
    """A connection to this door, or None where nobody is behind it. Raises OSError where none can tell."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(KNOCK_TIMEOUT)
    try:
        sock.connect(str(path))
    except (FileNotFoundError, ConnectionRefusedError):
        sock.close()
        return None
    except BaseException:
        sock.close()
        raise
    return sock


class Predecessor:
    """One process that has sockets, met at its door. `pid` is 0 where the system does not say."""

    def __init__(self, sock: socket.socket) -> None:
        self.pid = other_end(sock)[0]
        loop = asyncio.get_running_loop()
        self.down: tuple[tuple[str, str], ...] = ()  # (service, address) of servers, once taken from
        self._taken: list[Taken] = []
        self._answer: asyncio.Future[Any] = loop.create_future()
        self._channel = Channel(loop, sock, FromDoor, self._received, self._closed)

    @staticmethod
    def pid_at(sock: socket.socket) -> int:
        """Whose door it is; 0 where the system does not say."""
        return other_end(sock)[0]

    async def take(self) -> list[Taken]:
        """Its sockets, which it goes on serving. Raises HandoverError."""
        offered: Offered = await self._ask(Take(), TAKE_TIMEOUT)
        self.down = offered.down
        taken, self._taken = self._taken, []
        return taken

    async def upgrade(self) -> Upgraded:
        """Have it start its successor. Raises HandoverError where it ends before it answers."""
        answer: Upgraded = await self._ask(Upgrade(), None)
        return answer

    @property
    def gone(self) -> bool:
        return self._channel.closed

    def relieve(self) -> None:
        """We serve: it may drain and end. One that is gone has done so."""
        self._tell(Drain())

    def failed(self, reason: str) -> None:
        self._tell(Failed(reason))

    def close(self) -> None:
        self._channel.close()
        for taken in self._taken:
            taken.sock.close()
        self._taken = []

    async def _ask(self, message: Take | Upgrade, timeout: float | None) -> Any:
        self._tell(message)
        try:
            return await asyncio.wait_for(self._answer, timeout)
        except TimeoutError:
            raise HandoverError(f"process {self.pid} does not answer within {timeout:g}s") from None

    def _tell(self, message: Take | Upgrade | Drain | Failed) -> None:
        with contextlib.suppress(ChannelClosedError):
            self._channel.send(message)

    def _received(self, message: Any, fd: int) -> None:
        if isinstance(message, Serve):
            self._taken.append(Taken(message.address, socket.socket(fileno=fd)))
        elif not self._answer.done():
            self._answer.set_result(message)

    def _closed(self, reason: str) -> None:
        if not self._answer.done():
            self._answer.set_exception(HandoverError(f"process {self.pid} is gone: {reason}"))
            self._answer.exception()  # nobody may be waiting: that is no error
