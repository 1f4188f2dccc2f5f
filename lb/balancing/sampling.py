"""Drawing members in proportion to their weights, shared by the algorithms that draw.

Lives here: one draw, a second draw that differs from the first, the list of members not tried yet, and
the base class of algorithms that hold a Sampler. Must not live here: comparing what was drawn.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from random import Random

import cython

from lb.balancing.contract import Balancer, Member


@cython.ccall
def untried(members: list[Member], tried: Sequence[Member]) -> list[Member]:
    """The members that are not in `tried`, in order."""
    return [member for member in members if member not in tried]


@cython.cclass
class Sampler:
    """Members with their cumulative weights. `size` is their number."""

    members: list[Member]
    size: cython.Py_ssize_t
    even: cython.bint  # all weights are equal: an index is a multiplication
    total: cython.double
    draw: Callable[[], float]

    def __init__(self, rng: Random, members: list[Member]) -> None:
        self.draw = rng.random
        self.bounds = array("d", [0.0])
        self.fill(members)

    @cython.ccall
    def fill(self, members: list[Member]) -> object:
        """Draw from `members` from now on."""
        bounds: list[float] = []
        self.total = 0.0
        self.even = True
        self.members = members
        self.size = len(members)
        member: Member
        for member in members:
            self.total += member.weight
            bounds.append(self.total)
            if member.weight != members[0].weight:
                self.even = False
        if not self.even:
            self.bounds = array("d", bounds)
        return None

    @cython.ccall
    def one(self) -> cython.Py_ssize_t:
        """The index of a member drawn in proportion to its weight; size ≥ 1."""
        u: cython.double = self.draw()
        if self.even:
            return cython.cast(cython.Py_ssize_t, u * self.size)
        return self.find(u * self.total)

    @cython.ccall
    def other(self, first: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """As `one`, among the members other than `first`; size ≥ 2."""
        u: cython.double = self.draw()
        at: cython.Py_ssize_t
        if self.even:
            at = cython.cast(cython.Py_ssize_t, u * (self.size - 1))
            return at + 1 if at >= first else at
        start: cython.double = self.bounds[first - 1] if first > 0 else 0.0
        own: cython.double = self.bounds[first] - start
        x: cython.double = u * (self.total - own)
        at = self.find(x + own if x >= start else x)
        if at == first:  # rounding at the edge of its interval
            at = first - 1 if first > 0 else 1
        return at

    @cython.ccall
    @cython.boundscheck(False)  # 0 ≤ low ≤ middle < high < size
    @cython.wraparound(False)
    def find(self, x: cython.double) -> cython.Py_ssize_t:
        """The index of the member whose share of the cumulative weights holds `x`."""
        low: cython.Py_ssize_t = 0
        high: cython.Py_ssize_t = self.size - 1
        middle: cython.Py_ssize_t
        while low < high:
            middle = (low + high) >> 1
            if self.bounds[middle] > x:
                high = middle
            else:
                low = middle + 1
        return low


@cython.cclass
class SampledBalancer(Balancer):
    """Base of the algorithms that draw. Not an algorithm itself."""

    sampler: Sampler

    def __init__(
        self, rng: Random, clock: Callable[[], float], options: dict[str, str | int | float | bool]
    ) -> None:
        Balancer.__init__(self, rng, clock, options)
        self.sampler = Sampler(rng, [])

    @cython.ccall
    def rebuild(self, members: list[Member]) -> object:
        self.members = members
        self.sampler.fill(members)
        return None

    @cython.ccall
    def left(self, tried: Sequence[Member]) -> Sampler:
        """What to draw from: all members, or those not in `tried` (a retry, so it may cost a list)."""
        if tried:
            return Sampler(self.rng, untried(self.members, tried))
        return self.sampler
