"""Comparison: whether two services answered a request alike.

Lives here: Answer, what is kept of one, and what counts as alike. Must not live here: who is asked and when
(lb.proxy.mirror, lb.proxy.copies), who is told. Nothing here can fail, whatever an answer holds, and what it
costs is bounded by the mirror's max_body.
"""

from __future__ import annotations

import hashlib
import zlib

import cython
import msgspec

from lb.message import ResponseHead
from lb.proxy.rules import MirrorRules

# What differs first, in this order: offsets of the counters (lb.telemetry.layout).
STATUS: cython.int = 0
HEADER: cython.int = 1
BODY: cython.int = 2
PLACES = ("status", "header", "body")

# A body may be so many times max_body when its coding is undone, else it is not compared.
_UNPACKED = 8
# Content codings in one answer that are undone.
_MOST_CODINGS = 4
_MOST_MEMBERS = 16  # of one gzip body
_BROKEN = b"!"  # stands for a coding; no name of one
# Headers whose values no session and no secret is in: they may be told.
_HARMLESS = frozenset({b"cache-control", b"content-encoding", b"content-language", b"content-type", b"vary"})
_MOST_TOLD = 100  # bytes of such a value


@cython.cclass
class Answer:
    """What is kept of an answer: its status, the values of the mirror's headers in their order, the body
    where it is not larger than max_body (`size` counts it anyway). `whole`: it came to its end."""

    how: MirrorRules
    status: cython.int
    values: list[bytes | None]
    kind: bytes  # Content-Type
    coding: bytes  # Content-Encoding
    pieces: list[bytes]
    size: cython.longlong
    whole: cython.bint

    def __init__(self, how: MirrorRules) -> None:
        self.how = how
        self.status = 0
        self.values = []
        self.kind = self.coding = b""
        self.pieces = []
        self.size = 0
        self.whole = False

    def __repr__(self) -> str:
        return f"<Answer {self.status} {self.size} bytes{'' if self.whole else ' …'}>"

    @cython.ccall
    def begin(self, head: ResponseHead) -> object:
        """The head is there."""
        self.status = head.status
        self.values = [head.header(name) for name in self.how.headers]
        if self.how.body:
            self.kind = head.header(b"content-type") or b""
            self.coding = head.header(b"content-encoding") or b""
        return None

    @cython.ccall
    def add(self, piece: bytes, last: cython.bint) -> object:
        """Further bytes of the body."""
        self.size += len(piece)
        self.whole = last
        if self.size > self.how.max_body or not self.how.body:
            self.pieces = []
        elif piece:
            self.pieces.append(piece)
        return None


def compare(expected: Answer, found: Answer) -> int:
    """What differs first, of what the mirror compares: a place in PLACES, or -1 where nothing does. Two whole
    answers."""
    how: MirrorRules = expected.how
    if how.status and expected.status != found.status:
        return STATUS
    if expected.values != found.values:
        return HEADER
    if how.body and not _alike(expected, found):
        return BODY
    return -1


def described(place: int, expected: Answer, found: Answer) -> str:
    """The difference in one line for people; nothing of a body, and no value that may be a secret."""
    if place == STATUS:
        return f"status: expected {expected.status}, came {found.status}"
    if place == BODY:
        return f"body: expected {_digest(expected)}, came {_digest(found)}"
    at = next(n for n, value in enumerate(expected.values) if value != found.values[n])
    name = expected.how.headers[at]
    wanted, got = expected.values[at], found.values[at]
    shown = name.decode("latin-1")
    if wanted is None:
        return f"{shown}: expected none, came one"
    if got is None:
        return f"{shown}: expected one, came none"
    if name not in _HARMLESS:
        return f"{shown}: came another value"
    return f"{shown}: expected {_told(wanted)}, came {_told(got)}"


def _told(value: bytes) -> str:
    return "".join(c if c.isprintable() else "?" for c in value[:_MOST_TOLD].decode("latin-1"))


def _digest(answer: Answer) -> str:
    read = _read(answer)
    body = b"".join(answer.pieces) if read is None else read[1]
    broken = " that cannot be unpacked" if read is not None and read[0] == _BROKEN else ""
    return f"{len(body)} bytes{broken} (sha256 {hashlib.sha256(body).hexdigest()[:12]})"


def _alike(expected: Answer, found: Answer) -> bool:
    """Whether two bodies are the same, or nobody can say: one was too long, or both are in codings of which
    one cannot be undone here."""
    most = expected.how.max_body
    if expected.size > most or found.size > most:
        return True
    if expected.coding == found.coding and b"".join(expected.pieces) == b"".join(found.pieces):
        return True
    mine, its = _read(expected), _read(found)
    if mine is None or its is None:
        return True
    if mine[0] != its[0]:
        return _BROKEN not in (mine[0], its[0])
    if mine[1] == its[1]:
        return True
    if mine[0] or not (_is_json(expected.kind) and _is_json(found.kind)):
        return False
    value = _canonical(mine[1])
    return value is not None and value == _canonical(its[1])


def _read(answer: Answer) -> tuple[bytes, bytes] | None:
    """The coding that could not be undone (b"": none was left) and the body; None where it is too large when
    its coding is undone."""
    body = b"".join(answer.pieces)
    most = answer.how.max_body * _UNPACKED
    codings = [coding.strip().lower() for coding in answer.coding.split(b",")]
    codings = [coding for coding in codings if coding not in (b"", b"identity")]
    if not body:
        return b"", b""
    if len(codings) > _MOST_CODINGS or not {b"gzip", b"x-gzip", b"deflate"}.issuperset(codings):
        return b",".join(codings), body
    for coding in reversed(codings):
        try:
            unpacked = _unpacked(body, coding == b"deflate", most)
        except zlib.error:
            return _BROKEN, body
        if unpacked is None:
            return None
        body = unpacked
    return b"", body


def _unpacked(body: bytes, deflate: bool, most: int) -> bytes | None:
    """All members of a gzip body; None where they are larger than `most`, or too many. Raises zlib.error."""
    bits = 31
    if deflate:  # RFC 9110 8.4.1.2: in the zlib format (RFC 1950 2.2), but some send it bare
        start = int.from_bytes(body[:2], "big")
        bits = 15 if start >> 8 & 15 == 8 and start % 31 == 0 else -15
    parts: list[bytes] = []
    size = 0
    while body:
        if len(parts) == _MOST_MEMBERS:
            return None
        reader = zlib.decompressobj(bits)
        part = reader.decompress(body, most - size + 1)
        size += len(part)
        if size > most:
            return None
        if not reader.eof:
            raise zlib.error("it ends too early")
        parts.append(part)
        body = b"" if deflate else reader.unused_data
    return b"".join(parts)


def _is_json(kind: bytes) -> bool:
    name = kind.partition(b";")[0].strip().lower()
    return name == b"application/json" or name.endswith(b"+json")


def _canonical(body: bytes) -> bytes | None:
    """JSON without white space, with the names of objects in order; None where it is none."""
    try:
        return msgspec.json.encode(msgspec.json.decode(body), order="sorted")
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
