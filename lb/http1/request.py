"""Request heads: RFC 9112 3, strict.

`read_request` takes the bytes received so far and says *more*, *bad* (a negative Outcome) or where the
head ends. Nothing is repaired: a request that two readers could understand differently is refused.
"""

from __future__ import annotations

import cython

from lb.http1.fields import joined, read_fields, value_of
from lb.http1.framing import read_framing
from lb.http1.grammar import CLASS
from lb.http1.target import read_authority, read_target
from lb.message import RequestHead
from lb.outcomes import Outcome

_CLASS: bytes = CLASS  # a C global in the compiled build

MORE: cython.int = 0
BAD_REQUEST: cython.int = -int(Outcome.BAD_REQUEST)
HEAD_TOO_LARGE: cython.int = -int(Outcome.HEAD_TOO_LARGE)
TARGET_TOO_LONG: cython.int = -int(Outcome.TARGET_TOO_LONG)
METHOD_NOT_ALLOWED: cython.int = -int(Outcome.METHOD_NOT_ALLOWED)
NOT_IMPLEMENTED: cython.int = -int(Outcome.NOT_IMPLEMENTED)
VERSION_NOT_SUPPORTED: cython.int = -int(Outcome.VERSION_NOT_SUPPORTED)
EXPECTATION_FAILED: cython.int = -int(Outcome.EXPECTATION_FAILED)

HOST: cython.int = 8
EXPECT: cython.int = 10

_TCHAR: cython.int = 1
_TARGET: cython.int = 4 | 8
_DIGIT: cython.int = 32
# The longest registered method has 18 letters (UPDATEREDIRECTREF is 17).
_MOST_METHOD: cython.Py_ssize_t = 32


@cython.ccall
def read_request(
    raw: bytes,
    at: cython.Py_ssize_t,
    scanned: cython.Py_ssize_t,
    head: RequestHead,
    most_bytes: cython.Py_ssize_t,
    most_fields: cython.int,
) -> cython.Py_ssize_t:
    """Read the request head that begins at raw[at].

    `scanned` is how far an earlier call looked without finding the end. Returns MORE (0), a negative
    Outcome, or the position after the blank line; then `head` is filled in. RFC 9112 2.2: one empty line
    before the request line is ignored. Sizes in bytes, `most_fields` in lines."""
    size: cython.Py_ssize_t = len(raw)
    stop: cython.Py_ssize_t  # nothing is read beyond the limit
    end: cython.Py_ssize_t
    i: cython.Py_ssize_t
    method: cython.Py_ssize_t
    target: cython.Py_ssize_t
    state: cython.int
    p: cython.p_const_uchar = raw
    table: cython.p_const_uchar = _CLASS
    if size > at and p[at] == 13:
        if size == at + 1:
            return MORE
        if p[at + 1] != 10:
            return BAD_REQUEST
        at += 2
    if scanned > at and raw.find(b"\r\n\r\n", scanned - 3 if scanned - 3 > at else at) < 0:
        # looked at before: only the new bytes are looked at again, or one byte at a time would be quadratic
        return _incomplete(raw, at, scanned, most_bytes)

    stop = size if size - at <= most_bytes else at + most_bytes
    i = at
    while i < stop and table[p[i]] & _TCHAR:
        i += 1
    if i >= stop:
        return _incomplete(raw, at, scanned, most_bytes)
    if i == at or p[i] != 32 or i - at > _MOST_METHOD:
        return BAD_REQUEST
    method = i
    i += 1
    target = i
    while i < stop and table[p[i]] & _TARGET:
        i += 1
    if i + 11 > stop:
        return _incomplete(raw, at, scanned, most_bytes)
    if i == target or p[i] != 32:
        return BAD_REQUEST
    state = _version(raw, i + 1)
    if state < 0:
        return state
    head.minor = state
    head.raw = raw
    head.start = at
    head.lines = i + 11
    end = read_fields(raw, head.lines, stop, head, most_fields)
    if end <= 0:
        if end == 0:
            return _incomplete(raw, at, scanned, most_bytes)
        return BAD_REQUEST if end == -1 else HEAD_TOO_LARGE
    head.end = end
    if method - at == 3 and p[at] == 71 and p[at + 1] == 69 and p[at + 2] == 84:
        head.method = b"GET"  # no new object for nearly every request
    else:
        head.method = p[at:method]
    state = read_framing(head)
    if state < 0:
        return BAD_REQUEST if state == -1 else NOT_IMPLEMENTED
    if head.method == b"CONNECT":
        return METHOD_NOT_ALLOWED
    state = _read_host(head)
    if state < 0:
        return state
    if read_target(head, target, i) < 0:
        return BAD_REQUEST
    head.expect_continue = False
    if head.seen & (1 << EXPECT) and head.minor >= 1:
        # RFC 9110 10.1.1: an HTTP/1.0 request's expectation is ignored
        if joined(head, EXPECT).lower() != b"100-continue":
            return EXPECTATION_FAILED
        head.expect_continue = head.chunked or head.content_length > 0
    return end


@cython.cfunc
def _version(raw: bytes, at: cython.Py_ssize_t) -> cython.int:
    """The minor version of "HTTP/1.x" CRLF at raw[at], or a negative Outcome."""
    p: cython.p_const_uchar = raw
    table: cython.p_const_uchar = _CLASS
    # The head ends with CRLF CRLF, so that there are ten bytes to look at wherever the name fits.
    if (
        p[at] != 72 or p[at + 1] != 84 or p[at + 2] != 84 or p[at + 3] != 80 or p[at + 4] != 47
        or not table[p[at + 5]] & _DIGIT or p[at + 6] != 46 or not table[p[at + 7]] & _DIGIT
        or p[at + 8] != 13 or p[at + 9] != 10
    ):  # fmt: skip
        return BAD_REQUEST
    if p[at + 5] != 49:
        return VERSION_NOT_SUPPORTED
    # RFC 9110 2.5: a higher minor version is treated as the highest one known
    return 0 if p[at + 7] == 48 else 1


@cython.cfunc
def _read_host(head: RequestHead) -> cython.int:
    """RFC 9112 3.2: exactly one valid Host line in HTTP/1.1; at most one in HTTP/1.0."""
    k: cython.int
    found: cython.int = -1
    if not head.seen & (1 << HOST):
        if head.minor >= 1:
            return BAD_REQUEST
        head.authority = b""
        head.host = b""
        return 0
    for k in range(head.marked):
        if head.marks[4 * k] == HOST:
            if found >= 0:
                return BAD_REQUEST
            found = k
    return 0 if read_authority(head, value_of(head, found)) >= 0 else BAD_REQUEST


@cython.cfunc
def _incomplete(
    raw: bytes, at: cython.Py_ssize_t, scanned: cython.Py_ssize_t, most_bytes: cython.Py_ssize_t
) -> cython.Py_ssize_t:
    """MORE, or the Outcome that is certain although the head has no end yet: an early answer instead of
    a wait for the time-out."""
    p: cython.p_const_uchar = raw
    table: cython.p_const_uchar = _CLASS
    size: cython.Py_ssize_t = len(raw)
    i: cython.Py_ssize_t = at
    while i < size and table[p[i]] & _TCHAR:
        i += 1
    if i < size and (i == at or p[i] != 32):
        return BAD_REQUEST
    if i - at > _MOST_METHOD:
        return BAD_REQUEST
    if 0 <= raw.find(b"\r\n\r\n", at) < at + most_bytes - 4:
        return BAD_REQUEST  # complete, and too short to be a head
    # a carriage return that begins a line but no line end
    i = raw.find(b"\n\r", at)
    if i >= 0 and i + 2 < size and p[i + 2] != 10:
        return BAD_REQUEST
    # a line feed without a carriage return before it: bare LF (RFC 9112 2.2)
    i = scanned if scanned > at else at
    while True:
        i = raw.find(b"\n", i)
        if i < 0:
            break
        if i == at or p[i - 1] != 13:
            return BAD_REQUEST
        i += 1
    if size - at >= most_bytes:
        i = raw.find(b"\r\n", at)
        return TARGET_TOO_LONG if i < 0 or i - at > most_bytes else HEAD_TOO_LARGE
    return MORE
