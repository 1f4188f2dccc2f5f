"""The trace that a request belongs to: the client's, as its `traceparent` says, or a new one.

W3C Trace Context, level 1. Lives here: reading and judging the client's field, beginning a trace, drawing the
sample, the field that a server gets. Must not live here: what is kept of a sampled exchange
(lb.proxy.keeping), spans (lb.telemetry.spans). A span of lb's own stands in the field only where lb exports
it: a span whose parent nobody has would hang in the air.
"""

from __future__ import annotations

from random import Random

import cython

from lb.http1.fields import value_of
from lb.message import RequestHead
from lb.plan import TracingPlan

TRACEPARENT: cython.int = 23  # as in lb.http1.fields
TRACESTATE: cython.int = 24
SAMPLED: cython.int = 1  # the flags of level 1, and of level 2 the one that says that the id is random
_KNOWN_FLAGS: cython.int = 3
_ENDS: list[bytes] = [b"-%02x\r\n" % flags for flags in range(4)]
_SIZE: cython.Py_ssize_t = 55  # of a traceparent of version 00


@cython.cclass
class Trace:
    """Of one exchange. Ids in hexadecimal digits. `parent`: the client's span, b"" where it begins here;
    `span`: this exchange's own, b"" where lb has none. `recorded`: each attempt has a span too, and all are
    exported. `drop`: bits of Head.seen, of the client's lines that go no further; 0: its field goes on as it
    came."""

    id: bytes
    parent: bytes
    span: bytes
    flags: cython.int
    recorded: cython.bint
    drop: cython.ulonglong

    def __init__(self, id: bytes, parent: bytes, span: bytes, flags: int, recorded: bool, drop: int) -> None:
        self.id = id
        self.parent = parent
        self.span = span
        self.flags = flags
        self.recorded = recorded
        self.drop = drop

    def __repr__(self) -> str:
        return f"<Trace {self.id.decode()} span {self.span.decode() or '-'} flags {self.flags:02x}>"

    @cython.ccall
    def line(self, attempt: bytes) -> bytes:
        """The field line for a server: `attempt` is the span of the attempt, b"" where it has none."""
        if not self.drop:
            return b""
        return b"traceparent: 00-" + self.id + b"-" + (attempt or self.span) + _ENDS[self.flags]

    @cython.ccall
    def copied(self) -> Trace:
        """That of a copy of the request: below this exchange, or below the client's span where lb has none,
        and not sampled, for nobody waits for it."""
        if not self.flags & SAMPLED:
            return self
        span = self.span or self.parent
        return Trace(self.id, self.parent, span, self.flags & ~SAMPLED, False, self.drop | (1 << TRACEPARENT))


@cython.cclass
class Tracing:
    """The rules of a generation. `share` of the traces that begin here are sampled (0..1)."""

    rng: Random
    accept: cython.bint
    export: cython.bint
    every: cython.bint
    bound: cython.ulonglong  # ids whose lower half is less are sampled, as OpenTelemetry's own sampler has it

    def __init__(self, plan: TracingPlan, rng: Random) -> None:
        self.rng = rng
        self.accept = plan.accept
        self.export = plan.export
        self.every = plan.sample >= 1.0
        self.bound = 0 if self.every else round(plan.sample * 2.0**64)

    @cython.ccall
    def trace(self, head: RequestHead) -> Trace:
        """The trace of a request."""
        theirs: bytes | None = None
        flags: cython.int
        recorded: cython.bint
        low: cython.ulonglong
        if self.accept and head.seen & (1 << TRACEPARENT):
            theirs = _one(head)
        if theirs is not None:
            flags = int(theirs[53:55], 16) & _KNOWN_FLAGS
            recorded = self.export and flags & SAMPLED != 0
            if recorded:
                return Trace(theirs[3:35], theirs[36:52], new_span(self.rng), flags, True, 1 << TRACEPARENT)
            return Trace(theirs[3:35], theirs[36:52], b"", flags, False, 0)
        # The lower half is drawn alone, so that it fits a C integer; an id of zeros is none.
        low = self.rng.getrandbits(64) or 1
        flags = SAMPLED if self.every or low < self.bound else 0
        return Trace(
            b"%016x%016x" % (self.rng.getrandbits(64), low),
            b"",
            new_span(self.rng),
            flags,
            self.export and flags != 0,
            (1 << TRACEPARENT) | (1 << TRACESTATE),
        )


@cython.ccall
def new_span(rng: Random) -> bytes:
    """A span id; one of zeros is none."""
    return b"%016x" % (rng.getrandbits(64) or 1)


@cython.cfunc
def _one(head: RequestHead) -> bytes | None:
    """The client's traceparent; None where it is not valid, or there are several."""
    found: bytes | None = None
    k: cython.int
    for k in range(head.marked):
        if head.marks[4 * k] == TRACEPARENT:
            if found is not None:
                return None
            found = value_of(head, k)
    return found if found is not None and valid(found) else None


@cython.ccall
@cython.exceptval(check=False)
def valid(text: bytes) -> cython.bint:
    """Whether it is a traceparent: version 00 to the letter, of later versions the part that they have in
    common with it."""
    p: cython.p_const_uchar = text
    size: cython.Py_ssize_t = len(text)
    i: cython.Py_ssize_t
    c: cython.int
    trace: cython.bint = False  # one of its digits is not 0
    span: cython.bint = False
    if size < _SIZE:
        return False
    for i in range(_SIZE):
        c = p[i]
        if i == 2 or i == 35 or i == 52:
            if c != 45:  # "-"
                return False
        elif not (48 <= c <= 57 or 97 <= c <= 102):
            return False
        elif c != 48 and 2 < i < 52:
            if i < 35:
                trace = True
            else:
                span = True
    if not trace or not span or (p[0] == 102 and p[1] == 102):  # version ff
        return False
    return size == _SIZE or (p[_SIZE] == 45 and not (p[0] == 48 and p[1] == 48))
