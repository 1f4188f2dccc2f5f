"""Power of two choices: the less loaded of two different members drawn in proportion to weight.

Two draws bring the longest queue from about log n / log log n down to log log n (Mitzenmacher), cost
the same for any number of members, and do not herd where several lb count separately. The two always
differ: with replacement, half of the picks between two servers would compare one with itself.
"""

from __future__ import annotations

from collections.abc import Sequence

import cython

from lb.balancing.contract import Member
from lb.balancing.load import load
from lb.balancing.sampling import SampledBalancer, Sampler
from lb.decisions import Select

FEWER_OF_TWO: cython.int = int(Select.FEWER_OF_TWO)
ONLY_ONE: cython.int = int(Select.ONLY_ONE)
ALL_TRIED: cython.int = int(Select.ALL_TRIED)


@cython.cclass
class PowerOfTwo(SampledBalancer):
    """Of two members drawn, the one with the lower (in flight + 1) / weight."""

    SCORE = "(in flight + 1) / weight"
    DRAWS = True

    @cython.ccall
    def pick(self, key: bytes, tried: Sequence[Member]) -> object:
        sampler: Sampler = self.left(tried)
        at: cython.Py_ssize_t
        one: Member
        two: Member
        if sampler.size < 2:
            self.reason = ONLY_ONE if sampler.size else ALL_TRIED
            return sampler.members[0] if sampler.size else None
        at = sampler.one()
        one = sampler.members[at]
        two = sampler.members[sampler.other(at)]
        self.reason = FEWER_OF_TWO
        return two if load(two) < load(one) else one

    def scores(self, key: bytes, tried: Sequence[Member]) -> list[float]:
        return [load(member) for member in self.members]
