"""Random: every member with the same chance, whatever its weight."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

import cython

from lb.balancing.contract import Balancer, Member
from lb.balancing.sampling import untried
from lb.decisions import Select

RANDOM: cython.int = int(Select.RANDOM)
ONLY_ONE: cython.int = int(Select.ONLY_ONE)
ALL_TRIED: cython.int = int(Select.ALL_TRIED)


@cython.cclass
class UniformRandom(Balancer):
    """A member drawn uniformly."""

    WEIGHTED = False
    SCORE = "all have the same chance"
    DRAWS = True

    draw: Callable[[], float]

    def __init__(
        self, rng: Random, clock: Callable[[], float], options: dict[str, str | int | float | bool]
    ) -> None:
        Balancer.__init__(self, rng, clock, options)
        self.draw = rng.random

    @cython.ccall
    def pick(self, key: bytes, tried: Sequence[Member]) -> object:
        left: list[Member] = untried(self.members, tried) if tried else self.members
        size: cython.Py_ssize_t = len(left)
        u: cython.double
        if size < 2:
            self.reason = ONLY_ONE if size else ALL_TRIED
            return left[0] if size else None
        self.reason = RANDOM
        u = self.draw()
        return left[cython.cast(cython.Py_ssize_t, u * size)]

    def scores(self, key: bytes, tried: Sequence[Member]) -> list[float]:
        return [0.0] * len(self.members)
