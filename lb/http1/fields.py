"""Field lines: the one loop that validates them, for requests, responses and trailers.

A line is `name ":" OWS value OWS CRLF` (RFC 9112 5). No bare CR or LF, no white space before the colon,
no folding, no empty name, no control character. Lines that a proxy must look at are *marked* on the
head by the number of their name; all others are left as bytes. Pure: no decisions about framing.
"""

from __future__ import annotations

from typing import Any

import cython

from lb.http1.grammar import CLASS, LOWER
from lb.message import MAX_MARKS, Head

_CLASS: bytes = CLASS  # a C global in the compiled build
_LOWER: bytes = LOWER  # a C global in the compiled build

# Ids of known fields: bits of Head.seen.
CONNECTION = 1
KEEP_ALIVE = 2
PROXY_CONNECTION = 3
TE = 4
TRAILER = 5
TRANSFER_ENCODING = 6
UPGRADE = 7
HOST = 8
CONTENT_LENGTH = 9
EXPECT = 10
FORWARDED = 11
X_FORWARDED_FOR = 12
X_FORWARDED_PROTO = 13
X_FORWARDED_HOST = 14
VIA = 15
X_REQUEST_ID = 16
HTTP2_SETTINGS = 17
DATE = 18
PROXY_STATUS = 19
IMPOSTOR = 20  # what a CGI or WSGI server would take for something it is not
COOKIE = 21
X_LB_DEBUG = 22
TRACEPARENT = 23
TRACESTATE = 24

NAMES: dict[bytes, int] = {
    b"connection": CONNECTION,
    b"keep-alive": KEEP_ALIVE,
    b"proxy-connection": PROXY_CONNECTION,
    b"te": TE,
    b"trailer": TRAILER,
    b"transfer-encoding": TRANSFER_ENCODING,
    b"upgrade": UPGRADE,
    b"host": HOST,
    b"content-length": CONTENT_LENGTH,
    b"expect": EXPECT,
    b"forwarded": FORWARDED,
    b"x-forwarded-for": X_FORWARDED_FOR,
    b"x-forwarded-proto": X_FORWARDED_PROTO,
    b"x-forwarded-host": X_FORWARDED_HOST,
    b"via": VIA,
    b"x-request-id": X_REQUEST_ID,
    b"http2-settings": HTTP2_SETTINGS,
    b"date": DATE,
    b"proxy-status": PROXY_STATUS,
    b"proxy": IMPOSTOR,  # httpoxy, CVE-2016-5385: read as HTTP_PROXY
    b"cookie": COOKIE,
    b"x-lb-debug": X_LB_DEBUG,
    b"traceparent": TRACEPARENT,
    b"tracestate": TRACESTATE,
}
# "_" is read as "-" (CVE-2025-64484), so lb's own fields are not believed under another spelling.
for _name in (b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"x-request-id", b"x-lb-debug"):
    _first, *_rest = _name.split(b"-")
    for _marks in range(1, 1 << len(_rest)):
        _spelling = _first + b"".join(
            (b"_" if _marks >> i & 1 else b"-") + part for i, part in enumerate(_rest)
        )
        NAMES[_spelling] = IMPOSTOR

# Names of the same length and first letter stand side by side; _FIRST says where those of a length and letter
# begin, counted from 1, so that most lines are dismissed by one look there.
_ORDERED: list[bytes] = sorted(NAMES, key=lambda name: (len(name), name))
_IDS: bytes = bytes(NAMES[name] for name in _ORDERED)
_COUNT: cython.int = len(_ORDERED)
_FIRST: bytes = bytes(
    next((at for at, n in enumerate(_ORDERED, 1) if len(n) == i >> 8 and n[0] == i & 255), 0)
    for i in range(32 << 8)
)

MORE = 0
BAD = -1
TOO_MANY = -2

_TCHAR: cython.int = 1
_VALUE: cython.int = 2


@cython.ccall
def read_fields(
    raw: bytes, at: cython.Py_ssize_t, end: cython.Py_ssize_t, head: Head, most: cython.int
) -> cython.Py_ssize_t:
    """Validate the field lines from raw[at] to the blank line, which lies before raw[end], and mark the
    known ones.

    Returns the position after the blank line, MORE (0) where it is not there yet, BAD, or TOO_MANY (over
    `most` lines, or over MAX_MARKS known ones). What was marked is valid only with a position."""
    p: cython.p_const_uchar = raw
    table: cython.p_const_uchar = _CLASS
    i: cython.Py_ssize_t = at
    start: cython.Py_ssize_t
    value: cython.Py_ssize_t
    size: cython.Py_ssize_t
    count: cython.int = 0
    n: cython.int = 0
    m: cython.int
    head.seen = 0
    while i < end:
        start = i
        while i < end and table[p[i]] & _TCHAR:
            i += 1
        if i >= end:
            return MORE
        size = i - start
        if size == 0:
            # only the blank line that ends the section has no name
            if p[i] != 13:
                return BAD
            if i + 1 >= end:
                return MORE
            head.marked = n
            return i + 2 if p[i + 1] == 10 else BAD
        if p[i] != 58:  # ":"
            return BAD
        i += 1
        value = i
        while i < end and table[p[i]] & _VALUE:
            i += 1
        if i >= end:
            return MORE
        if p[i] != 13:
            return BAD
        if i + 1 >= end:
            return MORE
        if p[i + 1] != 10:
            return BAD
        i += 2
        count += 1
        if count > most:
            return TOO_MANY
        m = _known(raw, start, size)
        if m:
            if n >= MAX_MARKS:
                return TOO_MANY
            head.seen |= 1 << m
            head.marks[4 * n] = m
            head.marks[4 * n + 1] = start
            head.marks[4 * n + 2] = value
            head.marks[4 * n + 3] = i
            n += 1
    return MORE


@cython.cfunc
def _known(raw: bytes, start: cython.Py_ssize_t, size: cython.Py_ssize_t) -> cython.int:
    """The id of the field name raw[start:start + size], in whatever case; 0 for one that is not known."""
    p: cython.p_const_uchar = raw
    lower: cython.p_const_uchar = _LOWER
    first: cython.p_const_uchar = _FIRST
    ids: cython.p_const_uchar = _IDS
    name: bytes
    wanted: cython.p_const_uchar
    at: cython.int
    i: cython.Py_ssize_t
    if size >= 32:
        return 0
    at = first[(size << 8) | lower[p[start]]]
    while 0 < at <= _COUNT:
        name = _ORDERED[at - 1]
        if len(name) != size:
            return 0
        wanted = name
        i = 0
        while i < size and lower[p[start + i]] == wanted[i]:
            i += 1
        if i == size:
            return ids[at - 1]
        at += 1
    return 0


@cython.ccall
def value_of(head: Head, mark: cython.int) -> bytes:
    """The value of one marked line, outer SP and HTAB removed."""
    raw: bytes = head.raw
    p: cython.p_const_uchar = raw
    a: cython.Py_ssize_t = head.marks[4 * mark + 2]
    b: cython.Py_ssize_t = head.marks[4 * mark + 3] - 2
    while a < b and (p[a] == 32 or p[a] == 9):
        a += 1
    while b > a and (p[b - 1] == 32 or p[b - 1] == 9):
        b -= 1
    return p[a:b]


@cython.ccall
def joined(head: Head, known: cython.int) -> bytes | Any:
    """All lines of a known field as one list value (RFC 9110 5.3), or None where there is none; not typed as
    optional, because most callers know from `head.seen` that there is one."""
    found: bytes | None = None
    k: cython.int
    for k in range(head.marked):
        if head.marks[4 * k] == known:
            found = value_of(head, k) if found is None else b"%b, %b" % (found, value_of(head, k))
    return found


def tokens(value: bytes) -> list[bytes]:
    """The elements of a comma-separated list, lower case, outer white space removed, empty ones left
    out (RFC 9110 5.6.1.2)."""
    return [t for t in (part.strip(b" \t").lower() for part in value.split(b",")) if t]
