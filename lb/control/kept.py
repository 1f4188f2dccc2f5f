"""The decisions that are kept: the last requests that failed, were slow or are in the sample, for `lb why`.

Lives here: taking in what workers send, the bounds. Must not live here: which exchanges leave one
(lb.proxy.keeping), HTTP (lb.admin.requests).
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from lb.outcomes import blamed
from lb.telemetry.decision import Decision, Kept

BESIDE = 144  # bytes that one takes beside its own: objects, its place in the queue
KINDS = ("server", "client", "slow", "sample")  # of failures because of whom (lb.outcomes.blamed)


class _One(NamedTuple):
    number: int  # grows by one from decision to decision
    encoded: bytes


class _Budget:
    """The last ones of one kind, of up to `most` bytes in all."""

    def __init__(self) -> None:
        self.most = 0
        self.bytes = 0
        self.kept: deque[_One] = deque()

    def add(self, one: _One) -> None:
        self.kept.append(one)
        self.bytes += len(one.encoded) + BESIDE
        self.shrink()

    def shrink(self) -> None:
        while self.bytes > self.most:
            self.bytes -= len(self.kept.popleft().encoded) + BESIDE


class KeptDecisions:
    """One per control process, in its loop; nothing of it is on a disk."""

    def __init__(self, most: int) -> None:
        """`most`: bytes in all."""
        # Equal parts of all bytes: a flood of one kind drives out none of the others.
        self._budgets = {kind: _Budget() for kind in KINDS}
        self._encoder = msgspec.msgpack.Encoder()
        self._number = 0
        self.configure(most)

    def configure(self, most: int) -> None:
        """The bounds of a generation."""
        for budget in self._budgets.values():
            budget.most = most // len(KINDS)
            budget.shrink()

    def take(self, decisions: Sequence[Decision]) -> None:
        """Those of one worker's tick. One that is only for a tail, or only traced, is not kept."""
        for decision in decisions:
            if not decision.kept & (Kept.FAILED | Kept.SLOW | Kept.SAMPLE | Kept.DEBUG):
                continue
            self._number += 1
            self._budgets[_kind(decision)].add(_One(self._number, self._encoder.encode(decision)))

    def newest(self) -> list[bytes]:
        """All, as msgpack of a Decision, in the order in which they came, the newest first."""
        queues = (reversed(budget.kept) for budget in self._budgets.values())
        return [one.encoded for one in heapq.merge(*queues, reverse=True)]


def _kind(decision: Decision) -> str:
    if decision.kept & Kept.FAILED:
        return blamed(decision.outcome)
    return "slow" if decision.kept & Kept.SLOW else "sample"
