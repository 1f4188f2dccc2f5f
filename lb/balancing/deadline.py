"""Round robin for large pools: earliest deadline first, O(log n) a pick.

A member is due every 1 / weight; the one due first is picked and due again one period later. The spread
is that of lb.balancing.round_robin: equal weights take strict turns.
"""

from __future__ import annotations

from collections.abc import Sequence

import cython

from lb.balancing.contract import Balancer, Member
from lb.decisions import Select

TURN: cython.int = int(Select.TURN)
ONLY_ONE: cython.int = int(Select.ONLY_ONE)
ALL_TRIED: cython.int = int(Select.ALL_TRIED)


@cython.cclass
class Due:
    """When a member's next turn is, in units of 1 / weight."""

    member: Member
    deadline: cython.double
    period: cython.double

    def __init__(self, member: Member, phase: float) -> None:
        self.member = member
        self.period = 1.0 / member.weight
        self.deadline = phase * self.period


@cython.cclass
class DeadlineRoundRobin(Balancer):
    """Turns in proportion to weights, spread evenly."""

    SCORE = "when its turn is due, in shares of a round"

    heap: list[Due]  # a binary heap by deadline

    @cython.ccall
    def rebuild(self, members: list[Member]) -> object:
        self.members = members
        # every member starts anywhere in its period: no two workers begin with the same servers
        phases = [self.rng.random() for _ in members]
        order = sorted([(phases[i] / members[i].weight, i) for i in range(len(members))])
        self.heap = [Due(members[i], phases[i]) for _, i in order]
        return None

    @cython.ccall
    @cython.boundscheck(False)  # 0 ≤ at, child < size
    @cython.wraparound(False)
    def postpone(self, at: cython.Py_ssize_t) -> object:
        """Put the entry at `at`, whose deadline has grown, where it belongs."""
        heap: list[Due] = self.heap
        size: cython.Py_ssize_t = len(heap)
        moved: Due = heap[at]
        child: cython.Py_ssize_t = 2 * at + 1
        due: Due
        right: Due
        while child < size:
            due = heap[child]
            if child + 1 < size:
                right = heap[child + 1]
                if right.deadline < due.deadline:
                    due = right
                    child += 1
            if moved.deadline <= due.deadline:
                break
            heap[at] = due
            at = child
            child = 2 * at + 1
        heap[at] = moved
        return None

    @cython.ccall
    def pick(self, key: bytes, tried: Sequence[Member]) -> object:
        heap: list[Due] = self.heap
        size: cython.Py_ssize_t = len(heap)
        at: cython.Py_ssize_t = 0
        i: cython.Py_ssize_t
        due: Due = heap[0]
        other: Due
        if tried:  # a retry: the earliest of those not tried, by a scan
            at = -1
            for i in range(size):
                other = heap[i]
                if (at < 0 or other.deadline < due.deadline) and other.member not in tried:
                    at = i
                    due = other
            if at < 0:
                self.reason = ALL_TRIED
                return None
        due.deadline += due.period
        self.postpone(at)
        self.reason = TURN if size > 1 else ONLY_ONE
        return due.member

    def scores(self, key: bytes, tried: Sequence[Member]) -> list[float]:
        due: Due
        deadlines: dict[Member, float] = {}
        for due in self.heap:
            deadlines[due.member] = due.deadline
        return [deadlines[member] for member in self.members]
