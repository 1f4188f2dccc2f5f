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
class Maglev(ConsistentHash):
    """A key belongs to the member in its slot."""

    @cython.ccall
    @cython.boundscheck(False)  # 0 ≤ at < SLOTS, 0 ≤ i < size
    @cython.wraparound(False)
    def rebuild(self, members: list[Member]) -> object:
        ConsistentHash.rebuild(self, members)
        # Turns in an order of their own: the table must not depend on the order of the configuration,
        # nor on the one in which workers learnt of the servers (envoyproxy/envoy#20703).
        order = [i for _, i in sorted([(members[i].identity, i) for i in range(len(members))])]
        size: cython.Py_ssize_t = len(order)
        hashes = [hash_bytes(members[i].identity.encode()) for i in order]
        index = array("i", order)
        place = array("q", [h % SLOTS for h in hashes])
        skip = array("q", [mix64(h) % (SLOTS - 1) + 1 for h in hashes])
        # A member's turns per round, 1 on average: rounds do not multiply where weights differ much.
        # Everyone's first turn comes in the first round, so that the lightest has a slot as well.
        shares = array("d", [members[i].weight * size / self.sampler.total for i in order])
        due = array("d", [max(0.0, 1.0 - share) for share in shares])
        table = array("i", [-1]) * SLOTS
        filled: cython.Py_ssize_t = 0
        at: cython.Py_ssize_t
        i: cython.Py_ssize_t
        while True:
            for i in range(size):
                due[i] += shares[i]
                while due[i] >= 1.0:
                    due[i] -= 1.0
                    at = place[i]
                    while table[at] >= 0:
                        at += skip[i]
                        if at >= SLOTS:
                            at -= SLOTS
                    table[at] = index[i]
                    place[i] = at
                    filled += 1
                    if filled == SLOTS:
                        self.table = table
                        return None

    @cython.ccall
    def owner(self, h: cython.ulonglong) -> Member | None:
        return self.members[self.table[h % SLOTS]]
