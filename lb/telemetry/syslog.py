"""Access-log lines to a syslog daemon: by its local socket, UDP or TCP, without ever waiting for it.

Lives here: where `syslog:…` leads, the header of a message, its sending. Must not live here: the format of
a line (lb.telemetry.accesslog), timers (the worker calls `tick`).

The local socket gets what syslog(3) writes, which every local daemon reads; UDP (RFC 5426) and TCP (octet
counting, RFC 6587 3.4.1) get RFC 5424. Facility local7, severity info, as nginx sends. What is not taken is
kept up to a limit, then dropped and counted.
"""

from __future__ import annotations

import errno
import ipaddress
import logging
import os
import select
import socket
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from lb.telemetry.logwriter import FLUSH_AT, KEEP

PREFIX = "syslog:"
PRIORITY = 23 * 8 + 6  # local7, info
AGAIN = 1.0  # seconds between two tries to connect
MESSAGES = 1000  # a flush; more would hold up traffic

_log = logging.getLogger(__name__)


class Place(NamedTuple):
    """`address`: a path, or (IP address, port)."""

    network: str  # unix | udp | tcp
    address: str | tuple[str, int]


def place(path: str) -> Place:
    """Where `syslog:…` leads. Raises ValueError with a sentence for the operator. A name would have to be
    looked up while traffic waits: so there are only addresses."""
    rest = path.removeprefix(PREFIX)
    if rest.startswith("/") and "\0" not in rest and not rest.endswith("/"):
        return Place("unix", rest)
    network, found, where = rest.partition("://")
    host, colon, digits = where.rpartition(":")
    try:
        if not found or network not in {"udp", "tcp"} or not colon:
            raise ValueError
        if host.startswith("[") != (":" in host):
            raise ValueError
        address = ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
        if not digits.isascii() or not digits.isdigit() or not 1 <= int(digits) <= 65535:
            raise ValueError
    except ValueError:
        raise ValueError(
            "expected syslog:/dev/log, syslog:udp://ADDRESS:PORT or syslog:tcp://ADDRESS:PORT, where ADDRESS "
            "is an IP address (IPv6 in brackets)"
        ) from None
    return Place(network, (str(address), int(digits)))


class SyslogWriter:
    """A sink for finished lines, like LogWriter. Used by one thread. `path`: see `place`; where nobody
    listens there, it tries again every second."""

    def __init__(self, path: str, dropped: Callable[[int], None], keep: int = KEEP) -> None:
        self.path = path
        self._place = place(path)
        self._dropped = dropped
        self._keep = keep
        self._lines: deque[bytes] = deque()
        self._size = 0
        self._rest = b""  # of a message that went out in part
        self._refused = False  # it took no more: wait for the next tick
        self._complained = False
        self._socket: socket.socket | None = None
        self._connecting = False
        self._again = 0.0  # monotonic
        self._host = socket.gethostname()[:255] or "-"
        self._open()

    def write(self, lines: bytes) -> None:
        """Take one or more finished lines."""
        if self._size + len(lines) > self._keep:
            self._dropped(lines.count(b"\n"))
            return
        self._lines.extend(lines.splitlines())
        self._size += len(lines)
        if self._size >= FLUSH_AT and not self._refused:
            self.flush()

    def tick(self) -> None:
        """Called every 100 to 1000 ms: connects where that is due, sends what is pending."""
        self.flush()

    def flush(self) -> None:
        """Send what is pending, as far as it goes without waiting, at most MESSAGES."""
        self._refused = True
        if self._socket is None and time.monotonic() >= self._again:
            self._open()
        try:
            if self._socket is None or not self._connected(self._socket):
                return
            header = self._header()
            for _ in range(MESSAGES):
                if self._rest:
                    self._rest = self._rest[self._socket.send(self._rest) :]
                    continue
                if not self._lines:
                    break
                self._send(self._socket, header)
            self._refused = False
            self._complained = False
        except BlockingIOError:
            pass
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                self._lost(error)

    def reopen(self) -> None:
        """Connect anew: the daemon was restarted."""
        self.flush()
        self._close()
        self._open()

    def close(self, wait: float = 0.0) -> None:
        """Send what is pending, for up to `wait` seconds, count the rest as dropped."""
        end = time.monotonic() + wait
        self.flush()
        while self._pending() and time.monotonic() < end:
            if self._socket is None:
                time.sleep(0.01)
            else:
                select.select([], [self._socket], [], 0.01)
            self.flush()
        if self._pending():
            self._dropped(self._pending())
            _log.error("access log: %d lines were lost: %s did not take them", self._pending(), self.path)
        self._lines.clear()
        self._close()

    def _pending(self) -> int:
        return len(self._lines) + bool(self._rest)

    def _send(self, to: socket.socket, header: bytes) -> None:
        message = header + self._lines[0]
        if to.type == socket.SOCK_STREAM:
            framed = b"%d %b" % (len(message), message) if self._place.network == "tcp" else message + b"\n"
            self._rest = framed[to.send(framed) :]
        else:
            try:
                to.send(message)
            except OSError as error:
                if error.errno != errno.EMSGSIZE:
                    raise
                self._dropped(1)
        self._size -= len(self._lines.popleft()) + 1

    def _header(self) -> bytes:
        now = time.time()
        if self._place.network == "unix":
            clock = time.strftime("%b %e %H:%M:%S", time.localtime(now))
            return f"<{PRIORITY}>{clock} lb[{os.getpid()}]: ".encode()
        clock = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
        stamp = f"{clock}.{int(now * 1000) % 1000:03}Z"
        return f"<{PRIORITY}>1 {stamp} {self._host} lb {os.getpid()} access - ".encode()

    def _open(self) -> None:
        network, address = self._place
        if network == "unix":
            # A daemon has the one or the other; trying costs nothing, it is this machine.
            for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
                if self._connect(socket.AF_UNIX, kind, address) != errno.EPROTOTYPE:
                    return
            return
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._connect(family, socket.SOCK_DGRAM if network == "udp" else socket.SOCK_STREAM, address)

    def _connect(self, family: int, kind: int, address: str | tuple[str, int]) -> int:
        """The error number; 0: connected, or about to be."""
        fresh = socket.socket(family, kind | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        code = fresh.connect_ex(address)
        if code not in {0, errno.EINPROGRESS}:
            fresh.close()
            if code != errno.EPROTOTYPE or kind == socket.SOCK_STREAM:
                self._lost(OSError(code, os.strerror(code)))
            return code
        self._socket, self._connecting = fresh, code != 0
        return 0

    def _connected(self, to: socket.socket) -> bool:
        """Whether a message can go out now. Raises OSError where the connection is over."""
        if self._connecting:
            if not select.select([], [to], [], 0)[1]:
                return False
            self._connecting = False
            code = to.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code:
                raise OSError(code, os.strerror(code))
        if to.type == socket.SOCK_STREAM:
            try:
                if not to.recv(4096):
                    raise ConnectionResetError(errno.ECONNRESET, "the connection was closed")
            except BlockingIOError:
                pass
        return True

    def _close(self) -> None:
        if self._rest:  # the rest of a message means nothing on another connection
            self._rest = b""
            self._dropped(1)
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _lost(self, error: OSError) -> None:
        self._close()
        self._again = time.monotonic() + AGAIN
        if not self._complained:
            self._complained = True
            _log.error(
                "access log: cannot send to %s: %s. Lines are kept up to %d KiB, then dropped and counted in "
                "lb_access_log_dropped_total; traffic goes on",
                self.path,
                error.strerror or error,
                self._keep // 1024,
            )
