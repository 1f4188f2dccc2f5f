"""The channel between control and one worker: messages and listening sockets over a UNIX socket pair.

Lives here: framing (four bytes of length, then msgpack), descriptors (SCM_RIGHTS), bounds, and reading
and writing without blocking on an asyncio or uvloop loop. Must not live here: what messages mean.

A descriptor travels with the first byte of its frame. The kernel never delivers it later than that
byte, so the receiver takes descriptors and the messages that carry one in the same order.
"""

from __future__ import annotations

import array
import asyncio
import os
import socket
from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec

from lb.worker.messages import Message, Serve

MAX_FRAME = 16 * 1024 * 1024  # bytes; a piece of a plan is far smaller
MAX_QUEUED = 64 * 1024 * 1024  # bytes waiting to be written before the other end counts as dead
HIGH_WATER = 1024 * 1024  # bytes waiting to be written above which `drained` waits
READ_SIZE = 64 * 1024  # bytes per wake-up: bounds the time that one wake-up takes
MAX_FDS = 16  # descriptors taken in one read; the kernel hands over those of one frame at a time
HEADER = 4
CLOEXEC = getattr(socket, "MSG_CMSG_CLOEXEC", 0)  # not on every platform


class ChannelClosedError(ConnectionError):
    """The other end is gone, or the channel was closed."""


class Channel:
    """One end. `on_message` gets each message and its descriptor (-1: none; the receiver owns it);
    `on_closed` is called once, with the reason, when the other end is gone or broke the rules."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        receives: Any,
        on_message: Callable[[Any, int], None],
        on_closed: Callable[[str], None],
    ) -> None:
        """`receives` is the union of the message types that may arrive."""
        sock.setblocking(False)
        self.loop = loop
        self.sock = sock
        self.closed = False
        self._on_message = on_message
        self._on_closed = on_closed
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(receives)
        self._received = bytearray()
        self._fds: deque[int] = deque()
        self._queue: deque[tuple[memoryview, int]] = deque()
        self._queued = 0
        self._writing = False
        self._waiting: list[asyncio.Future[None]] = []
        loop.add_reader(sock.fileno(), self._readable)

    # ----------------------------------------------------------------------------------- writing

    def send(self, message: Message, fd: int = -1) -> None:
        """Queue a message, with a copy of descriptor `fd`. Raises ChannelClosedError."""
        if self.closed:
            raise ChannelClosedError("the channel is closed")
        body = self._encoder.encode(message)
        if len(body) > MAX_FRAME:
            raise ValueError(
                f"message {type(message).__name__} has {len(body)} bytes, at most {MAX_FRAME} are allowed"
            )
        frame = memoryview(len(body).to_bytes(HEADER, "big") + body)
        self._queue.append((frame, os.dup(fd) if fd >= 0 else -1))
        self._queued += len(frame)
        if self._queued > MAX_QUEUED:
            self._fail(f"the other end does not read: {self._queued} bytes wait to be written")
            raise ChannelClosedError("the other end does not read")
        if not self._writing:
            self._writable()

    @property
    def clogged(self) -> bool:
        """More than a little waits to be written: the other end is slow."""
        return self._queued > HIGH_WATER

    async def drained(self) -> None:
        """Wait until little is waiting to be written. Raises ChannelClosedError."""
        while self._queued > HIGH_WATER:
            waiting: asyncio.Future[None] = self.loop.create_future()
            self._waiting.append(waiting)
            await waiting
        if self.closed:
            raise ChannelClosedError("the channel is closed")

    def _writable(self) -> None:
        while self._queue:
            frame, fd = self._queue[0]
            try:
                if fd >= 0:
                    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))]
                    written = self.sock.sendmsg([frame], rights)
                else:
                    written = self.sock.send(frame)
            except (BlockingIOError, InterruptedError):
                break
            except OSError as error:
                self._fail(f"writing failed: {error.strerror or error}")
                return
            if fd >= 0:
                os.close(fd)
            self._queued -= written
            if written < len(frame):
                self._queue[0] = (frame[written:], -1)
            else:
                self._queue.popleft()
        self._watch_writable(bool(self._queue))
        if self._queued <= HIGH_WATER:
            self._wake()

    def _watch_writable(self, wanted: bool) -> None:
        if wanted and not self._writing:
            self.loop.add_writer(self.sock.fileno(), self._writable)
        elif self._writing and not wanted:
            self.loop.remove_writer(self.sock.fileno())
        self._writing = wanted

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    # ----------------------------------------------------------------------------------- reading

    def _readable(self) -> None:
        try:
            data, rights, flags, _ = self.sock.recvmsg(READ_SIZE, socket.CMSG_SPACE(MAX_FDS * 4), CLOEXEC)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._fail(f"reading failed: {error.strerror or error}")
            return
        for level, kind, payload in rights:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                fds = array.array("i")
                fds.frombytes(payload[: len(payload) - len(payload) % fds.itemsize])
                self._fds.extend(fds)
        if flags & socket.MSG_CTRUNC:
            self._fail("descriptors were lost: the process has too many open files")
        elif not data:
            self._fail("the other end closed it")
        else:
            self._received += data
            self._frames()

    def _frames(self) -> None:
        at = 0
        try:
            while not self.closed and len(self._received) - at >= HEADER:
                size = int.from_bytes(self._received[at : at + HEADER], "big")
                if size > MAX_FRAME:
                    self._fail(f"a frame of {size} bytes was announced, at most {MAX_FRAME} are allowed")
                    return
                start = at + HEADER
                if len(self._received) < start + size:
                    return
                at = start + size
                self._frame(bytes(self._received[start:at]))
        finally:  # a message whose receiver raised is not read a second time
            del self._received[:at]

    def _frame(self, body: bytes) -> None:
        try:
            message = self._decoder.decode(body)
        except msgspec.MsgspecError as error:
            self._fail(f"a message cannot be read: {error}")
            return
        fd = -1
        if isinstance(message, Serve):
            if not self._fds:
                self._fail("a Serve message came without its socket")
                return
            fd = self._fds.popleft()
        self._on_message(message, fd)

    # ----------------------------------------------------------------------------------- closing

    def close(self) -> None:
        """Close this end; what waits to be written is lost. `on_closed` is not called."""
        if self.closed:
            return
        self.closed = True
        self._watch_writable(False)
        self.loop.remove_reader(self.sock.fileno())
        self.sock.close()
        for _, fd in self._queue:
            if fd >= 0:
                os.close(fd)
        for fd in self._fds:
            os.close(fd)
        self._queue.clear()
        self._fds.clear()
        self._queued = 0
        self._wake()

    def _fail(self, reason: str) -> None:
        if not self.closed:
            self.close()
            self._on_closed(reason)
