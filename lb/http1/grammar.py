"""Classes of bytes, RFC 9110 5.5, 5.6.2 and RFC 3986.

Lives here: one table of 256 flags and what is built from it. Bytes are judged by table, never by
decoding: str.strip, str.lower and int accept far more than the grammar does.
"""

from __future__ import annotations

TCHAR = 1  # token
VALUE = 2  # field value: VCHAR, obs-text, SP, HTAB
PATH = 4  # request target up to "?"
QUERY = 8  # request target after "?"
ODD = 16  # a byte of a path that may begin a dot segment or an encoded one: ".", "%"
DIGIT = 32
HEX = 64

_TOKEN = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def _flags(c: int) -> int:
    flags = 0
    if c in _TOKEN:
        flags |= TCHAR
    if c in (0x09, 0x20) or 0x21 <= c <= 0x7E or c >= 0x80:
        flags |= VALUE
    # Browsers send | ^ [ ] { } raw, so they pass; "#" would be a fragment (CVE-2023-45539) and "\" is a
    # second "/" to some servers, so they do not.
    if 0x21 <= c <= 0x7E and c not in b'#\\?"<>':
        flags |= PATH
    if 0x21 <= c <= 0x7E and c not in b"#":
        flags |= QUERY
    if c in b".%":
        flags |= ODD
    if c in b"0123456789":
        flags |= DIGIT
    if c in b"0123456789abcdefABCDEF":
        flags |= HEX
    return flags


CLASS: bytes = bytes(_flags(c) for c in range(256))

# ASCII letters to lower case, every other byte to itself.
LOWER: bytes = bytes(c + 32 if 0x41 <= c <= 0x5A else c for c in range(256))
