"""Breaker: stops asking what fails too often, and tries now and then whether it is well again.

Lives here: the circuit breaker of one Server or Service in one worker. Must not live here: what a failure is
(lb.proxy.account) and what a client gets instead (lb.proxy.attempts). Pure; times are monotonic seconds.

States: CLOSED (all pass) → OPEN (none passes, for `open` seconds) → HALF_OPEN (one at a time passes) → CLOSED
after TRIALS successes in a row, or OPEN again after one failure.
"""

from __future__ import annotations

import cython

from lb.plan import BreakerPlan

CLOSED: cython.int = 0
OPEN: cython.int = 1
HALF_OPEN: cython.int = 2
# Successes in a row that close it: one may be luck.
TRIALS: cython.int = 3


def follow(breaker: Breaker | None, plan: BreakerPlan | None) -> Breaker | None:
    """The breaker to go on with under a new generation: the same one, as it is, while the plan has one."""
    if plan is None:
        return None
    if breaker is None:
        return Breaker(plan)
    breaker.configure(plan)
    return breaker


@cython.cclass
class Breaker:
    """Counts in two halves of the window, the one before and the one that runs, so that an observation costs
    two additions and no memory."""

    failures: cython.double
    min_requests: cython.int
    half: cython.double
    open: cython.double
    state: cython.int
    turn: cython.double  # when the running half ends
    requests: cython.int
    failed: cython.int
    requests_before: cython.int
    failed_before: cython.int
    until: cython.double  # OPEN: when it half opens; HALF_OPEN: when a trial without an end is given up
    trying: cython.bint
    successes: cython.int

    def __init__(self, plan: BreakerPlan) -> None:
        self.turn = self.until = 0.0
        self.state = CLOSED
        self.trying = False
        self.successes = 0
        self.configure(plan)
        self._forget()

    def __repr__(self) -> str:
        failed = self.failed + self.failed_before
        return f"<Breaker {self.word()} {failed}/{self.requests + self.requests_before}>"

    def word(self) -> str:
        """Its state for people: closed, open or half open."""
        return ("closed", "open", "half open")[self.state]

    def configure(self, plan: BreakerPlan) -> None:
        """Take over what a new generation says; the state stays."""
        self.failures = plan.failures
        self.min_requests = plan.min_requests
        self.half = plan.window / 2
        self.open = plan.open

    @cython.ccall
    def allows(self, now: cython.double) -> cython.bint:
        """Whether a request may pass. In HALF_OPEN the one that may must be followed by `observe`, or by
        nothing at all, which is forgiven after `open` seconds."""
        if self.state == CLOSED:
            return True
        if self.state == OPEN:
            if now < self.until:
                return False
            self.state = HALF_OPEN
            self.successes = 0
            self.trying = False
        if self.trying and now < self.until:
            return False
        self.trying = True
        self.until = now + self.open
        return True

    @cython.ccall
    def wait(self, now: cython.double) -> cython.double:
        """Seconds until it may let something pass: what Retry-After says."""
        return max(self.until - now, 0.0) if self.state != CLOSED else 0.0

    @cython.ccall
    def observe(self, ok: cython.bint, now: cython.double) -> cython.bint:
        """An exchange ended; True where that opened or closed it."""
        if self.state == OPEN:  # one that had begun before
            return False
        if self.state == HALF_OPEN:
            self.trying = False
            if not ok:
                return self._open(now)
            self.successes += 1
            if self.successes < TRIALS:
                return False
            self.state = CLOSED
            self._forget()
            return True
        if now >= self.turn:
            self._turn(now)
        self.requests += 1
        if ok:
            return False
        self.failed += 1
        all_requests: cython.int = self.requests + self.requests_before
        if all_requests < self.min_requests:
            return False
        if self.failed + self.failed_before < self.failures * all_requests:
            return False
        return self._open(now)

    @cython.cfunc
    def _open(self, now: cython.double) -> cython.bint:
        self.state = OPEN
        self.until = now + self.open
        self._forget()
        return True

    @cython.cfunc
    def _turn(self, now: cython.double) -> object:
        """Another half begins; after a silence of a whole half the one before is empty."""
        silent: cython.bint = now >= self.turn + self.half
        self.requests_before = 0 if silent else self.requests
        self.failed_before = 0 if silent else self.failed
        self.requests = self.failed = 0
        self.turn = now + self.half
        return None

    @cython.cfunc
    def _forget(self) -> object:
        self.requests = self.failed = self.requests_before = self.failed_before = 0
        return None
