"""Peak-EWMA: the cheaper of two different members drawn in proportion to weight.

The load of a member is cost · (in flight + 1) / weight, where the cost is its recent latency with a
penalty for failures (lb.balancing.latency): a server that fails fast looks slow, not attractive.
"""

from __future__ import annotations

from collections.abc import Sequence

import cython

from lb.balancing.contract import Member
from lb.balancing.load import load
from lb.balancing.sampling import SampledBalancer, Sampler
from lb.decisions import Select

LOWEST_COST: cython.int = int(Select.LOWEST_COST)
ONLY_ONE: cython.int = int(Select.ONLY_ONE)
ALL_TRIED: cython.int = int(Select.ALL_TRIED)

# Seconds. A member without history counts as costly as the one it is compared with, so that it gets its
# share by load and is not flooded; but never worse than this, or it would lose to a failing one.
UNKNOWN_AT_MOST: cython.double = 1.0


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _lower(known: cython.double, cost: cython.double) -> cython.double:
    """What a member without history costs, after one of this cost was seen beside it."""
    return cost if 0.0 < cost < known else known


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _score(member: Member, cost: cython.double, unknown: cython.double) -> cython.double:
    return (cost if cost > 0.0 else unknown) * load(member)


@cython.cclass
class Ewma(SampledBalancer):
    """Of two members drawn, the one with the lower cost · (in flight + 1) / weight."""

    SCORE = "latency cost in seconds × (in flight + 1) / weight"
    DRAWS = True

    @cython.ccall
    def pick(self, key: bytes, tried: Sequence[Member]) -> object:
        sampler: Sampler = self.left(tried)
        at: cython.Py_ssize_t
        one: Member
        two: Member
        now: cython.double
        cost_one: cython.double
        cost_two: cython.double
        unknown: cython.double
        if sampler.size < 2:
            self.reason = ONLY_ONE if sampler.size else ALL_TRIED
            return sampler.members[0] if sampler.size else None
        at = sampler.one()
        one = sampler.members[at]
        two = sampler.members[sampler.other(at)]
        now = self.clock()
        cost_one = one.cost(now)
        cost_two = two.cost(now)
        unknown = _lower(_lower(UNKNOWN_AT_MOST, cost_one), cost_two)
        self.reason = LOWEST_COST
        return two if _score(two, cost_two, unknown) < _score(one, cost_one, unknown) else one

    def scores(self, key: bytes, tried: Sequence[Member]) -> list[float]:
        now = self.clock()
        costs = [member.cost(now) for member in self.members]
        pairs = list(zip(self.members, costs, strict=True))
        unknown = UNKNOWN_AT_MOST
        for member, cost in pairs:
            if member not in tried:
                unknown = _lower(unknown, cost)
        return [_score(member, cost, unknown) for member, cost in pairs]
