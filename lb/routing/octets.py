"""Which bytes may stand where in a message, and how the others are made harmless.

Lives here: cleaning of what rewrites, redirects and header edits put together out of configuration and
client input. Must not live here: judging what clients and servers sent (lb.http1).
"""

from __future__ import annotations

import re

import cython

_ESCAPES: list[bytes] = [b"%%%02X" % c for c in range(256)]
# RFC 9110 5.5: a recipient replaces CR, LF and NUL by SP; the other controls are no better in a log.
_CLEAN: bytes = bytes([32 if (c < 32 and c != 9) or c == 127 else c for c in range(256)])
_TOKEN: re.Pattern[bytes] = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_DOT: re.Pattern[bytes] = re.compile(rb"%2[eE]")
# What some servers take for the border of a segment (CVE-2021-41773 and its kin).
_BORDER: re.Pattern[bytes] = re.compile(rb"(/|\\|%2[fF]|%5[cC])")

# Fields that frame a message or belong to one connection (RFC 9110 7.6.1): an edit could smuggle a request.
FRAMING = frozenset(
    {
        *(b"connection", b"content-length", b"keep-alive", b"proxy-connection", b"te", b"trailer"),
        *(b"transfer-encoding", b"upgrade"),
    }
)


@cython.ccall
def quoted(text: bytes, fragment: cython.bint) -> bytes:
    """`text` as part of a URI: space, controls and non-ASCII percent-encoded, "#" too unless a
    `fragment` is welcome (RFC 3986 2)."""
    size: cython.Py_ssize_t = len(text)
    at: cython.Py_ssize_t = 0
    c: cython.int
    while at < size:
        c = text[at]
        if c <= 32 or c >= 127 or (c == 35 and not fragment):
            break
        at += 1
    if at == size:
        return text
    return b"".join(
        [
            _ESCAPES[octet]
            if octet <= 32 or octet >= 127 or (octet == 35 and not fragment)
            else b"%c" % octet
            for octet in text
        ]
    )


@cython.ccall
def cleaned(value: bytes) -> bytes:
    """A field value without controls: each becomes a space."""
    return value.translate(_CLEAN)


@cython.ccall
def single_slash(path: bytes) -> bytes:
    """`path` with all slashes and backslashes in front made one slash: "//evil.example" and
    "/\\evil.example" name a host to a browser (WHATWG URL 4.4)."""
    size: cython.Py_ssize_t = len(path)
    at: cython.Py_ssize_t = 0
    while at < size and (path[at] == 47 or path[at] == 92):
        at += 1
    return path if at == 1 and path[0] == 47 else b"/" + path[at:]


def without_dots(path: bytes) -> bytes:
    """`path`, which begins with "/", without the segments "." and "..", also where dots or borders are
    escaped. A ".." takes nothing along: what `to` puts in front of the client's part stays in front
    ("/static/" + "../etc" is "/static/etc", not "/etc")."""
    if b"." not in path and b"%2" not in path:
        return path
    pieces = _BORDER.split(path)
    kept: list[bytes] = [pieces[0]]
    for at in range(1, len(pieces), 2):
        if _DOT.sub(b".", pieces[at + 1]) not in (b".", b".."):
            kept += pieces[at : at + 2]
        elif at + 2 == len(pieces):
            kept.append(pieces[at])
    return b"".join(kept)


def field_line(name: str, value: bytes) -> bytes:
    """A finished field line. ValueError for a name that is none, or that lb alone may set."""
    return b"%b: %b\r\n" % (field_name(name), cleaned(value).strip(b" \t"))


def field_name(name: str) -> bytes:
    """A field name of the configuration as bytes, in lower case; ValueError as for `field_line`."""
    octets = name.encode().lower()
    if _TOKEN.fullmatch(octets) is None:
        raise ValueError(f"{name!r} is not a header name: letters, digits and hyphens are allowed")
    if octets == b"host":
        raise ValueError('the header "host" is not edited but rewritten: rewrite: {host: …}')
    if octets in FRAMING:
        raise ValueError(f"the header {name!r} cannot be edited: lb frames messages and connections itself")
    return octets
