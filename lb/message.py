"""Heads of messages as data: what the codec finds, the router asks, the proxy forwards.

Lives here: the fields of one request or response head, and the look-up of a header line in the bytes
it came in. No object is made per header line: `header` scans the head when somebody asks. Must not
live here: parsing rules (lb.http1) and I/O. A head is reused for one message after another.
"""

from __future__ import annotations

import ipaddress

import cython

MAX_MARKS = 64


@cython.cclass
class Head:
    """The part that requests and responses share. `raw[lines:end]` holds the field lines, each ended
    by CRLF, and the blank line; every byte in it has been validated by the codec."""

    raw: bytes
    start: cython.Py_ssize_t
    lines: cython.Py_ssize_t
    end: cython.Py_ssize_t
    minor: cython.int  # HTTP/1.minor
    keep_alive: cython.bint
    chunked: cython.bint
    content_length: cython.longlong  # -1: none
    lengths: cython.int  # Content-Length lines, all with the same value
    upgrade: bytes  # the Upgrade field where Connection names it, lower case; b"" otherwise
    nominated: tuple[bytes, ...] | None  # names in Connection beyond the usual ones, lower case
    seen: cython.ulonglong  # bit 1 << id for each known field present
    marked: cython.int  # how many marks are in use
    marks: list[int]  # per known field line: id, start of the line, start of the value, end of the line

    def __init__(self) -> None:
        if not cython.compiled:
            self.marks = [0] * (4 * MAX_MARKS)  # an array of C ints in the compiled build
        self.nominated = None
        self.seen = 0
        self.marked = 0
        self.raw = b""
        self.start = self.lines = self.end = 0
        self.minor = 1
        self.keep_alive = True
        self.chunked = False
        self.content_length = -1
        self.lengths = 0
        self.upgrade = b""

    @cython.ccall
    def header(self, name: bytes) -> bytes | None:
        """The value of field `name` (lower case) with outer white space removed, several lines joined
        by ", " (RFC 9110 5.3); None where there is none."""
        raw: bytes = self.raw
        p: cython.p_const_uchar = raw
        wanted: cython.p_const_uchar = name
        at: cython.Py_ssize_t = self.lines
        stop: cython.Py_ssize_t = self.end - 2
        size: cython.Py_ssize_t = len(name)
        found: bytes | None = None
        begin: cython.Py_ssize_t
        close: cython.Py_ssize_t
        i: cython.Py_ssize_t
        c: cython.int
        while at < stop:
            i = 0
            # a name holds no CR, so the comparison stops within the line
            while i < size:
                c = p[at + i]
                if 65 <= c <= 90:
                    c += 32
                if c != wanted[i]:
                    break
                i += 1
            close = at + i
            while p[close] != 13:
                close += 1
            if i == size and p[at + size] == 58:  # ":"
                begin = at + size + 1
                i = close
                while begin < i and (p[begin] == 32 or p[begin] == 9):
                    begin += 1
                while i > begin and (p[i - 1] == 32 or p[i - 1] == 9):
                    i -= 1
                found = p[begin:i] if found is None else b"%b, %b" % (found, p[begin:i])
            at = close + 2
        return found


@cython.cclass
class RequestHead(Head):
    """One request head.

    `target` is the request target as it is matched and forwarded (origin form, or `*`), `path` and
    `query` its parts (query without "?", None where there is none); `authority` the Host as sent,
    `host` the same in lower case, without port and trailing dot. `absolute`: the target came in absolute
    form, so that Host is not the line that came. `plain`: the request line can go on as it came.
    """

    method: bytes
    target: bytes
    path: bytes
    query: bytes | None
    authority: bytes
    host: bytes
    expect_continue: cython.bint
    absolute: cython.bint
    plain: cython.bint

    def __init__(self) -> None:
        Head.__init__(self)
        self.absolute = False
        self.plain = True
        self.method = self.target = self.path = self.authority = self.host = b""
        self.query = None
        self.expect_continue = False

    def __repr__(self) -> str:
        return f"<RequestHead {self.method!r} {self.authority!r} {self.target!r}>"


@cython.cclass
class ResponseHead(Head):
    """One response head. `reason` as sent, possibly empty."""

    status: cython.int
    reason: bytes

    def __init__(self) -> None:
        Head.__init__(self)
        self.status = 0
        self.reason = b""

    def __repr__(self) -> str:
        return f"<ResponseHead {self.status} {self.reason!r}>"


@cython.cclass
class Client:
    """Who sent a request: `address` is the client's IP address as text ("" on a Unix socket), after
    PROXY protocol and trusted forwarding headers; `listener` the listener's name."""

    address: str
    listener: str
    _number: tuple[int, int] | None

    def __init__(self, address: str, listener: str) -> None:
        self.address = address
        self.listener = listener
        self._number = None

    def number(self) -> tuple[int, int]:
        """(IP version, address as an integer), kept after the first call; (0, 0) where there is none.
        IPv4-mapped IPv6 addresses count as IPv4."""
        if self._number is None:
            try:
                ip = ipaddress.ip_address(self.address)
            except ValueError:
                self._number = (0, 0)
            else:
                mapped = ip.ipv4_mapped if ip.version == 6 else None
                ip = mapped if mapped is not None else ip
                self._number = (ip.version, int(ip))
        return self._number
