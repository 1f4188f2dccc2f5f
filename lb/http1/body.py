"""Bodies: RFC 9112 6 and 7. One reader for both directions, fed with any split of the bytes.

The reader takes framing off and hands out the bytes of the content; `lb.http1.serialize` puts new framing
on. So a quirk of one side's framing never reaches the other. Everything that is kept is bounded.
"""

from __future__ import annotations

import cython

from lb.http1.fields import read_fields
from lb.http1.grammar import CLASS
from lb.message import Head

_CLASS: bytes = CLASS  # a C global in the compiled build

# How a body is framed.
NONE = 0
LENGTH = 1
CHUNKED = 2
CLOSE = 3

# States of the chunked coding.
_SIZE: cython.int = 0
_DATA: cython.int = 1
_DATA_CR: cython.int = 2
_DATA_LF: cython.int = 3
_TRAILERS: cython.int = 4

_TCHAR: cython.int = 1
_VALUE: cython.int = 2
_HEX: cython.int = 64

# 15 hex digits fit into 63 bits.
_MOST_SIZE_DIGITS: cython.int = 15
# One chunk-size line with its extensions.
_MOST_LINE: cython.Py_ssize_t = 1024
# Extensions of one body together: 1-byte chunks with long extensions cost more than they carry
# (CVE-2023-39326).
_MOST_EXTENSIONS: cython.Py_ssize_t = 16 * 1024
_MOST_TRAILERS: cython.Py_ssize_t = 8 * 1024
_MOST_TRAILER_LINES: cython.int = 64

# RFC 9110 6.5.1: fields that must not be in trailers, because they frame, route, authenticate or would be
# merged into decisions that were taken already.
_NOT_IN_TRAILERS = frozenset({
    b"transfer-encoding", b"content-length", b"host", b"connection", b"keep-alive", b"te", b"trailer",
    b"upgrade", b"proxy-connection", b"content-encoding", b"content-type", b"content-range", b"authorization",
    b"proxy-authorization", b"proxy-authenticate", b"www-authenticate", b"set-cookie", b"cookie",
    b"cache-control", b"expect", b"max-forwards", b"range", b"x-forwarded-for", b"x-forwarded-proto",
    b"x-forwarded-host", b"forwarded", b"via", b"x-request-id",
})  # fmt: skip


@cython.cclass
class BodyReader:
    """The state of one body. `begin`, then `read` until `done`; after each `read`, `piece` is what was
    found, and after the last one `trailers` the field lines to pass on (b"" or lines with CRLF)."""

    kind: cython.int
    done: cython.bint
    piece: bytes
    trailers: bytes
    left: cython.longlong
    total: cython.longlong
    state: cython.int
    kept: bytes
    extensions: cython.Py_ssize_t

    def __init__(self) -> None:
        self.begin(NONE, 0)

    def __repr__(self) -> str:
        kind = ("none", "length", "chunked", "close")[self.kind]
        return f"<BodyReader {kind} {self.total} read{' done' if self.done else ''}>"

    @cython.ccall
    def begin(self, kind: cython.int, length: cython.longlong) -> object:
        """Start a body; `length` in bytes for LENGTH."""
        self.kind = kind
        self.done = kind == NONE or (kind == LENGTH and length == 0)
        self.piece = b""
        self.trailers = b""
        self.left = length
        self.total = 0
        self.state = _SIZE
        self.kept = b""
        self.extensions = 0
        return None

    @cython.ccall
    def read(self, data: bytes, at: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """Read from data[at:] what belongs to the body. Returns where it stopped, -1 if malformed."""
        size: cython.Py_ssize_t = len(data)
        have: cython.Py_ssize_t = size - at
        if self.kind == LENGTH:
            have = min(have, self.left)
            self.left -= have
            self.total += have
            self.piece = data if have == size else data[at : at + have]
            if self.left == 0:
                self.done = True
            return at + have
        if self.kind == CHUNKED:
            return self._read_chunked(data, at)
        if self.kind == CLOSE:
            self.total += have
            self.piece = data if at == 0 else data[at:]
            return size
        self.piece = b""
        return at

    @cython.ccall
    def let_go(self) -> bytes:
        """`piece`, not held any longer: an idle connection must not keep what it read last."""
        piece: bytes = self.piece
        self.piece = b""
        return piece

    @cython.cfunc
    def _read_chunked(self, data: bytes, at: cython.Py_ssize_t) -> cython.Py_ssize_t:
        size: cython.Py_ssize_t = len(data)
        take: cython.Py_ssize_t
        p: cython.p_const_uchar = data
        pieces: list[bytes] = []
        while at < size and not self.done:
            if self.state == _DATA:
                take = size - at
                take = min(take, self.left)
                pieces.append(data[at : at + take])
                at += take
                self.left -= take
                self.total += take
                if self.left == 0:
                    self.state = _DATA_CR
            elif self.state == _DATA_CR:
                if p[at] != 13:
                    return -1
                at += 1
                self.state = _DATA_LF
            elif self.state == _DATA_LF:
                if p[at] != 10:
                    return -1
                at += 1
                self.state = _SIZE
            elif self.state == _SIZE:
                at = self._read_size(data, at)
            else:
                at = self._read_trailers(data, at)
            if at < 0:
                return -1
        self.piece = b"".join(pieces) if len(pieces) != 1 else pieces[0]
        return at

    @cython.cfunc
    def _read_size(self, data: bytes, at: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """One chunk-size line, which may come in parts."""
        stop: cython.Py_ssize_t = data.find(b"\n", at)
        line: bytes
        if stop < 0:
            self.kept += data[at:]
            if len(self.kept) > _MOST_LINE or not _may_be_size(self.kept):
                return -1
            return len(data)
        line = self.kept + data[at : stop + 1] if self.kept else data[at : stop + 1]
        self.kept = b""
        self.left = _size_of(line)
        if self.left < 0 or len(line) > _MOST_LINE:
            return -1
        # hex digits and CRLF are not extensions
        if len(line) > _MOST_SIZE_DIGITS + 2:
            self.extensions += len(line)
            if self.extensions > _MOST_EXTENSIONS:
                return -1
        self.state = _DATA if self.left else _TRAILERS
        return stop + 1

    @cython.cfunc
    def _read_trailers(self, data: bytes, at: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """The trailer section and the blank line, which may come in parts."""
        before: cython.Py_ssize_t = len(self.kept)
        held: bytes = self.kept + data[at:] if before else data[at:]
        end: cython.Py_ssize_t
        if held.startswith(b"\r\n"):
            end = 2
        else:
            end = held.find(b"\r\n\r\n") + 4
            if end == 3:
                # early refusal: what cannot become a section any more
                if len(held) > _MOST_TRAILERS or (held[0] == 13 and len(held) > 1) or _bare_lf(held):
                    return -1
                self.kept = held
                return len(data)
            if end > _MOST_TRAILERS:
                return -1
            head = Head()
            if read_fields(held, 0, end, head, _MOST_TRAILER_LINES) != end:
                return -1
            self.trailers = _allowed(held[: end - 2])
        self.kept = b""
        self.done = True
        return at + end - before


@cython.cfunc
def _size_of(line: bytes) -> cython.longlong:
    """The size in a line `1*HEXDIG [BWS ";" extensions] CRLF` (RFC 9112 7.1), -1 if malformed."""
    p: cython.p_const_uchar = line
    table: cython.p_const_uchar = _CLASS
    i: cython.Py_ssize_t = 0
    c: cython.int
    total: cython.longlong = 0
    end: cython.Py_ssize_t = len(line) - 2
    while i < end and table[p[i]] & _HEX:
        c = p[i]
        total = total * 16 + (c - 48 if c <= 57 else (c | 32) - 87)
        i += 1
        if i > _MOST_SIZE_DIGITS:
            return -1
    if i == 0 or end < 1 or p[end] != 13:
        return -1
    if i == end:
        return total
    return total if _extensions_valid(line, i, end) else -1


@cython.cfunc
def _extensions_valid(line: bytes, at: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.bint:
    """chunk-ext = *( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] ), RFC 9112 7.1.1."""
    p: cython.p_const_uchar = line
    table: cython.p_const_uchar = _CLASS
    i: cython.Py_ssize_t = at
    mark: cython.Py_ssize_t
    while i < end:
        i = _skip_space(line, i, end)
        if i >= end or p[i] != 59:  # ";"
            return False
        i = _skip_space(line, i + 1, end)
        mark = i
        while i < end and table[p[i]] & _TCHAR:
            i += 1
        if i == mark:
            return False
        mark = i
        i = _skip_space(line, i, end)
        if i < end and p[i] == 61:  # "="
            i = _skip_space(line, i + 1, end)
            mark = i
            if i < end and p[i] == 34:  # '"'
                i += 1
                while i < end and p[i] != 34:
                    if p[i] == 92:  # "\"
                        i += 1
                    if i >= end or not table[p[i]] & _VALUE:
                        return False
                    i += 1
                if i >= end:
                    return False
                i += 1
            else:
                while i < end and table[p[i]] & _TCHAR:
                    i += 1
                if i == mark:
                    return False
        else:
            i = mark
    return True


@cython.cfunc
def _skip_space(line: bytes, i: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.Py_ssize_t:
    p: cython.p_const_uchar = line
    while i < end and (p[i] == 32 or p[i] == 9):
        i += 1
    return i


@cython.cfunc
def _may_be_size(part: bytes) -> cython.bint:
    """Whether an unfinished line can still become a chunk-size line: an early refusal of garbage."""
    p: cython.p_const_uchar = part
    table: cython.p_const_uchar = _CLASS
    i: cython.Py_ssize_t = 0
    size: cython.Py_ssize_t = len(part)
    while i < size and table[p[i]] & _HEX:
        i += 1
    if i > _MOST_SIZE_DIGITS or (i == 0 and size > 0):
        return False
    if 0 <= part.find(b"\r") < size - 1:
        return False
    return i == size or p[i] in (13, 59, 32, 9)


@cython.cfunc
def _bare_lf(part: bytes) -> cython.bint:
    return part.count(b"\n") != part.count(b"\r\n")


def _allowed(section: bytes) -> bytes:
    lines = section.split(b"\r\n")
    return b"".join(
        line + b"\r\n" for line in lines if line and line.partition(b":")[0].lower() not in _NOT_IN_TRAILERS
    )
