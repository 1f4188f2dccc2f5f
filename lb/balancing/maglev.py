"""Maglev (NSDI 2016): a table of 65,537 slots that the members fill by turns.

One read a pick, and shares that are equal to a slot; when a server leaves, a few keys in a thousand of
the others move too.
"""

from __future__ import annotations

from array import array

import cython

from lb.balancing.consistent_hash import ConsistentHash
from lb.balancing.contract import Member
from lb.balancing.hashing import hash_bytes, mix64

SLOTS = 65537  # a prime, so that every skip visits every slot


@cython.cclass
class Row:
    """A member while the table is filled: its permutation of the slots (`place`, then steps of `skip`)
    and its turns."""

    index: cython.int
    place: cython.Py_ssize_t
    skip: cython.Py_ssize_t
    share: cython.double  # turns per round, 1 on average: rounds stay few where weights differ much
    due: cython.double

    def __init__(self, index: int, identity: str, share: float) -> None:
        h: cython.ulonglong = hash_bytes(identity.encode())
        self.index = index
        self.place = h % SLOTS
        self.skip = mix64(h) % (SLOTS - 1) + 1
        self.share = share
        # everyone's first turn comes in the first round, so that the lightest has a slot as well
        self.due = max(0.0, 1.0 - share)


@cython.cclass
class Maglev(ConsistentHash):
    """A key belongs to the member in its slot."""

    @cython.ccall
    @cython.boundscheck(False)  # 0 ≤ at < SLOTS
    @cython.wraparound(False)
    def rebuild(self, members: list[Member]) -> object:
        ConsistentHash.rebuild(self, members)
        size: cython.Py_ssize_t = len(members)
        unit: cython.double = size / self.sampler.total
        # In an order of their own: the table must not depend on the order of the configuration, nor on
        # the one in which workers learnt of the servers (envoyproxy/envoy#20703).
        order = [i for _, i in sorted([(members[i].identity, i) for i in range(size)])]
        rows: list[Row] = [Row(i, members[i].identity, members[i].weight * unit) for i in order]
        self.table = array("i", [-1]) * SLOTS
        filled: cython.Py_ssize_t = 0
        at: cython.Py_ssize_t
        row: Row
        while True:
            for row in rows:
                row.due += row.share
                while row.due >= 1.0:
                    row.due -= 1.0
                    at = row.place
                    while self.table[at] >= 0:
                        at += row.skip
                        if at >= SLOTS:
                            at -= SLOTS
                    self.table[at] = row.index
                    row.place = at
                    filled += 1
                    if filled == SLOTS:
                        return None

    @cython.ccall
    def owner(self, h: cython.ulonglong) -> Member | None:
        return self.members[self.table[h % SLOTS]]
