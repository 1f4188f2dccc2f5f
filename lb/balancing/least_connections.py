"""Least connections: the member with the fewest exchanges in flight for its weight.

The counts are those of all workers of this machine. Several lb in front of the same servers see each
only its own counts and herd: power of two choices is the better one there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import cython

from lb.balancing.contract import Balancer, Member
from lb.balancing.load import load
from lb.decisions import Select

FEWEST_IN_FLIGHT: cython.int = int(Select.FEWEST_IN_FLIGHT)
ONLY_ONE: cython.int = int(Select.ONLY_ONE)
ALL_TRIED: cython.int = int(Select.ALL_TRIED)


@cython.cclass
class LeastConnections(Balancer):
    """The lowest (in flight + 1) / weight; among equals the next one after the last pick, which gives
    equals equal turns wherever they stand in the list."""

    SCORE = "(in flight + 1) / weight"

    start: cython.Py_ssize_t
    floor: cython.double  # no load is lower: the scan ends where it finds an idle member

    def __init__(
        self, rng: Random, clock: Callable[[], float], options: dict[str, str | int | float | bool]
    ) -> None:
        Balancer.__init__(self, rng, clock, options)
        self.start = 0
        self.floor = 0.0

    @cython.ccall
    def rebuild(self, members: list[Member]) -> object:
        heaviest: cython.double = 0.0
        member: Member
        for member in members:
            heaviest = max(heaviest, member.weight)
        self.members = members
        self.floor = 1.0 / heaviest
        # workers must not all begin with the same server
        self.start = int(self.rng.random() * len(members))
        return None

    @cython.ccall
    @cython.boundscheck(False)  # 0 ≤ at < size
    @cython.wraparound(False)
    @cython.cdivision(True)  # weights are > 0
    def pick(self, key: bytes, tried: Sequence[Member]) -> object:
        members: list[Any] = self.members  # type-checked in rebuild, not at every read
        size: cython.Py_ssize_t = len(members)
        at: cython.Py_ssize_t = self.start
        retry: cython.bint = bool(tried)
        best: cython.Py_ssize_t = -1
        lowest: cython.double = 0.0
        found: cython.double
        member: Member
        for _ in range(size):
            member = cython.cast(Member, members[at])
            found = load(member)
            if (best < 0 or found < lowest) and not (retry and member in tried):
                best = at
                lowest = found
                if found <= self.floor:
                    break
            at += 1
            if at == size:
                at = 0
        if best < 0:
            self.reason = ALL_TRIED
            return None
        self.start = best + 1 if best + 1 < size else 0
        self.reason = FEWEST_IN_FLIGHT if size > 1 else ONLY_ONE
        return members[best]

    def scores(self, key: bytes, tried: Sequence[Member]) -> list[float]:
        return [load(member) for member in self.members]
