"""What the three methods of consistent hashing share: the key's order, the load bound, no key.

Lives here: the order in which a key prefers the members beside its owner, for retries and for bounded
load: weighted rendezvous, whatever the method, so that the keys of a full server spread over all others
and do not fall on one neighbour (arXiv 1908.08762). Must not live here: who owns a key (rendezvous,
maglev, ketama).
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import cython
from cython.cimports.libc.math import log

from lb.balancing.contract import AlgorithmError, Member
from lb.balancing.hashing import hash_bytes, mix64
from lb.balancing.sampling import SampledBalancer, Sampler
from lb.decisions import Select

HASH: cython.int = int(Select.HASH)
HASH_BOUNDED: cython.int = int(Select.HASH_BOUNDED)
NO_KEY: cython.int = int(Select.NO_KEY)
ONLY_ONE: cython.int = int(Select.ONLY_ONE)
ALL_TRIED: cython.int = int(Select.ALL_TRIED)

UNIT: cython.double = 2.0**-52
# A cap that is a whole number but for rounding must not let one more in.
ROUNDING: cython.double = 1.0 - 1e-12


def load_bound(options: dict[str, str | int | float | bool]) -> float:
    """The option `bounded_load`; 0.0: no bound."""
    bound = options.get("bounded_load", 0.0)
    if isinstance(bound, bool) or not isinstance(bound, int | float) or not (bound >= 1 or bound == 0):
        raise AlgorithmError(f"bounded_load is {bound!r}: give 0 for none or a number from 1, such as 1.25")
    return float(bound)


@cython.cclass
class ConsistentHash(SampledBalancer):
    """Base of the methods: a subclass defines `owner`, and `rebuild` where it keeps tables.

    With `bounded_load` c no member gets more than ceil(c · (total in flight + 1) · its share of the
    weights) at once, unless all others were tried (Mirrokni, Thorup, Zadimoghaddam).
    """

    OPTIONS = frozenset({"bounded_load"})
    SCORE = "place in the order of the key"

    even: cython.bint
    bound: cython.double

    def __init__(
        self, rng: Random, clock: Callable[[], float], options: dict[str, str | int | float | bool]
    ) -> None:
        SampledBalancer.__init__(self, rng, clock, options)
        self.bound = load_bound(options)
        self.even = True
        self.seeds = array("Q", [0])

    @cython.ccall
    def rebuild(self, members: list[Member]) -> object:
        SampledBalancer.rebuild(self, members)
        self.seeds = array("Q", [hash_bytes(member.identity.encode()) for member in members])
        self.even = all([member.weight == members[0].weight for member in members])  # noqa: C419
        return None

    @cython.ccall
    def owner(self, h: cython.ulonglong) -> Member | None:
        """The member that owns the hash `h` while all members have room."""
        raise NotImplementedError

    @cython.ccall
    @cython.boundscheck(False)  # 0 ≤ i < len(members) == len(seeds)
    @cython.wraparound(False)
    def ranked(self, h: cython.ulonglong, tried: Sequence[Member], limit: cython.double) -> Member | None:
        """The first in the rendezvous order of `h` that is not in `tried` and, with `limit` > 0, has
        less than limit · weight in flight; None where there is none."""
        members: list[Any] = self.members  # type-checked in rebuild, not at every read
        retry: cython.bint = bool(tried)
        found: Member | None = None
        best: cython.double = -1.0
        i: cython.Py_ssize_t
        u: cython.double
        member: Member
        for i in range(len(members)):
            # 52 bits and a half: exact in a double, and neither 0 nor 1, which have no use as a logarithm
            u = ((mix64(h ^ self.seeds[i]) >> 12) + 0.5) * UNIT
            member = cython.cast(Member, members[i])
            if not self.even:
                # −w / ln u is what makes shares proportional to weights; as −ln u ≥ 1 − u, most members
                # are out without the logarithm
                if member.weight <= best * (1.0 - u):
                    continue
                u = member.weight / -log(u)
            if u <= best:
                continue
            if limit > 0.0 and member.in_flight() >= limit * member.weight:
                continue
            if retry and member in tried:
                continue
            best = u
            found = member
        return found

    @cython.ccall
    @cython.boundscheck(False)  # 0 ≤ i < len(members)
    @cython.wraparound(False)
    def pick(self, key: bytes, tried: Sequence[Member]) -> object:
        if not key:
            return self.keyless(tried)
        h: cython.ulonglong = hash_bytes(key)
        plain: Member | None = self.ranked(h, tried, 0.0) if tried else self.owner(h)
        if plain is None:
            self.reason = ALL_TRIED
            return None
        self.reason = HASH if len(self.members) > 1 else ONLY_ONE
        if self.bound == 0.0:
            return plain
        total: cython.longlong = 1
        members: list[Any] = self.members
        member: Member
        i: cython.Py_ssize_t
        for i in range(len(members)):
            member = cython.cast(Member, members[i])
            total += member.in_flight()
        limit: cython.double = self.bound * total / self.sampler.total * ROUNDING
        if plain.in_flight() < limit * plain.weight:
            return plain
        found: Member | None = self.ranked(h, tried, limit)
        if found is None:  # whoever has room was tried
            return plain
        self.reason = HASH_BOUNDED
        return found

    @cython.ccall
    def keyless(self, tried: Sequence[Member]) -> Member | None:
        sampler: Sampler = self.left(tried)
        if sampler.size == 0:
            self.reason = ALL_TRIED
            return None
        self.reason = NO_KEY
        return sampler.members[sampler.one()]

    def scores(self, key: bytes, tried: Sequence[Member]) -> list[float]:
        """The order in which the key would go to all of them, found by asking for it. Without a key all are
        drawn: a pick of the generator's would not be what the next one takes."""
        if not key:
            return [0.0] * len(self.members)
        reason = self.reason
        asked: list[Member] = list(tried)
        places: dict[Member, float] = {}
        for place in range(len(self.members)):
            found = self.pick(key, asked)
            if found is None:
                break
            asked.append(found)  # type: ignore[arg-type]
            places[found] = float(place)  # type: ignore[index]
        self.reason = reason
        return [places.get(member, float(len(self.members))) for member in self.members]
