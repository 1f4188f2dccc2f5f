"""The request target and the authority: RFC 9112 3.2, RFC 3986.

What is matched is what is forwarded: dot segments are removed before either. Encodings that only some
servers undo are refused where undoing them would make a dot segment (CVE-2021-29492, CVE-2021-41773).
"""

from __future__ import annotations

import ipaddress
import re

import cython

from lb.http1.grammar import CLASS
from lb.message import RequestHead

_CLASS: bytes = CLASS  # a C global in the compiled build

OK = 0
BAD = -1

_PATH: cython.int = 4
_QUERY: cython.int = 8
_ODD: cython.int = 16

# reg-name, IPv4 or [IPv6 / IPvFuture], then an optional port (RFC 3986 3.2.2; no userinfo, RFC 9110 4.2.4).
_AUTHORITY = re.compile(
    rb"(?:\[[0-9A-Fa-f:.]+\]|\[v[0-9A-Fa-f]+\.[A-Za-z0-9._~!$&'()*+,;=:-]+\]"
    rb"|(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+)(?::[0-9]{0,5})?"
)
_SEGMENT = re.compile(rb"(?:^|[/\\])\.\.?(?:[/\\]|$)")
# "..;x" is ".." to servers that take ";x" for a parameter of the segment.
_DOTS_WITH_PARAMETER = re.compile(rb"(?:^|[/\\])\.\.?;")
_MOST_KNOWN = 1024
# Authorities seen, as they came → host in lower case without port and final dot. A cache, bounded; only
# valid ones are kept.
_known: dict[bytes, bytes] = {}


@cython.ccall
def read_authority(head: RequestHead, value: bytes) -> cython.int:
    """Set authority and host from a Host value or an absolute-form target; OK or BAD."""
    host: bytes | None = _known.get(value)
    if host is None:
        if not _AUTHORITY.fullmatch(value) or (value.startswith(b"[") and not _ip_literal(value)):
            return BAD
        name = value
        if not value.endswith(b"]"):
            name = value.rpartition(b":")[0] if b":" in value else value
        host = name.lower().removesuffix(b".")
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        _known[value] = host
    head.authority = value
    head.host = host
    return OK


def _ip_literal(value: bytes) -> bool:
    """Whether the brackets hold an IPv6 address or an IPvFuture (RFC 3986 3.2.2)."""
    inner = value[1:].partition(b"]")[0]
    if inner[:1] in b"vV":
        return True
    try:
        ipaddress.IPv6Address(inner.decode("ascii"))
    except ValueError:
        return False
    return True


@cython.ccall
def read_target(head: RequestHead, at: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.int:
    """Set target, path and query from head.raw[at:end], and in absolute form the authority too, which
    then overrides Host (RFC 9112 3.2.2). OK or BAD."""
    raw: bytes = head.raw
    p: cython.p_const_uchar = raw
    table: cython.p_const_uchar = _CLASS
    i: cython.Py_ssize_t
    flags: cython.int = 0
    head.absolute = p[at] != 47
    # a higher minor version is not ours to pass on (RFC 9110 6.2)
    head.plain = raw[head.lines - 3] == 49 and not head.absolute
    if head.absolute:
        if end - at == 1 and p[at] == 42 and head.method == b"OPTIONS":  # "*"
            head.target = head.path = b"*"
            head.query = None
            head.absolute = False
            head.plain = raw[head.lines - 3] == 49
            return OK
        at = _absolute(head, at, end)
        if at < 0:
            return BAD
        if at == end or p[at] == 63:
            # RFC 9112 3.2.4: OPTIONS for the whole server; otherwise an empty path is "/"
            return _empty_path(head, raw[at:end])
    i = at
    while i < end and table[p[i]] & _PATH:
        flags |= table[p[i]]
        i += 1
    head.path = p[at:i]
    if i == end:
        head.target = head.path
        head.query = None
    elif p[i] == 63:
        head.target = p[at:end]
        head.query = p[i + 1 : end]
        i += 1
        while i < end and table[p[i]] & _QUERY:
            i += 1
    if i != end:
        return BAD
    if flags & _ODD:
        return _normalise(head)
    return OK


@cython.cfunc
def _absolute(head: RequestHead, at: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.Py_ssize_t:
    """Read scheme and authority of an absolute-form target; where the path begins, or -1."""
    raw: bytes = head.raw
    size: cython.Py_ssize_t
    scheme: bytes = raw[at : at + 8].lower()
    if scheme.startswith(b"http://"):
        size = 7
    elif scheme == b"https://":
        size = 8
    else:
        return -1
    at += size
    i: cython.Py_ssize_t = at
    p: cython.p_const_uchar = raw
    while i < end and p[i] != 47 and p[i] != 63:
        i += 1
    if read_authority(head, raw[at:i]) < 0:
        return -1
    return i


@cython.cfunc
def _empty_path(head: RequestHead, query: bytes) -> cython.int:
    if head.method == b"OPTIONS" and not query:
        head.target = head.path = b"*"
        head.query = None
        return OK
    head.path = b"/"
    head.target = b"/" + query
    head.query = query[1:] if query else None
    table: bytes = _CLASS
    for c in query[1:]:
        if not table[c] & _QUERY:
            return BAD
    return OK


@cython.cfunc
def _normalise(head: RequestHead) -> cython.int:
    """Remove dot segments, plain or as %2e (RFC 3986 5.2.4 and 6.2.2.2)."""
    path: bytes = head.path
    if b"%2" not in path and b"/." not in path and b"%5" not in path:
        return OK
    plain = path.replace(b"%2e", b".").replace(b"%2E", b".")
    opened = plain.replace(b"%2f", b"/").replace(b"%2F", b"/").replace(b"%5c", b"\\").replace(b"%5C", b"\\")
    if _DOTS_WITH_PARAMETER.search(opened):
        return BAD
    if not _SEGMENT.search(opened):
        return OK
    kept: list[bytes] = []
    segments = plain.split(b"/")[1:]
    last = len(segments) - 1
    for n, segment in enumerate(segments):
        if segment == b"..":
            if kept:
                kept.pop()
        elif segment != b".":
            kept.append(segment)
            continue
        if n == last:
            kept.append(b"")
    clean = b"/" + b"/".join(kept)
    opened = clean.replace(b"%2f", b"/").replace(b"%2F", b"/").replace(b"%5c", b"\\").replace(b"%5C", b"\\")
    if _SEGMENT.search(opened):
        return BAD
    head.plain = False
    head.path = clean
    head.target = clean if head.query is None else b"%b?%b" % (clean, head.query)
    return OK
