"""Which field lines go on: everything but what belongs to one connection (RFC 9110 7.6.1).

Most lines are forwarded untouched, so the few to drop are cut out of the received bytes and the rest is
kept as runs of whole lines. Only where names are known by configuration or from Connection alone are the
lines looked at one by one.
"""

from __future__ import annotations

from collections.abc import Collection

import cython

from lb.message import Head

# Connection, Keep-Alive, Proxy-Connection, TE, Transfer-Encoding, Upgrade, HTTP2-Settings: bits of Head.seen.
# Trailer stays: it describes the trailers, which are forwarded.
HOP_BY_HOP = (1 << 1) | (1 << 2) | (1 << 3) | (1 << 4) | (1 << 6) | (1 << 7) | (1 << 17)


@cython.ccall
def append_lines(
    parts: list[bytes],
    head: Head,
    start: cython.Py_ssize_t,
    drop: cython.ulonglong,
    names: Collection[bytes] | None,
) -> object:
    """Append to `parts` the runs of raw[start:end] without the blank line, leaving out the marked lines
    whose bit is in `drop`, and all lines whose lower-case name is in `names` (a set, or None)."""
    p: cython.p_const_uchar = head.raw
    end: cython.Py_ssize_t = head.end - 2
    k: cython.int
    at: cython.Py_ssize_t = start
    cut: cython.Py_ssize_t
    if names:
        _append_unnamed(parts, head, start, drop, names)
        return None
    if head.seen & drop:
        for k in range(head.marked):
            if (drop >> head.marks[4 * k]) & 1:
                cut = head.marks[4 * k + 1]
                if cut > at:
                    parts.append(p[at:cut])
                at = head.marks[4 * k + 3]
    if end > at:
        parts.append(p[at:end])
    return None


@cython.cfunc
def _append_unnamed(
    parts: list[bytes], head: Head, start: cython.Py_ssize_t, drop: cython.ulonglong, names: Collection[bytes]
) -> object:
    raw: bytes = head.raw
    at: cython.Py_ssize_t = head.lines
    end: cython.Py_ssize_t = head.end - 2
    stop: cython.Py_ssize_t
    k: cython.int = 0
    keep: cython.bint
    if start < at:
        parts.append(raw[start:at])
    while at < end:
        stop = raw.index(b"\n", at) + 1
        keep = True
        if k < head.marked and head.marks[4 * k + 1] == at:
            keep = not (drop >> head.marks[4 * k]) & 1
            k += 1
        if keep and raw[at : raw.index(b":", at)].lower() not in names:
            parts.append(raw[at:stop])
        at = stop
    return None
