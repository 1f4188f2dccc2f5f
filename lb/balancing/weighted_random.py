"""Weighted random: every member with a chance in proportion to its weight."""

from __future__ import annotations

from collections.abc import Sequence

import cython

from lb.balancing.contract import Member
from lb.balancing.sampling import SampledBalancer, Sampler
from lb.decisions import Select

RANDOM: cython.int = int(Select.RANDOM)
ONLY_ONE: cython.int = int(Select.ONLY_ONE)
ALL_TRIED: cython.int = int(Select.ALL_TRIED)


@cython.cclass
class WeightedRandom(SampledBalancer):
    """A member drawn in proportion to its weight."""

    SCORE = "all are drawn by weight"
    DRAWS = True

    @cython.ccall
    def pick(self, key: bytes, tried: Sequence[Member]) -> object:
        sampler: Sampler = self.left(tried)
        if sampler.size < 2:
            self.reason = ONLY_ONE if sampler.size else ALL_TRIED
            return sampler.members[0] if sampler.size else None
        self.reason = RANDOM
        return sampler.members[sampler.one()]

    def scores(self, key: bytes, tried: Sequence[Member]) -> list[float]:
        return [0.0] * len(self.members)
