"""The recent latency of one server as a single number: peak-EWMA with a penalty for failures.

Lives here: the state that a Server owns and hands to the ewma algorithm as its cost. A peak is taken at
once, an improvement is believed slowly (Finagle); a failure records a made-up latency, so that a server
that fails in a millisecond looks slow (linkerd2-proxy's load biaser). Feed it the time to the first
response byte, not of whole bodies, and no tunnels. Must not live here: load and choice.
"""

from __future__ import annotations

import cython
from cython.cimports.libc.math import exp

TAU: cython.double = 10.0  # seconds; what was observed this long ago counts 1/e
MEMORY: cython.double = 60.0  # seconds; later a decayed cost says more about the silence than the server
PENALTY: cython.double = 5.0  # seconds, for a failure that does not say when to retry
PENALTY_AT_MOST: cython.double = 300.0  # seconds; a Retry-After of days must not end a server


@cython.cclass
class PeakEwma:
    """`cost` in seconds as of `stamp`, a clock's seconds; a cost of 0 means that nothing is known."""

    cost: cython.double
    stamp: cython.double

    def __init__(self) -> None:
        self.cost = 0.0
        self.stamp = 0.0

    @cython.ccall
    def observe(
        self, seconds: cython.double, ok: cython.bint, now: cython.double, retry_after: cython.double = 0.0
    ) -> object:
        """An answer after `seconds`, or a failure (no answer, or 429, 503 and the other 5xx);
        `retry_after` is a failure's Retry-After in seconds, 0 where there is none."""
        known: cython.double = self.value(now)
        penalty: cython.double
        share: cython.double
        if not ok:
            penalty = retry_after if retry_after > 0.0 else PENALTY
            seconds = max(seconds, min(penalty, PENALTY_AT_MOST))
        seconds = max(seconds, 1e-6)  # zero means unknown
        if seconds >= known:
            self.cost = seconds
        else:
            # `known` is already cost · e^(−Δt/τ)
            share = exp((self.stamp - now) / TAU) if now > self.stamp else 1.0
            self.cost = known + seconds * (1.0 - share)
        self.stamp = now
        return None

    @cython.ccall
    def value(self, now: cython.double) -> cython.double:
        """The cost in seconds at `now`, decayed since the last observation so that a server left alone
        is tried again; 0.0 where nothing was observed within the last minute."""
        age: cython.double = now - self.stamp
        if age <= 0.0:
            return self.cost
        if age > MEMORY:
            return 0.0
        return self.cost * exp(-age / TAU)
