"""One socket and the bytes that came over it, with a strict HTTP/1 reader of the tests' own.

Lives here: what client and server ends share. Must not live here: anything imported from lb, or the tests
would judge lb's parser by lb's parser.
"""

from __future__ import annotations

import contextlib
import re
import socket
import struct
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

DEADLINE = 5.0  # seconds that any single wait may take before the test fails
FIELD = re.compile(
    rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*((?:[!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)?)[ \t]*"
)


class Broken(Exception):
    """The connection ended before the message did."""


class Malformed(AssertionError):
    """lb sent something that is not HTTP/1.1."""


def chunked(*pieces: bytes, trailer: bytes = b"") -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces if p) + b"0\r\n" + trailer + b"\r\n"


@dataclass
class Head:
    """A start line and its header fields, in order, names as sent."""

    start: bytes
    fields: list[tuple[bytes, bytes]]
    raw: bytes

    def all(self, name: str) -> list[str]:
        wanted = name.lower().encode()
        return [v.decode("latin-1") for k, v in self.fields if k.lower() == wanted]

    def get(self, name: str) -> str | None:
        """The value of a field that may stand there once."""
        found = self.all(name)
        if len(found) > 1:
            raise Malformed(f"{name} {len(found)} times in {self.raw!r}")
        return found[0] if found else None

    def tokens(self, name: str) -> list[str]:
        return [t.strip().lower() for v in self.all(name) for t in v.split(",") if t.strip()]

    def framing(self) -> int | str | None:
        """A content-length, "chunked", or None."""
        length, coding = self.get("content-length"), self.get("transfer-encoding")
        if length is not None and coding is not None:
            raise Malformed(f"content-length with transfer-encoding: {self.raw!r}")
        if coding is not None:
            if coding.lower() != "chunked":
                raise Malformed(f"transfer-encoding {coding!r}")
            return "chunked"
        if length is None:
            return None
        if not re.fullmatch("[0-9]+", length, re.ASCII):
            raise Malformed(f"content-length {length!r}")
        return int(length)


def parse_head(raw: bytes) -> Head:
    """Read a head that ends in CRLF CRLF; strict."""
    lines = raw[:-4].split(b"\r\n")
    fields = []
    for line in lines[1:]:
        m = FIELD.fullmatch(line)
        if m is None:
            raise Malformed(f"header line {line!r} in {raw!r}")
        fields.append((m[1], m[2]))
    return Head(lines[0], fields, raw)


@dataclass
class Body:
    data: bytes = b""
    chunks: list[bytes] = field(default_factory=list)
    trailers: list[tuple[bytes, bytes]] = field(default_factory=list)


class Wire:
    """One connected socket. Every byte that ever arrived is in `received`."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.received = bytearray()
        self.sent = 0
        self._read = 0  # how much of `received` has been consumed
        self.ended: str | None = None  # "eof" or "reset" once seen
        self.waiting = False  # for the next request (of a server's end)
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    # -- sending
    def send(self, data: bytes) -> None:
        self.sock.settimeout(DEADLINE)
        view = memoryview(data)
        while view:
            n = self.sock.send(view)
            self.sent += n
            view = view[n:]

    def send_pieces(self, pieces: Iterable[bytes]) -> None:
        """Send piece by piece, stopping quietly once the other end has hung up or answered."""
        for piece in pieces:
            try:
                if self.ended or self.arrived():
                    return
                self.send(piece)
            except (BrokenPipeError, ConnectionResetError):
                return

    def arrived(self) -> bool:
        """True when bytes (or the end) are waiting to be read."""
        if self._read < len(self.received):
            return True
        self.sock.setblocking(False)
        try:
            self.sock.recv(1, socket.MSG_PEEK)
            return True
        except BlockingIOError:
            return False
        except OSError:
            return True
        finally:
            self.sock.settimeout(DEADLINE)

    # -- receiving
    def fill(self, timeout: float | None = DEADLINE) -> bool:
        """Wait for more bytes; False when the other end is gone."""
        if self.ended:
            return False
        try:
            self.sock.settimeout(timeout)
            data = self.sock.recv(262144)
        except TimeoutError:
            raise AssertionError(
                f"nothing came for {timeout} s; so far {bytes(self.received[-2000:])!r}"
            ) from None
        except (ConnectionResetError, BrokenPipeError):
            self.ended = "reset"
            return False
        except OSError:
            self.ended = "closed here"
            return False
        if not data:
            self.ended = "eof"
            return False
        self.received += data
        return True

    @property
    def pending(self) -> bytes:
        return bytes(self.received[self._read :])

    def take(self, n: int) -> bytes:
        data = bytes(self.received[self._read : self._read + n])
        self._read += len(data)
        return data

    def recv_exactly(self, n: int, timeout: float | None = DEADLINE) -> bytes:
        while len(self.received) - self._read < n:
            if not self.fill(timeout):
                raise Broken(f"{self.ended} after {len(self.received) - self._read} of {n} bytes")
        return self.take(n)

    def recv_until(self, mark: bytes, timeout: float | None = DEADLINE) -> bytes:
        """Everything up to and with `mark`."""
        while (at := self.received.find(mark, self._read)) < 0:
            if not self.fill(timeout):
                raise Broken(f"{self.ended} before {mark!r}: {self.pending!r}")
        return self.take(at + len(mark) - self._read)

    def recv_some(self) -> bytes:
        if self._read == len(self.received) and not self.fill():
            raise Broken(str(self.ended))
        return self.take(len(self.received) - self._read)

    def recv_to_end(self, timeout: float = DEADLINE) -> bytes:
        until = time.monotonic() + timeout
        while self.fill(max(0.01, until - time.monotonic())):
            pass
        return self.take(len(self.received) - self._read)

    def closed(self, timeout: float = DEADLINE) -> bool:
        """Wait for the end of the connection; False if bytes come instead, or nothing at all."""
        if self.pending:
            return False
        try:
            return not self.fill(timeout)
        except AssertionError:
            return False

    def silent(self, seconds: float = 0.15) -> bool:
        """True if nothing at all arrives for this long: how a test shows that something is held back."""
        if self.pending or self.ended:
            return False
        try:
            self.fill(seconds)
        except AssertionError:
            return True
        return False

    def recv_head(self, timeout: float | None = DEADLINE) -> Head:
        return parse_head(self.recv_until(b"\r\n\r\n", timeout))

    def recv_chunk(self) -> bytes:
        line = self.recv_until(b"\r\n")
        if not re.fullmatch(rb"[0-9A-Fa-f]{1,16}(;[\t -~]*)?\r\n", line):
            raise Malformed(f"chunk size {line!r}")
        size = int(line.split(b";")[0].strip(), 16)
        data = self.recv_exactly(size)
        if size and self.recv_exactly(2) != b"\r\n":
            raise Malformed("chunk data not followed by CRLF")
        return data

    def recv_chunked(self) -> Body:
        body = Body()
        while data := self.recv_chunk():
            body.chunks.append(data)
        body.data = b"".join(body.chunks)
        while (line := self.recv_until(b"\r\n")) != b"\r\n":
            m = FIELD.fullmatch(line[:-2])
            if m is None:
                raise Malformed(f"trailer line {line!r}")
            body.trailers.append((m[1], m[2]))
        return body

    # -- ending
    def half_close(self) -> None:
        self.sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """FIN, whatever is unread (a plain close() would turn into RST then)."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()
        self.ended = self.ended or "closed here"

    def reset(self) -> None:
        """RST: the way a crashed process leaves."""
        with contextlib.suppress(OSError):
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()
        self.ended = self.ended or "closed here"
