"""A user's algorithm, as in docs/balancing.md (test_docs.py runs the text of the page itself)."""

from __future__ import annotations

from lb.balancing.contract import Balancer
from lb.decisions import Select


class Quietest(Balancer):
    """The quietest of a few servers drawn at random."""

    OPTIONS = frozenset({"sample"})

    def __init__(self, rng, clock, options):
        super().__init__(rng, clock, options)
        self.sample = int(options.get("sample", 3))

    def pick(self, key, tried):
        left = [server for server in self.members if server not in tried]
        if not left:
            self.reason = Select.ALL_TRIED
            return None
        self.reason = Select.ALGORITHM
        drawn = self.rng.sample(left, min(self.sample, len(left)))
        return min(drawn, key=lambda server: server.in_flight() / server.weight)


class Lost(Balancer):
    """Forgot its pick."""


class Broken(Balancer):
    def __init__(self, rng, clock, options):
        raise RuntimeError("no luck today")

    def pick(self, key, tried):
        return None


NOT_A_CLASS = 1
