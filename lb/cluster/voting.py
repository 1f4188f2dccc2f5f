"""Voting on the health of a server: which nodes are asked, and what their answers mean together.

Lives here: two pure functions. Must not live here: how answers travel (lb.cluster.bulletin), what a vote does
to a server (lb.control.sharing).

Every node works out both by itself, from the same facts, and so to the same end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import NamedTuple

_WORD = 2**64 - 1


class Opinion(NamedTuple):
    """What one node found. `up` None: nothing yet, or nothing that is fresh. `why`: for people."""

    node: str
    up: bool | None
    why: str = ""


class Vote(NamedTuple):
    """`up`: what holds. `opinions`: of every node that was asked."""

    up: bool
    opinions: tuple[Opinion, ...]

    @property
    def split(self) -> bool:
        """Whether the nodes found different things."""
        return len({one.up for one in self.opinions if one.up is not None}) > 1

    @property
    def text(self) -> str:
        """For people: `2 of 2 nodes: connection refused`."""
        agree = [one for one in self.opinions if one.up is self.up]
        why = next((f": {one.why}" for one in agree if one.why), "")
        return f"{len(agree)} of {len(self.opinions)} nodes{why}"


def digest(*parts: str) -> int:
    """64 bits that stand for `parts`, the same on every machine."""
    whole = "\0".join(parts).encode()
    return int.from_bytes(blake2b(whole, digest_size=8).digest())


def choose(key: int, nodes: Mapping[str, int], by: int) -> tuple[str, ...]:
    """The `by` nodes that check `key`, or all where there are not so many; `nodes`: the digest of each name.

    Rendezvous hashing: each node has a score for each key and the highest win. One that comes or goes moves
    only what it wins or had."""
    ranked = sorted(nodes, key=lambda node: (_mixed(nodes[node] ^ key), node), reverse=True)
    return tuple(ranked[:by])


def decide(opinions: Sequence[Opinion]) -> Vote | None:
    """More than half of the nodes asked must find a server down; a tie leaves it up, since one node whose own
    network is broken must not take it from all. None where those that say nothing could turn it."""
    downs = sum(one.up is False for one in opinions)
    ups = sum(one.up is True for one in opinions)
    if 2 * downs > len(opinions):
        return Vote(False, tuple(opinions))
    if ups and 2 * ups >= len(opinions):
        return Vote(True, tuple(opinions))
    return None


def _mixed(word: int) -> int:
    """The finaliser of splitmix64: every bit of `word` moves half of those that come out."""
    word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9 & _WORD
    word = (word ^ (word >> 27)) * 0x94D049BB133111EB & _WORD
    return word ^ (word >> 31)
