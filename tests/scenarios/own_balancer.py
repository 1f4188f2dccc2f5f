"""A balancer of a user's own, as docs/balancing.md shows one: the last server that was not tried yet."""

from __future__ import annotations

from lb.balancing.contract import Balancer
from lb.decisions import Select


class Last(Balancer):
    OPTIONS = frozenset({"skip"})

    def __init__(self, rng, clock, options):
        super().__init__(rng, clock, options)
        self.skip = int(options.get("skip", 0))

    def pick(self, key, tried):
        left = [server for server in reversed(self.members) if server not in tried]
        self.reason = Select.ALGORITHM if left else Select.ALL_TRIED
        return left[min(self.skip, len(left) - 1)] if left else None
