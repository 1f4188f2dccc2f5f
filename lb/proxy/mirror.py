"""Mirror: what is kept of an exchange whose request goes to a second service too.

It stands between an Exchange and its client's side, passes everything on, and keeps what the copy needs: the
request's body, and the answer as far as it will be compared. When the client was served, the copy is sent
(lb.proxy.copies). Must not live here: sending it, comparing (lb.proxy.comparison).
"""

from __future__ import annotations

import cython

from lb.message import ResponseHead
from lb.outcomes import Outcome
from lb.proxy.comparison import Answer
from lb.proxy.rules import MARK, MirrorRules
from lb.proxy.sides import ClientSide
from lb.proxy.state import ExchangeState
from lb.telemetry import layout

DONE: cython.int = int(Outcome.DONE)
IN_FLIGHT: cython.int = layout.MIRROR_IN_FLIGHT
SKIPPED: cython.int = layout.MIRROR_SKIPPED


@cython.ccall
def choose(exchange: ExchangeState) -> object:
    """Draw whether the request of `exchange`, whose Route has a mirror, is to be copied; then its client is
    one that a Mirror stands before."""
    how: MirrorRules = exchange.rules.mirror  # type: ignore[assignment]  # the caller saw it
    if exchange.head.upgrade or exchange.core.rng.random() >= how.share:
        return None
    if exchange.head.header(MARK) is not None:  # a copy itself: two that mirror each other would never end
        return None
    if exchange.head.content_length > how.max_body:
        exchange.core.cells.add(how.slot + SKIPPED, 1)
        return None
    exchange.core.cells.add(how.slot + IN_FLIGHT, 1)
    exchange.mirror = Mirror(exchange, how)
    exchange.client = exchange.mirror
    return None


@cython.cclass
class Mirror(ClientSide):
    """`real` is the client's side. `body`: the request's, framing taken off; empty where it is larger than
    the mirror allows, which `size` tells."""

    real: ClientSide
    exchange: ExchangeState
    how: MirrorRules
    body: list[bytes]
    size: cython.longlong
    trailers: bytes
    answer: Answer

    def __init__(self, exchange: ExchangeState, how: MirrorRules) -> None:
        self.real = exchange.client
        self.client, self.rules, self.scheme = self.real.client, self.real.rules, self.real.scheme
        self.trusted, self.own_lines = self.real.trusted, self.real.own_lines
        self.exchange = exchange
        self.how = how
        self.body = []
        self.size = 0
        self.trailers = b""
        self.answer = Answer(how)

    def __repr__(self) -> str:
        return f"<Mirror {self.how.service.name} {self.answer!r}>"

    @cython.ccall
    def keep(self, piece: bytes, trailers: bytes) -> object:
        """Further bytes of the request's body."""
        self.size += len(piece)
        self.trailers = trailers
        if self.size > self.how.max_body:
            self.body = []
        elif piece:
            self.body.append(piece)
        return None

    # ------------------------------------------------------------------------------------ ClientSide

    @cython.ccall
    def respond(self, head: ResponseHead, piece: bytes, last: cython.bint) -> object:
        self.answer.begin(head)
        self.answer.add(piece, last)
        self.real.respond(head, piece, last)
        return None

    @cython.ccall
    def respond_interim(self, head: ResponseHead) -> object:
        self.real.respond_interim(head)
        return None

    @cython.ccall
    def respond_self(self, status: cython.int, lines: bytes, body: bytes, close: cython.bint) -> object:
        self.real.respond_self(status, lines, body, close)
        return None

    @cython.ccall
    def send(self, piece: bytes, last: cython.bint, trailers: bytes) -> object:
        self.answer.add(piece, last)
        self.real.send(piece, last, trailers)
        return None

    @cython.ccall
    def break_off(self) -> object:
        self.real.break_off()
        return None

    @cython.ccall
    def hold(self, why: cython.int) -> object:
        self.real.hold(why)
        return None

    @cython.ccall
    def let_go(self, why: cython.int) -> object:
        self.real.let_go(why)
        return None

    @cython.ccall
    def held(self) -> cython.bint:
        return self.real.held()

    @cython.ccall
    def blocked(self) -> cython.bint:
        return self.real.blocked()

    @cython.ccall
    def done(self) -> object:
        """The client was served: now the copy may go out, if there is something to compare with."""
        exchange: ExchangeState = self.exchange
        self.real.done()
        try:
            if (
                exchange.outcome == DONE
                and exchange.request_ended
                and self.answer.whole
                and self.size <= self.how.max_body
            ):
                exchange.core.mirror(self)
            else:
                self.skip()
        except Exception as error:  # the client's exchange must end whatever is wrong with the copy
            exchange.core.report(error)
        self.exchange = None  # type: ignore[assignment]
        return None

    @cython.ccall
    def skip(self) -> object:
        """There will be no copy."""
        self.exchange.core.cells.add(self.how.slot + IN_FLIGHT, -1)
        self.exchange.core.cells.add(self.how.slot + SKIPPED, 1)
        return None
