"""Gradient: how many requests at a time a Server answers without queueing, found out from its latency.

Lives here: one limit, per Server and worker. Must not live here: what is done at the limit (the queue of
lb.upstream.server). Pure; times are seconds.

Source: Gradient2 of Netflix's concurrency-limits: while the short-term latency is near the long-term one the
limit grows by its square root, which is the queue it allows for; when latency rises it shrinks in proportion.
"""

from __future__ import annotations

from math import sqrt

import cython

from lb.plan import AdaptivePlan

# Samples that make one step: fewer would follow noise.
STEP: cython.int = 20
# The short-term latency may be this much higher before the limit shrinks.
_TOLERANCE: cython.double = 1.5
# How much of the new value is taken over in one step.
_SMOOTHING: cython.double = 0.2
# Share of a step in the long-term latency while latency is higher: the source's window of 600 samples would
# follow a queue of lb's own making up within seconds. A lower latency is believed at once.
_MEMORY: cython.double = 1 / 600


@cython.cclass
class Gradient:
    """`limit` is between the bounds of the plan."""

    least: cython.double
    most: cython.double
    limit: cython.double
    long: cython.double
    total: cython.double
    count: cython.int

    def __init__(self, plan: AdaptivePlan, workers: int) -> None:
        """`workers`: how many share the server; each has its part of the bounds."""
        self.long = self.total = 0.0
        self.count = 0
        self.limit = 20.0
        self.configure(plan, workers)

    def __repr__(self) -> str:
        return f"<Gradient {self.limit:.1f} of {self.least:g} to {self.most:g}, {self.long * 1000:.1f} ms>"

    def configure(self, plan: AdaptivePlan, workers: int) -> None:
        """Take over what a new generation says; what was learned stays."""
        self.least = max(1.0, plan.least / workers)
        self.most = max(self.least, plan.most / workers)
        self.limit = min(max(self.limit, self.least), self.most)

    @cython.ccall
    def observe(self, latency: cython.double, in_use: cython.int) -> cython.int:
        """A request took `latency` to its response head while `in_use` were under way; the limit, whole."""
        short: cython.double
        gradient: cython.double
        self.total += latency
        self.count += 1
        if self.count < STEP:
            return int(self.limit)
        short = self.total / self.count
        self.total = 0.0
        self.count = 0
        if short <= 0.0:
            return int(self.limit)
        if self.long == 0.0 or short < self.long:
            self.long = short
        self.long += (short - self.long) * _MEMORY
        gradient = max(0.5, min(1.0, _TOLERANCE * self.long / short))
        # A limit that nobody reaches says nothing: it only shrinks then.
        if in_use * 2 >= self.limit or gradient < 1.0:
            self.limit += (self.limit * gradient + sqrt(self.limit) - self.limit) * _SMOOTHING
            self.limit = min(max(self.limit, self.least), self.most)
        return int(self.limit)
