"""Writer: the way out of one connection.

While nothing is queued the bytes go straight to the socket: the loop's own write path costs about a
microsecond more, twice a request. What the socket does not take at once goes to the transport, which then
keeps the order and tells the protocol to pause. The descriptor is valid until connection_lost, because the
loop closes it only after that call. Must not live here: framing, and what to do when the other side is slow.
"""

from __future__ import annotations

import asyncio
import os

import cython

if cython.compiled:
    from cython.cimports.libc.errno import EAGAIN, errno
    from cython.cimports.posix.unistd import write


@cython.cclass
class Writer:
    """One per connection; `transport` is a stream transport without TLS. `broken`: the socket took not one
    byte of the last `write` and never will."""

    transport: asyncio.Transport
    fd: cython.int
    queued: cython.bint  # the transport may still hold bytes
    broken: cython.bint

    def __init__(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self.fd = transport.get_extra_info("socket").fileno()
        self.queued = self.broken = False

    @cython.ccall
    def write(self, data: bytes) -> object:
        """Send `data`, now or as soon as the other side takes it. Not after connection_lost."""
        size: cython.Py_ssize_t = len(data)
        sent: cython.Py_ssize_t
        if not self.queued or self.transport.get_write_buffer_size() == 0:
            sent = _send(self.fd, data)
            if sent < 0:
                # the loop then calls connection_lost, even where reading is paused
                self.broken = True
                self.transport.abort()
                return None
            self.queued = sent < size
            if not self.queued:
                return None
            if sent:
                self.transport.write(memoryview(data)[sent:])
                return None
        self.transport.write(data)
        return None

    @cython.ccall
    def write_both(self, first: bytes, second: bytes) -> object:
        """Send `first`, then `second`, which is too large to be copied behind it."""
        sent: cython.Py_ssize_t
        if self.queued:
            self.write(first)
            self.write(second)
            return None
        try:
            sent = os.writev(self.fd, (first, second))
        except OSError:
            sent = 0  # full or broken: `write` sees which
        if sent < len(first):
            self.write(first[sent:] if sent else first)
            self.write(second)
        elif sent < len(first) + len(second):
            self.queued = True
            self.transport.write(memoryview(second)[sent - len(first) :])
        return None

    @cython.ccall
    def pending(self) -> cython.bint:
        """Whether bytes wait for the other side to take them."""
        return self.queued and self.transport.get_write_buffer_size() > 0


@cython.cfunc
def _send(fd: cython.int, data: bytes) -> cython.Py_ssize_t:
    """How many bytes the socket took: 0 where it is full, -1 where it is broken."""
    sent: cython.Py_ssize_t
    if cython.compiled:
        # the system call itself: os.write also parses its arguments, gives up the GIL and makes an int
        sent = write(fd, cython.cast(cython.p_char, data), len(data))
        if sent < 0:
            return 0 if errno == EAGAIN else -1
        return sent
    try:
        return os.write(fd, data)
    except BlockingIOError:
        return 0
    except OSError:
        return -1
