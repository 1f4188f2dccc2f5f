"""Budget: how many further tries a Route may make, so that an outage is not multiplied.

Lives here: the counts of the last ten seconds, one Budget per route name and worker; it survives reloads.
Must not live here: whether a failure allows another try at all (lb.proxy.retry), and clocks.
"""

from __future__ import annotations

import cython

# The window: so many buckets of a second, the one that is being filled among them.
BUCKETS: cython.int = 10


@cython.cclass
class Budget:
    """`requests` and `retries` are those of the window; retries may be at most `share` (0..1) of the requests
    or `floor`, whichever is more. Times are seconds of the worker's coarse clock, which never goes back."""

    share: cython.double
    floor: cython.double  # retries in a window
    requests: cython.longlong
    retries: cython.longlong
    turn: cython.double  # when the bucket that is being filled is full
    place: cython.int  # which one that is
    asked: list[int]  # requests by bucket
    tried: list[int]  # retries by bucket
    shown: cython.bint  # its gauges are not 0

    def __init__(self) -> None:
        if not cython.compiled:
            self.asked = [0] * BUCKETS  # arrays of C ints in the compiled build
            self.tried = [0] * BUCKETS
        self.share = self.floor = self.turn = 0.0
        self.requests = self.retries = 0
        self.place = 0
        self.shown = False

    def __repr__(self) -> str:
        return f"<Budget {self.retries} retries of {self.requests} requests>"

    def configure(self, share: float, floor: float, workers: int) -> None:
        """Take over what a new generation says; the counts stay. `floor`: retries a second of the whole
        machine, of which this worker has its part, and at least one in a window where it is not 0."""
        self.share = share
        self.floor = max(1.0, floor * BUCKETS / workers) if floor > 0 else 0.0

    @cython.ccall
    @cython.exceptval(check=False)
    def count(self, now: cython.double) -> cython.void:
        """A request came."""
        if now >= self.turn:
            self._advance(now)
        self.asked[self.place] += 1
        self.requests += 1

    @cython.ccall
    def spend(self, now: cython.double) -> cython.bint:
        """Take one further try out of the budget; False where it is used up."""
        if now >= self.turn:
            self._advance(now)
        if self.retries + 1 > self._most():
            return False
        self.tried[self.place] += 1
        self.retries += 1
        return True

    @cython.ccall
    @cython.exceptval(check=False)
    def allowed(self, now: cython.double) -> cython.longlong:
        """How many retries the window as it is now allows, those made included; 0 where it has no request."""
        if now >= self.turn:
            self._advance(now)
        return cython.cast(cython.longlong, self._most()) if self.requests or self.retries else 0

    @cython.cfunc
    @cython.exceptval(check=False)
    def _most(self) -> cython.double:
        return max(self.share * self.requests, self.floor)

    @cython.cfunc
    @cython.exceptval(check=False)
    def _advance(self, now: cython.double) -> cython.void:
        """Forget what is ten seconds old."""
        passed: cython.int = BUCKETS
        if now < self.turn + BUCKETS:
            passed = int(now - self.turn) + 1
            self.turn += passed
        else:
            self.turn = now + 1.0
        while passed > 0:
            passed -= 1
            self.place = 0 if self.place == BUCKETS - 1 else self.place + 1
            self.requests -= self.asked[self.place]
            self.retries -= self.tried[self.place]
            self.asked[self.place] = self.tried[self.place] = 0
