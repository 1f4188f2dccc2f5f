"""Service: the Servers of one generation in their groups, and which group a request goes to.

Part of a Snapshot: immutable but for what `refresh` works out from the state of the Servers. Lives here: how
groups share the requests, panic, what happens when all were tried, whether a session stays. Must not live
here: who of a group is eligible (lb.upstream.group), the algorithms (lb.balancing), retries (lb.proxy).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

import cython

from lb.balancing.keys import KeySource
from lb.decisions import Select
from lb.message import Client, RequestHead
from lb.plan import ServicePlan
from lb.upstream.breaker import Breaker
from lb.upstream.group import Group
from lb.upstream.server import Server
from lb.upstream.sticky import Sticky

NONE: cython.int = int(Select.NONE)
BACKUP: cython.int = int(Select.BACKUP)
ALL_TRIED: cython.int = int(Select.ALL_TRIED)
NOT_ELIGIBLE: cython.int = int(Select.NOT_ELIGIBLE)
SPILL: cython.int = int(Select.SPILL)
PANIC: cython.int = int(Select.PANIC)
STICKY: cython.int = int(Select.STICKY)
STICKY_LOST: cython.int = int(Select.STICKY_LOST)

# A group of which 1 / OVERPROVISIONING works still takes everything (Envoy's figure): spare capacity that
# services have anyway, so that one server of many that fails moves no traffic to another priority.
OVERPROVISIONING = 1.4
_ALL = 1 - 1e-9  # sums of shares are rounded


@cython.cclass
class Service:
    """`servers` are all members, `eligible` those that may be picked now; `groups` stand in the order of
    their priorities, backups last. `group` takes all requests unless `spill`. `reason`: of the last pick.
    `breaker`: of the service as a whole; it outlives the Snapshot (lb.upstream.registry)."""

    name: str
    label: bytes
    servers: list[Server]
    groups: list[Group]
    key: KeySource | None
    sticky: Sticky | None
    eligible: list[Server]
    group: Group | None
    spill: cython.bint
    panic_threshold: cython.double
    slow_start: cython.double
    next_step: cython.double
    reason: cython.int
    breaker: Breaker | None
    rng: Random
    clock: Callable[[], float]

    def __init__(
        self,
        plan: ServicePlan,
        groups: list[Group],
        servers: list[Server],
        key: KeySource | None,
        sticky: Sticky | None,
        rng: Random,
        clock: Callable[[], float],
    ) -> None:
        self.name = plan.name
        self.label = plan.name.encode()
        self.servers = servers
        self.groups = groups
        self.key = key
        self.sticky = sticky
        self.eligible = []
        self.group = None
        self.spill = False
        self.panic_threshold = plan.panic_threshold
        self.slow_start = plan.slow_start
        self.next_step = 0.0
        self.reason = NONE
        self.breaker = None
        self.rng = rng
        self.clock = clock

    def __repr__(self) -> str:
        return f"<Service {self.name} {len(self.eligible)}/{len(self.servers)} eligible>"

    # ---------------------------------------------------------------------------- who is eligible

    def refresh(self, now: float | None = None) -> None:
        """Work out who is eligible: when the generation is published, after every change of a server's state,
        and at the steps of a slow start. `now`: monotonic seconds; None: the clock says. Algorithms are
        rebuilt only where their members or weights changed."""
        moment = self.clock() if now is None else now
        threshold = self.panic_threshold
        for group in self.groups:
            group.look(self.slow_start, moment)
        regular = [group for group in self.groups if not group.backup]
        # Backups take part only where nobody else works, and before there is panic.
        if any(group.low(threshold) for group in regular) or not any(group.usable for group in regular):
            regular = self.groups
        loads = [
            min(1.0, OVERPROVISIONING * group.working()) if group in regular else 0.0 for group in self.groups
        ]
        total = sum(loads)
        for group, load in zip(self.groups, loads, strict=True):
            group.settle(group in regular and group.low(threshold) and total - load < _ALL)
        self._divide(loads, total)
        chosen = {server for group in self.groups if group.share > 0 for server in group.eligible}
        self.eligible = [server for server in self.servers if server in chosen]
        if self.sticky is not None:
            # in panic a session stays where it is as well
            self.sticky.admit([s for s in self.servers if s.usable or s.draining or s in chosen])
        steps = [group.next_step for group in self.groups if group.next_step > 0]
        self.next_step = min(steps) if steps else 0.0

    def _divide(self, loads: list[float], total: float) -> None:
        """Give every group its share: each in turn what it can take, and all in proportion where together
        they cannot take everything. Where nobody works but there is panic, the first group takes all."""
        left = 1.0
        for group, load in zip(self.groups, loads, strict=True):
            if total > 0:
                group.share = min(left, load / min(1.0, total))
            else:
                group.share = left if group.panic else 0.0
            left = max(0.0, left - group.share)
            if group.panic:
                group.reason = PANIC
            elif group.backup:
                group.reason = BACKUP
            else:
                group.reason = NONE if group is self.groups[0] else SPILL
        used = [group for group in self.groups if group.share > 0]
        self.group = used[0] if used else None
        self.spill = len(used) > 1

    def warming(self, now: float) -> bool:
        """Whether a slow start has come to its next step, so that a refresh is due."""
        return 0 < self.next_step <= now

    # ------------------------------------------------------------------------------------ the pick

    @cython.ccall
    def key_of(self, head: RequestHead, client: Client) -> bytes:
        """The key that the algorithm hashes; b"" where it needs none or the request has none."""
        if self.key is None:
            return b""
        return self.key.of(head, client)

    @cython.ccall
    def select(self, key: bytes, tried: Sequence[Server], token: bytes = b"") -> Server | None:
        """The Server for this attempt, not one of `tried` while another is eligible; None where no server
        is eligible. `token`: what the cookie of a sticky session says. Sets `reason`."""
        group: Group
        found: Server | None
        if token and self.sticky is not None:
            found = self.sticky.admitted.get(token)
            if found is not None and found not in tried:
                self.reason = STICKY
                return found
        if self.group is None:
            self.reason = NOT_ELIGIBLE
            return None
        group = self._drawn() if self.spill else self.group
        found = group.pick(key, tried)
        self.reason = group.picked
        if found is None:
            found = self._last_resort(group, key, tried)
        if token and not tried and self.reason != PANIC:
            self.reason = STICKY_LOST
        return found

    @cython.cfunc
    def _drawn(self) -> Group:
        """One of the groups that share the requests."""
        u: cython.double = self.rng.random()
        group: Group
        found: Group = self.groups[0]
        for group in self.groups:
            if group.share > 0:
                found = group
                u -= group.share
                if u < 0:
                    break
        return found

    @cython.cfunc
    def _last_resort(self, asked: Group, key: bytes, tried: Sequence[Server]) -> Server | None:
        """Every eligible server of a group was tried: one of another group, or else a second try."""
        group: Group
        found: Server | None
        for group in self.groups:
            if group is not asked and group.eligible:
                found = group.pick(key, tried)
                if found is not None:
                    self.reason = group.picked
                    return found
        self.reason = ALL_TRIED
        return asked.balancer.pick(key, ())  # type: ignore[return-value]  # the members are Servers
