"""Service: the eligible Servers of one generation with the algorithm that picks among them.

Part of a Snapshot: immutable but for the algorithm's own tables. Lives here: who is eligible, backups,
what happens when all were tried. Must not live here: the algorithms (lb.balancing), retries (lb.proxy).
"""

from __future__ import annotations

from collections.abc import Sequence

import cython

from lb.balancing.contract import Balancer
from lb.balancing.keys import KeySource
from lb.decisions import Select
from lb.message import Client, RequestHead
from lb.upstream.server import Server

NONE: cython.int = int(Select.NONE)
ONLY_ONE: cython.int = int(Select.ONLY_ONE)
BACKUP: cython.int = int(Select.BACKUP)
ALL_TRIED: cython.int = int(Select.ALL_TRIED)
NOT_ELIGIBLE: cython.int = int(Select.NOT_ELIGIBLE)


@cython.cclass
class Service:
    """`servers` are all members, `eligible` those that `balancer` picks from; where no other server is
    eligible these are the `backups`. `reason` is valid after `select`."""

    name: str
    label: bytes
    servers: list[Server]
    eligible: list[Server]
    backups: list[Server]
    balancer: Balancer
    key: KeySource | None
    on_backup: cython.bint
    reason: cython.int

    def __init__(self, name: str, servers: list[Server], balancer: Balancer, key: KeySource | None) -> None:
        self.name = name
        self.label = name.encode()
        self.servers = servers
        self.balancer = balancer
        self.key = key
        self.reason = NONE
        self.eligible = []
        self.backups = []
        self.on_backup = False

    def __repr__(self) -> str:
        return f"<Service {self.name} {len(self.eligible)}/{len(self.servers)} eligible>"

    def refresh(self, now: float | None = None) -> None:
        """Work out who is eligible: when the generation is published, and after every change of a server's
        state. `now`: monotonic seconds; None: the clock says."""
        self.eligible = [s for s in self.servers if s.configured > 0 and not s.backup]
        self.backups = [s for s in self.servers if s.configured > 0 and s.backup]
        self.on_backup = not self.eligible and bool(self.backups)
        if self.on_backup:
            self.eligible = self.backups
        if self.eligible:
            self.balancer.rebuild(list(self.eligible))

    def warming(self, now: float) -> bool:
        """Whether a slow start has come to its next step, so that a refresh is due."""
        return False

    @cython.ccall
    def key_of(self, head: RequestHead, client: Client) -> bytes:
        """The key that the algorithm hashes; b"" where it needs none or the request has none."""
        if self.key is None:
            return b""
        return self.key.of(head, client)

    @cython.ccall
    def select(self, key: bytes, tried: Sequence[Server]) -> Server | None:
        """The Server for this attempt, not one of `tried` while another is eligible; None where no server
        is eligible. Sets `reason`."""
        found: Server | None
        if not self.eligible:
            self.reason = NOT_ELIGIBLE
            return None
        if len(self.eligible) == 1 and not tried:
            self.reason = BACKUP if self.on_backup else ONLY_ONE
            return self.eligible[0]
        found = self.balancer.pick(key, tried)  # type: ignore[assignment]  # the members are Servers
        self.reason = BACKUP if self.on_backup else self.balancer.reason
        if found is None:
            found = self._last_resort(key, tried)
        return found

    @cython.cfunc
    def _last_resort(self, key: bytes, tried: Sequence[Server]) -> Server | None:
        """Every eligible server was tried: a backup that was not, or else a second try on one that was."""
        server: Server
        for server in self.backups:
            if server not in tried:
                self.reason = BACKUP
                return server
        self.reason = ALL_TRIED
        return self.balancer.pick(key, ())  # type: ignore[return-value]
