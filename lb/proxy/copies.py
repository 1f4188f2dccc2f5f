"""Copies: requests on their way to the service that mirrors a route, and what becomes of them.

A Copy is an Exchange with a Server and without a client: its answer is compared and dropped. It counts at the
Server, as every attempt does, and otherwise among the copies only: not at the Listener and the Route, not in
the access log, not for a drain. Must not live here: what is kept of the original (lb.proxy.mirror), what is
alike (lb.proxy.comparison).
"""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

import cython

from lb.http1.serialize import chunk, last_chunk
from lb.message import ResponseHead
from lb.outcomes import Outcome
from lb.proxy.comparison import PLACES, Answer, compare, described
from lb.proxy.core import TICK, Core
from lb.proxy.exchange import Exchange
from lb.proxy.mirror import Mirror
from lb.proxy.sides import ClientSide
from lb.proxy.state import ExchangeState
from lb.telemetry import layout

OVER: cython.int = 6
DONE: cython.int = int(Outcome.DONE)
_TICK: cython.double = TICK

# Copies under way in one worker; a service that is slower than the one it mirrors gets no more.
MOST = 64
# Seconds between two differences of a route that are told.
BETWEEN = 1.0
_MOST_PATH = 200  # bytes of it that are told

# Told: route, service, what differs (of PLACES), how, the request's method and path, its id.
Tell = Callable[[str, str, str, str, str, str], None]


def _nobody_asks(*_: str) -> None:
    """Until the DataPlane has somebody to tell of differences."""


class Copies:
    """One per worker. `told`: when a difference of a route was told last, by its label."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.active: dict[Copy, None] = {}
        self.spare: list[Copy] = []
        self.told: dict[bytes, float] = {}
        self.tell: Tell = _nobody_asks

    def send(self, mirror: Mirror) -> None:
        """Send the copy of a request that was answered."""
        if self.core.draining or len(self.active) >= MOST:
            mirror.skip()
            return
        copy = self.spare.pop() if self.spare else Copy(self.core, self)
        self.active[copy] = None
        self.core.cells.add(mirror.how.slot + layout.MIRROR_REQUESTS, 1)
        copy.begin_for(mirror)

    def check(self, now: float) -> None:
        """End what took too long; every TICK."""
        for copy in list(self.active):
            try:
                copy.check(now)
            except Exception as error:  # a bug costs its own copy, and is reported once
                self.active.pop(copy, None)
                self.core.report(error)

    def ended(self, copy: Copy, mirror: Mirror, answer: Answer) -> None:
        """The copy is over."""
        cells, slot = self.core.cells, mirror.how.slot
        cells.add(slot + layout.MIRROR_IN_FLIGHT, -1)
        if copy.outcome != DONE or not answer.whole:
            cells.add(slot + layout.MIRROR_FAILED, 1)
            return
        place = compare(mirror.answer, answer)
        if place >= 0:
            cells.add(slot + layout.MIRROR_DIFFERENT + place, 1)
            self._sample(place, copy, mirror, answer)

    def take_back(self, copy: Copy) -> None:
        """It may be used for another request."""
        self.active.pop(copy, None)
        self.spare.append(copy)

    def _sample(self, place: int, copy: Copy, mirror: Mirror, answer: Answer) -> None:
        label, now = mirror.how.rules.label, self.core.now
        if now - self.told.get(label, -BETWEEN) < BETWEEN:
            return
        self.told = {name: at for name, at in self.told.items() if now - at < BETWEEN}
        self.told[label] = now
        head = copy.head
        request = b"%b %b" % (head.method, head.path[:_MOST_PATH])
        self.tell(
            label.decode(),
            mirror.how.service.name,
            PLACES[place],
            described(place, mirror.answer, answer),
            request.decode("latin-1"),
            copy.request_id.decode("latin-1"),
        )


@cython.cclass
class Copy(Exchange):
    """`original` is None while it is not in use."""

    copies: Copies
    original: Mirror
    answer: Answer

    def __init__(self, core: Core, copies: Copies) -> None:
        Exchange.__init__(self, core)
        self.copies = copies
        self.original = self.answer = None  # type: ignore[assignment]
        self.phase = OVER

    @cython.ccall
    def begin_for(self, mirror: Mirror) -> object:
        """Send the request again that `mirror` stands for, whose exchange ends just now: its head is not
        needed there any more, and becomes this one's."""
        first: ExchangeState = mirror.exchange
        body: bytes = b"".join(mirror.body)
        self.phase = 0
        self.original = mirror
        self.answer = Answer(mirror.how)
        self.client = Absent(mirror.real, self.answer)
        self.source, self.request_id = first.source, first.request_id
        self.trace = first.trace.copied() if first.trace is not None else None
        self.head, first.head = first.head, self.head
        self.rules, self.service, self.slot = mirror.how.rules, mirror.how.service, mirror.how.slot
        self.began = monotonic()
        self.touched = self.core.now
        self.total_deadline = self.core.now + self.rules.total + _TICK
        self.request_ended = self.hedged = True
        if self.head.chunked:
            body = chunk(body) + last_chunk(mirror.trailers)
        if body:
            self.body = [body]
            self.body_size = len(body)
        self.key = self.service.key_of(self.head, self.source)
        self._attempt(False)
        return None

    @cython.ccall
    def fail(self, outcome: cython.int) -> object:
        """There will be no answer, or not all of it."""
        if self.phase == OVER:
            return None
        self.outcome = outcome
        self._drop_side(outcome)
        self._over()
        return None

    @cython.cfunc
    def _over(self) -> object:
        self.phase = OVER
        try:
            self.copies.ended(self, self.original, self.answer)
        except Exception as error:  # a bug must not leave a connection in two hands
            self.core.report(error)
        self.original = self.answer = None  # type: ignore[assignment]
        self.reset()
        self.phase = OVER
        self.copies.take_back(self)
        return None


@cython.cclass
class Absent(ClientSide):
    """What a Copy has in its client's place: it says of the client what the original said, takes whatever
    comes, and sends it nowhere."""

    answer: Answer

    def __init__(self, real: ClientSide, answer: Answer) -> None:
        self.client, self.rules, self.scheme = real.client, real.rules, real.scheme
        self.trusted, self.own_lines = real.trusted, real.own_lines
        self.answer = answer

    @cython.ccall
    def respond(self, head: ResponseHead, piece: bytes, last: cython.bint) -> object:
        self.answer.begin(head)
        self.answer.add(piece, last)
        return None

    @cython.ccall
    def respond_interim(self, head: ResponseHead) -> object:
        return None

    @cython.ccall
    def send(self, piece: bytes, last: cython.bint, trailers: bytes) -> object:
        self.answer.add(piece, last)
        return None

    @cython.ccall
    def hold(self, why: cython.int) -> object:
        return None

    @cython.ccall
    def let_go(self, why: cython.int) -> object:
        return None

    @cython.ccall
    def held(self) -> cython.bint:
        return False

    @cython.ccall
    def blocked(self) -> cython.bint:
        return False
