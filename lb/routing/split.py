"""Division of a route's requests among services by weight.

Lives here: the choice, given a number. Pure: whoever calls brings the randomness. Must not live here:
the choice of a server (lb.balancing).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

import cython

from lb.plan import WeightedService


@cython.cclass
class Split:
    """Services with weights ≥ 0; one of weight 0 gets nothing."""

    services: tuple[WeightedService, ...]
    _bounds: list[int]
    _last: cython.Py_ssize_t  # the last service with a weight

    def __init__(self, services: Sequence[WeightedService]) -> None:
        """ValueError where a weight is negative or all are 0."""
        weights = [service.weight for service in services]
        if min(weights) < 0 or sum(weights) == 0:
            raise ValueError("the weights of a split must be 0 or more, and one of them more than 0")
        self.services = tuple(services)
        self._bounds = list(accumulate(weights))
        self._last = max([at for at, weight in enumerate(weights) if weight])

    @cython.ccall
    def choose(self, number: cython.double) -> cython.Py_ssize_t:
        """The index of the service for `number` in [0, 1): equal numbers, equal choices."""
        if self._last == 0:
            return 0
        at: cython.Py_ssize_t = bisect_right(self._bounds, number * self._bounds[-1])
        return min(at, self._last)
