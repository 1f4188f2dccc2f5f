"""Response heads: RFC 9112 4, as strict as requests. A server's answer is not trusted more than a client.

`read_response` says *more*, *bad* or where the head ends; `head` then tells how the body is framed.
"""

from __future__ import annotations

import cython

from lb.http1.fields import read_fields
from lb.http1.framing import read_framing
from lb.http1.grammar import CLASS
from lb.message import ResponseHead

_CLASS: bytes = CLASS  # a C global in the compiled build

MORE = 0
BAD = -1

_VALUE: cython.int = 2
_DIGIT: cython.int = 32


@cython.ccall
def read_response(
    raw: bytes,
    at: cython.Py_ssize_t,
    scanned: cython.Py_ssize_t,
    head: ResponseHead,
    most_bytes: cython.Py_ssize_t,
    most_fields: cython.int,
) -> cython.Py_ssize_t:
    """Read the response head that begins at raw[at]: MORE (0), BAD (-1), or the position after the blank
    line. Parameters as for read_request."""
    end: cython.Py_ssize_t
    i: cython.Py_ssize_t
    p: cython.p_const_uchar = raw
    table: cython.p_const_uchar = _CLASS
    size: cython.Py_ssize_t = len(raw)
    if scanned > at and raw.find(b"\r\n\r\n", scanned - 3 if scanned - 3 > at else at) < 0:
        return _incomplete(raw, at, scanned, most_bytes)
    if size - at < 16:
        return _incomplete(raw, at, scanned, most_bytes)
    # "HTTP/1.x SP 3DIGIT SP reason"; the shortest head has 16 bytes
    if (
        p[at] != 72 or p[at + 1] != 84 or p[at + 2] != 84 or p[at + 3] != 80 or p[at + 4] != 47
        or p[at + 5] != 49 or p[at + 6] != 46 or (p[at + 7] != 48 and p[at + 7] != 49) or p[at + 8] != 32
        or not table[p[at + 9]] & _DIGIT or not table[p[at + 10]] & _DIGIT or not table[p[at + 11]] & _DIGIT
    ):  # fmt: skip
        return BAD
    head.minor = p[at + 7] - 48
    head.status = (p[at + 9] - 48) * 100 + (p[at + 10] - 48) * 10 + p[at + 11] - 48
    if head.status < 100 or head.status > 599:
        return BAD
    i = at + 12
    if p[i] == 32:
        i += 1
        while i < size and table[p[i]] & _VALUE:
            i += 1
        if i + 2 > size:
            return _incomplete(raw, at, scanned, most_bytes)
        head.reason = b"OK" if i - at == 15 and p[i - 2] == 79 and p[i - 1] == 75 else p[at + 13 : i]
    else:
        # many servers leave out the space before an empty reason (RFC 9112 4 wants it)
        head.reason = b""
    if p[i] != 13 or p[i + 1] != 10:
        return BAD
    head.raw = raw
    head.start = at
    head.lines = i + 2
    end = read_fields(raw, head.lines, size, head, most_fields)
    if end == 0:
        return _incomplete(raw, at, scanned, most_bytes)
    if end < 0 or end - at > most_bytes:
        return BAD
    head.end = end
    if read_framing(head) < 0:
        return BAD
    return end


@cython.cfunc
def _incomplete(
    raw: bytes, at: cython.Py_ssize_t, scanned: cython.Py_ssize_t, most_bytes: cython.Py_ssize_t
) -> cython.Py_ssize_t:
    p: cython.p_const_uchar = raw
    size: cython.Py_ssize_t = len(raw)
    i: cython.Py_ssize_t
    if not b"HTTP/1.".startswith(raw[at : at + 7]) or size - at >= most_bytes:
        return BAD
    if raw.find(b"\r\n\r\n", at) >= 0:
        return BAD  # complete, and too short to be a head
    i = scanned if scanned > at else at
    while True:
        i = raw.find(b"\n", i)
        if i < 0:
            return MORE
        if i == at or p[i - 1] != 13:
            return BAD
        i += 1
