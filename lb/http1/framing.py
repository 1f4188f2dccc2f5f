"""How long a body is, and whether the connection lives on: RFC 9112 6 and 9.3.

The rules of the whole codec about Content-Length, Transfer-Encoding and Connection are here, once, for
both directions. Anything that two readers could take differently is refused, not repaired.
"""

from __future__ import annotations

import cython

from lb.http1.fields import joined, tokens, value_of
from lb.http1.grammar import CLASS
from lb.message import Head

_CLASS: bytes = CLASS  # a C global in the compiled build

CONNECTION: cython.int = 1
TRANSFER_ENCODING: cython.int = 6
UPGRADE: cython.int = 7
CONTENT_LENGTH: cython.int = 9

OK = 0
BAD = -1
NOT_IMPLEMENTED = -3

_DIGIT: cython.int = 32
# 18 digits always fit into 63 bits.
_MOST_DIGITS: cython.int = 18

# Options of Connection that are the connection's own business or name fields that are removed anyway.
_USUAL = frozenset({b"close", b"keep-alive", b"upgrade", b"te", b"http2-settings", b"transfer-encoding"})
# A sender cannot have these removed by naming them: the message would mean something else.
_KEPT = frozenset(
    {
        b"host",
        b"content-length",
        b"content-type",
        b"content-encoding",
        b"date",
        b"connection",
        b"x-request-id",
    }
)


@cython.ccall
def length_of(value: bytes) -> cython.longlong:
    """A Content-Length value: 1*DIGIT, at most 18 of them; -1 where it is not."""
    p: cython.p_const_uchar = value
    table: cython.p_const_uchar = _CLASS
    size: cython.Py_ssize_t = len(value)
    total: cython.longlong = 0
    i: cython.Py_ssize_t
    if size == 0 or size > _MOST_DIGITS:
        return -1
    for i in range(size):
        if not table[p[i]] & _DIGIT:
            return -1
        total = total * 10 + (p[i] - 48)
    return total


@cython.ccall
def read_framing(head: Head) -> cython.int:
    """Set content_length, chunked, keep_alive, upgrade and nominated from the marked lines.

    Returns OK, BAD (ambiguous or malformed), or NOT_IMPLEMENTED (a transfer coding before `chunked`)."""
    k: cython.int
    known: cython.int
    length: cython.longlong
    head.content_length = -1
    head.chunked = False
    head.lengths = 0
    head.keep_alive = head.minor >= 1
    head.upgrade = b""
    head.nominated = None
    if not head.seen & FRAMING:
        return OK
    if head.seen & (1 << TRANSFER_ENCODING):
        # RFC 9112 6.1: an HTTP/1.0 message with it, or one with both, is faulty framing
        if head.minor == 0 or head.seen & (1 << CONTENT_LENGTH):
            return BAD
        codings = tokens(joined(head, TRANSFER_ENCODING))
        raw_elements = joined(head, TRANSFER_ENCODING).count(b",") + 1
        if codings != [b"chunked"] or raw_elements != 1:
            if len(codings) > 1 and codings[-1] == b"chunked" and b"chunked" not in codings[:-1]:
                return NOT_IMPLEMENTED
            return BAD
        head.chunked = True
    elif head.seen & (1 << CONTENT_LENGTH):
        for k in range(head.marked):
            known = head.marks[4 * k]
            if known == CONTENT_LENGTH:
                length = length_of(value_of(head, k))
                if length < 0 or (head.content_length >= 0 and head.content_length != length):
                    return BAD
                head.content_length = length
                head.lengths += 1
    if head.seen & (1 << CONNECTION):
        options = joined(head, CONNECTION)
        if options == b"keep-alive":
            head.keep_alive = True
        elif options == b"close":
            head.keep_alive = False
        else:
            _read_connection(head, options)
    return OK


FRAMING: cython.ulonglong = (1 << CONNECTION) | (1 << TRANSFER_ENCODING) | (1 << CONTENT_LENGTH)


@cython.cfunc
def _read_connection(head: Head, value: bytes) -> object:
    options = tokens(value)
    # RFC 9112 9.3: close wins over keep-alive
    if b"close" in options:
        head.keep_alive = False
    elif b"keep-alive" in options:
        head.keep_alive = True
    if b"upgrade" in options and head.seen & (1 << UPGRADE) and head.minor >= 1:
        # h2c is HTTP/2 past this proxy's eyes: nothing behind it could be routed or checked
        wanted = [t for t in tokens(joined(head, UPGRADE)) if t.partition(b"/")[0] != b"h2c"]
        head.upgrade = b", ".join(wanted)
    named = tuple(o for o in options if o not in _USUAL and o not in _KEPT)
    head.nominated = named or None
    return None
