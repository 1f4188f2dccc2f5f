"""Round robin, smooth and weighted, as nginx does it: for pools of up to 50.

Every pick gives each member its weight and takes the sum from the richest. Weights 5, 1, 1 give
a a b a c a a, not a a a a a b c. O(n) a pick: larger pools use lb.balancing.deadline.
"""

from __future__ import annotations

from collections.abc import Sequence

import cython

from lb.balancing.contract import Balancer, Member
from lb.decisions import Select

TURN: cython.int = int(Select.TURN)
ONLY_ONE: cython.int = int(Select.ONLY_ONE)
ALL_TRIED: cython.int = int(Select.ALL_TRIED)

LONGEST_LEAD = 256  # picks; bounds what a rebuild costs where the weights differ much


@cython.cclass
class Turn:
    """A member's place in the rotation."""

    member: Member
    weight: cython.double
    current: cython.double

    def __init__(self, member: Member) -> None:
        self.member = member
        self.weight = member.weight
        self.current = 0.0


@cython.cclass
class SmoothRoundRobin(Balancer):
    """Turns in proportion to weights, spread evenly."""

    SCORE = "minus what the weights have given it since its last turns"

    turns: list[Turn]

    @cython.ccall
    def rebuild(self, members: list[Member]) -> object:
        self.members = members
        self.turns = [Turn(member) for member in members]
        weights = [member.weight for member in members]
        # The rotation starts anywhere in its first round: workers, and every lb of a cluster, would
        # otherwise all send their first requests to the same server.
        round_length = min(LONGEST_LEAD, sum(weights) / min(weights))
        for _ in range(int(self.rng.random() * round_length)):
            self.step(())
        return None

    @cython.ccall
    def step(self, tried: Sequence[Member]) -> Member | None:
        """The next member not in `tried`, or None. Those tried earn their weight too (in nginx they do
        not): what a retry gave to another comes back, and shares stay exact."""
        total: cython.double = 0.0
        retry: cython.bint = bool(tried)
        best: Turn | None = None
        turn: Turn
        for turn in self.turns:
            turn.current += turn.weight
            total += turn.weight
            if best is None or turn.current > best.current:
                if not (retry and turn.member in tried):
                    best = turn
        if best is None:
            return None
        best.current -= total
        return best.member

    @cython.ccall
    def pick(self, key: bytes, tried: Sequence[Member]) -> object:
        found: Member | None = self.step(tried)
        if found is None:
            self.reason = ALL_TRIED
        else:
            self.reason = TURN if len(self.turns) > 1 else ONLY_ONE
        return found

    def scores(self, key: bytes, tried: Sequence[Member]) -> list[float]:
        turn: Turn
        found: list[float] = []
        for turn in self.turns:
            found.append(-(turn.current + turn.weight))
        return found
