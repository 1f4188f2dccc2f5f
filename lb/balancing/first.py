"""First: the first member in the order of the configuration that was not tried.

For an active server with spares: all traffic goes to one until it is not eligible.
"""

from __future__ import annotations

from collections.abc import Sequence

import cython

from lb.balancing.contract import Balancer, Member
from lb.decisions import Select

FIRST: cython.int = int(Select.FIRST)
ALL_TRIED: cython.int = int(Select.ALL_TRIED)


@cython.cclass
class First(Balancer):
    """The first member not tried."""

    WEIGHTED = False
    SCORE = "place in the list"

    @cython.ccall
    def pick(self, key: bytes, tried: Sequence[Member]) -> object:
        member: Member
        for member in self.members:
            if not tried or member not in tried:
                self.reason = FIRST
                return member
        self.reason = ALL_TRIED
        return None

    def scores(self, key: bytes, tried: Sequence[Member]) -> list[float]:
        return [float(place) for place in range(len(self.members))]
