"""The contract of a balancing algorithm.

Lives here: Member (what an algorithm may see of a Server) and Balancer (what an algorithm is). Pure:
no clock, no generator of its own, no I/O. lb.upstream.Server is a Member.

Invariants, tested over the whole registry by one suite: `pick` ends in bounded steps; it returns only
an eligible member that is not in `tried`; weights live on the member; it is deterministic given the
generator and clock handed in; it holds nothing that cannot be rebuilt. Stickiness, panic mode, backups,
retries and 503 are the Service's business.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import ClassVar

import cython

from lb.decisions import Select

ALGORITHM: cython.int = int(Select.ALGORITHM)


class AlgorithmError(ValueError):
    """An algorithm cannot be used as configured; the message says what is wrong and what is allowed."""


@cython.cclass
class Member:
    """One eligible server as an algorithm sees it.

    `weight` is the effective weight (> 0 for every member handed to `rebuild`), `identity` the stable
    name that hashing uses ("service/address").
    """

    identity: str
    weight: cython.double

    def __init__(self, identity: str, weight: float = 1.0) -> None:
        self.identity = identity
        self.weight = weight

    @cython.ccall
    def in_flight(self) -> cython.longlong:
        """Exchanges under way on this member, over all workers of this machine."""
        return 0

    @cython.ccall
    def cost(self, now: cython.double) -> cython.double:
        """Peak-EWMA of the time to the first response byte, seconds, with failure penalty, decayed to
        `now`; the load (in flight) is not in it. 0.0 where nothing is known (lb.balancing.latency)."""
        return 0.0


@cython.cclass
class Balancer:
    """Base class of all algorithms. A subclass defines `pick`, and `rebuild` where it keeps tables.

    Runs in a worker's loop; one instance per service and generation. `clock` gives monotonic seconds.
    `OPTIONS` names the options that the class reads; the registry refuses all others. A bad value is an
    AlgorithmError (or any ValueError) of `__init__`. `WEIGHTED`: picks heed the weights of the members; where
    they do not, the Service sees to slow start. `SCORE`: what `scores` gives, for people; `DRAWS`: picks are
    made among members drawn at random.
    """

    OPTIONS: ClassVar[frozenset[str]] = frozenset()
    WEIGHTED: ClassVar[bool] = True
    SCORE: ClassVar[str] = ""
    DRAWS: ClassVar[bool] = False

    members: list[Member]
    reason: cython.int  # a lb.decisions.Select value, valid after `pick`
    rng: Random
    clock: Callable[[], float]

    def __init__(
        self, rng: Random, clock: Callable[[], float], options: dict[str, str | int | float | bool]
    ) -> None:
        self.members = []
        self.reason = ALGORITHM
        self.rng = rng
        self.clock = clock

    @cython.ccall
    def rebuild(self, members: list[Member]) -> object:
        """Called before the first `pick`, and whenever membership, weight or health changes.
        `members` are all eligible, with weight > 0, never empty, in the order of the configuration."""
        self.members = members
        return None

    @cython.ccall
    def pick(self, key: bytes, tried: Sequence[Member]) -> object:
        """The member for this request, not one of `tried`, or None where all were tried; sets
        `reason`. `key` is b"" where the algorithm asked for none or the request has none."""
        raise NotImplementedError(f"{type(self).__name__} must define pick(key, tried)")

    def scores(self, key: bytes, tried: Sequence[Member]) -> list[float]:
        """For explanations, so optional: a number for each of `members`, in their order; `pick` now would
        take one of the lowest of those that are not in `tried`. Where the algorithm `DRAWS`, that holds where
        at most two are left. Changes nothing. Empty: the algorithm does not say."""
        return []
