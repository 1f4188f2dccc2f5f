"""Rendezvous hashing (highest random weight): no table, and only the keys of a server that left move.

O(n) a pick, which is why larger pools use maglev.
"""

from __future__ import annotations

import cython

from lb.balancing.consistent_hash import ConsistentHash
from lb.balancing.contract import Member


@cython.cclass
class Rendezvous(ConsistentHash):
    """A key belongs to the member with the highest score for it."""

    @cython.ccall
    def owner(self, h: cython.ulonglong) -> Member | None:
        return self.ranked(h, (), 0.0)
