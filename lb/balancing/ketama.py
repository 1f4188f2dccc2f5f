"""Ketama: a ring of points, 160 for each unit of weight; only the keys of a server that left move.

The points of a server depend on nothing but its identity and weight. (Sharing out a ring of fixed size,
as Envoy does, moves 8 % of the other keys when one of ten servers leaves.)
"""

from __future__ import annotations

from array import array

import cython

from lb.balancing.consistent_hash import ConsistentHash
from lb.balancing.contract import Member
from lb.balancing.hashing import hash_bytes, mix64

POINTS = 160
# Weights of hundreds would make rings of millions of points: beyond this number every server keeps the
# first half, quarter … of its points. Crossing the border moves other servers' keys.
MOST = 2**17
STEP = 0x9E3779B97F4A7C15  # splitmix64's: consecutive points are unrelated once mixed
MASK = 0xFFFFFFFFFFFFFFFF


@cython.cclass
class Ketama(ConsistentHash):
    """A key belongs to the member whose point comes first at or after the key's place on the ring."""

    owners: list[Member]  # by point; places are the upper 53 bits of a hash, which a double holds exactly

    @cython.ccall
    def rebuild(self, members: list[Member]) -> object:
        ConsistentHash.rebuild(self, members)
        per_unit: cython.double = POINTS
        while per_unit * self.sampler.total > MOST:
            per_unit /= 2
        ring: dict[float, Member] = {}
        member: Member
        h: cython.ulonglong
        place: cython.double
        for member in members:
            h = hash_bytes(member.identity.encode())
            for _ in range(max(1, round(per_unit * member.weight))):
                h = h + STEP & MASK
                place = mix64(h) >> 11
                ring[place] = member
        places = sorted(ring)
        self.places = array("d", places)
        self.owners = [ring[at] for at in places]
        return None

    @cython.ccall
    @cython.boundscheck(False)  # 0 ≤ low ≤ middle < high ≤ len(owners)
    @cython.wraparound(False)
    def owner(self, h: cython.ulonglong) -> Member | None:
        owners: list[Member] = self.owners
        place: cython.double = h >> 11
        low: cython.Py_ssize_t = 0
        high: cython.Py_ssize_t = len(owners)
        middle: cython.Py_ssize_t
        while low < high:
            middle = (low + high) >> 1
            if self.places[middle] < place:
                low = middle + 1
            else:
                high = middle
        return owners[low if low < len(owners) else 0]
