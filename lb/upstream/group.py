"""Group: the servers of one priority in a Service, or its backups, with an algorithm of their own.

Lives here: who of them is eligible, slow start, what the algorithm is told. Must not live here: which group
gets how much (lb.upstream.service) and the algorithms (lb.balancing).
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import cython

from lb.balancing.contract import Balancer
from lb.decisions import Select
from lb.upstream.server import Server

NONE: cython.int = int(Select.NONE)
ONLY_ONE: cython.int = int(Select.ONLY_ONE)

# Of a slow start. Few, because each is a rebuild, which costs a table of maglev or ketama some milliseconds.
STEPS = 10


def warmth(server: Server, window: float, now: float) -> tuple[float, float]:
    """(share of its weight that a slow start of `window` seconds allows a server, 0.1..1 in tenths; when it
    grows next, 0.0: never). Monotonic seconds."""
    since = now - server.warm_from
    if server.warm_from <= 0 or window <= 0 or since >= window:
        return 1.0, 0.0
    step = max(1, int(since * STEPS / window + 1e-6))  # a refresh comes at a step, or a rounding before it
    if step >= STEPS:
        return 1.0, 0.0
    return step / STEPS, server.warm_from + (step + 1) * window / STEPS


@cython.cclass
class Group:
    """`able` may be used at all: weight above 0 and not draining; `usable` are those of them that work, too.
    `eligible` are those that `balancer` picks from: the usable ones or, in panic, the able ones. `share` of
    the service's requests: 0..1. `reason` replaces the algorithm's where this is not the ordinary group;
    `picked` is the reason of the last pick."""

    servers: list[Server]
    balancer: Balancer
    priority: cython.int
    backup: cython.bint
    able: list[Server]
    usable: list[Server]
    eligible: list[Server]
    weights: list[float]  # as the balancer knows them
    panic: cython.bint
    share: cython.double
    next_step: cython.double
    thin: cython.bint  # a slow start is under way and the algorithm does not heed weights
    reason: cython.int
    picked: cython.int
    rng: Random

    def __init__(
        self, servers: list[Server], balancer: Balancer, priority: int, backup: bool, rng: Random
    ) -> None:
        self.servers = servers
        self.balancer = balancer
        self.priority = priority
        self.backup = backup
        self.rng = rng
        self.able = []
        self.usable = []
        self.eligible = []
        self.weights = []
        self.panic = self.thin = False
        self.share = self.next_step = 0.0
        self.reason = self.picked = NONE

    def __repr__(self) -> str:
        kind = "backup" if self.backup else f"priority {self.priority}"
        return f"<Group {kind}: {len(self.eligible)}/{len(self.servers)} eligible, {self.share:.0%}>"

    def look(self, window: float, now: float) -> None:
        """Work out weights and who could be used. `window`: of a slow start, seconds."""
        server: Server
        self.able = []
        self.next_step = 0.0
        for server in self.servers:
            server.warmth, step = warmth(server, window, now)
            weight = server.effective()
            if weight > 0:
                server.weight = weight
                if not server.draining:
                    self.able.append(server)
            if step and (not self.next_step or step < self.next_step):
                self.next_step = step
        self.usable = [s for s in self.able if s.usable]

    def working(self) -> float:
        """The usable share, 0..1, of the servers that are meant to have traffic."""
        meant = sum(1 for s in self.servers if s.configured > 0)
        return len(self.usable) / meant if meant else 0.0

    def low(self, threshold: float) -> bool:
        """Whether less than `threshold` of the servers that could be used work."""
        return len(self.usable) < threshold * len(self.able)

    def settle(self, panic: bool) -> None:
        """Take the eligible servers into use, all that are able where there is panic."""
        self.panic = panic
        eligible = self.able if panic else self.usable
        weights = [s.weight for s in eligible]
        self.thin = not self.balancer.WEIGHTED and any(s.warmth < 1 for s in eligible)
        if eligible == self.eligible and weights == self.weights:
            return
        self.eligible = eligible
        self.weights = weights
        if eligible:
            self.balancer.rebuild(list(eligible))

    @cython.ccall
    def pick(self, key: bytes, tried: Sequence[Server]) -> Server | None:
        """An eligible server that is not in `tried`, or None; sets `picked`, the reason."""
        found: Server | None
        if len(self.eligible) == 1 and not tried:
            self.picked = self.reason if self.reason else ONLY_ONE
            return self.eligible[0]
        found = self.balancer.pick(key, tried)  # type: ignore[assignment]  # the members are Servers
        self.picked = self.reason if self.reason else self.balancer.reason
        if self.thin and found is not None:
            found = self._thinned(found, key, tried)
        return found

    @cython.cfunc
    def _thinned(self, first: Server, key: bytes, tried: Sequence[Server]) -> Server:
        """Slow start for an algorithm that does not heed weights: a server that is warming up is passed over
        with the chance that its warmth leaves, unless all are."""
        found: Server | None = first
        passed: list[Server] = list(tried)
        while found is not None and found.warmth < 1 and self.rng.random() >= found.warmth:
            passed.append(found)
            found = self.balancer.pick(key, passed)  # type: ignore[assignment]
        return first if found is None else found
