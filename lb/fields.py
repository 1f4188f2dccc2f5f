"""Named values out of a request head: query parameters and cookies, decoded only when asked for.

Lives here: the one reading of both that routing predicates and hash keys share, so that both see the
same value. One pass over the bytes, no table and no object per pair, so that a hostile query or Cookie
line of any shape costs no more than its length. Must not live here: header look-up
(lb.message.Head.header) and what is done with a value (lb.routing, lb.balancing).
"""

from __future__ import annotations

import cython

from lb.message import Head, RequestHead

COOKIE: cython.int = 21  # as in lb.http1.fields


@cython.cfunc
def _hex(c: cython.int) -> cython.int:
    """The value of a hexadecimal digit, or -1."""
    if 48 <= c <= 57:
        return c - 48
    if 65 <= c <= 70:
        return c - 55
    if 97 <= c <= 102:
        return c - 87
    return -1


@cython.cfunc
def _escaped(text: bytes, at: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.int:
    """The byte that the escape at `at` stands for, or -1 where "%" is not followed by two digits."""
    high: cython.int
    low: cython.int
    if at + 2 >= end:
        return -1
    high = _hex(text[at + 1])
    low = _hex(text[at + 2])
    return -1 if high < 0 or low < 0 else high * 16 + low


@cython.cfunc
def _is(text: bytes, at: cython.Py_ssize_t, end: cython.Py_ssize_t, name: bytes) -> cython.bint:
    """Whether text[at:end], decoded, is `name`."""
    n: cython.Py_ssize_t = 0
    size: cython.Py_ssize_t = len(name)
    c: cython.int
    decoded: cython.int
    while at < end:
        if n == size:
            return False
        c = text[at]
        if c == 43:  # "+"
            c = 32
        elif c == 37:  # "%"
            decoded = _escaped(text, at, end)
            if decoded >= 0:
                c = decoded
                at += 2
        if c != name[n]:
            return False
        at += 1
        n += 1
    return n == size


@cython.ccall
def decoded(text: bytes) -> bytes:
    """`text` with "+" and percent escapes decoded; an escape that is none stays as it is."""
    out: bytearray
    at: cython.Py_ssize_t = 0
    end: cython.Py_ssize_t = len(text)
    c: cython.int
    value: cython.int
    if b"%" not in text:
        return text.replace(b"+", b" ") if b"+" in text else text
    out = bytearray()
    while at < end:
        c = text[at]
        if c == 43:
            c = 32
        elif c == 37:
            value = _escaped(text, at, end)
            if value >= 0:
                c = value
                at += 2
        out.append(c)
        at += 1
    return bytes(out)


@cython.ccall
def query(head: RequestHead, name: bytes) -> bytes | None:
    """The decoded value of the first parameter `name` (compared decoded) of the query, b"" for
    one without "=", None where there is none. Only "&" separates (WHATWG URL 5.1)."""
    text: bytes
    at: cython.Py_ssize_t = 0
    end: cython.Py_ssize_t
    equals: cython.Py_ssize_t
    size: cython.Py_ssize_t
    if head.query is None:
        return None
    text = cython.cast(bytes, head.query)
    size = len(text)
    while at < size:
        end = at
        equals = -1
        while end < size and text[end] != 38:  # "&"
            if equals < 0 and text[end] == 61:  # "="
                equals = end
            end += 1
        if end > at and _is(text, at, end if equals < 0 else equals, name):
            return b"" if equals < 0 else decoded(text[equals + 1 : end])
        at = end + 1
    return None


@cython.cfunc
def _cookie_in(text: bytes, at: cython.Py_ssize_t, size: cython.Py_ssize_t, name: bytes) -> bytes | None:
    """The cookie `name` in one Cookie line's value, text[at:size]."""
    p: cython.p_const_uchar = text
    wanted: cython.p_const_uchar = name
    length: cython.Py_ssize_t = len(name)
    i: cython.Py_ssize_t
    end: cython.Py_ssize_t
    while at < size:
        while at < size and (p[at] == 32 or p[at] == 9):
            at += 1
        i = 0
        while i < length and at + i < size and p[at + i] == wanted[i]:
            i += 1
        at += i
        if i == length:
            while at < size and (p[at] == 32 or p[at] == 9):
                at += 1
            if at < size and p[at] == 61:  # "="
                at += 1
                end = at
                while end < size and p[end] != 59:  # ";"
                    end += 1
                while at < end and (p[at] == 32 or p[at] == 9):
                    at += 1
                while end > at and (p[end - 1] == 32 or p[end - 1] == 9):
                    end -= 1
                return p[at:end]
        while at < size and p[at] != 59:
            at += 1
        at += 1
    return None


@cython.ccall
def cookie(head: Head, name: bytes) -> bytes | None:
    """The value of the first cookie `name` (case matters), as sent: neither quotes nor escapes are
    touched (RFC 6265 5.4); None where there is none. Several Cookie lines count as one, in order."""
    k: cython.int
    value: bytes | None
    if head.seen & (1 << COOKIE):
        for k in range(head.marked):
            if head.marks[4 * k] == COOKIE:
                value = _cookie_in(head.raw, head.marks[4 * k + 2], head.marks[4 * k + 3] - 2, name)
                if value is not None:
                    return value
    return None
