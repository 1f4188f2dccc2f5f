"""Server: one member of one Service. State that outlives Snapshots, keyed by (service, address).

Lives here: weight, what control says of it, latency average, how many connections are in use, who waits for
one, and the counters in shared memory. Must not live here: connections (lb.upstream.pool), choice
(lb.balancing), and what an exchange does with it (lb.proxy).
"""

from __future__ import annotations

from typing import Any

import cython

from lb.balancing.contract import Member
from lb.balancing.latency import PeakEwma
from lb.plan import AdaptivePlan, BreakerPlan, ConnectionsPlan, ServerPlan, StatePlan
from lb.telemetry import layout
from lb.telemetry.cells import Cells
from lb.upstream.breaker import Breaker, follow
from lb.upstream.gradient import Gradient
from lb.upstream.pool import Pool

IN_FLIGHT: cython.int = layout.SERVER_IN_FLIGHT
BUSY: cython.int = layout.SERVER_BUSY
QUEUED: cython.int = layout.SERVER_QUEUED
LIMIT: cython.int = layout.SERVER_LIMIT
BREAKER: cython.int = layout.SERVER_BREAKER


@cython.cclass
class Server(Member):
    """One server of one service, as one worker sees it.

    `busy` counts connections of this worker that are connecting or carry an exchange; `most` is the
    smaller of `share`, this worker's part of max_per_server, and of the limit that `gradient` found (0: no
    limit). `waiting` holds the exchanges in the queue, first come
    first served; a dict, so that one that gives up leaves in O(1). `run` counts failures in a row
    (lb.proxy.account), of which control hears after every `suspect_after` (0: never).

    `usable`, `draining`, `factor`, `warm_from` and `why` are control's word (lb.plan.StatePlan). `weight` is
    what the algorithms see, set by Service.refresh: `configured` × `factor` × `warmth`; it keeps its last
    value above 0, because a balancer of an older generation may still divide by it.
    """

    address: str
    service: str
    name: bytes  # the address, for the access log
    host: bytes  # for `rewrite: {host: server}`
    backup: cython.bint
    configured: cython.double
    usable: cython.bint
    draining: cython.bint
    factor: cython.double
    warm_from: cython.double
    warmth: cython.double  # share of its weight that a slow start allows, 0.1..1
    why: str
    run: cython.int
    suspect_after: cython.int
    slot: cython.Py_ssize_t
    cells: Cells
    pool: Pool
    latency: PeakEwma
    busy: cython.int
    most: cython.int
    share: cython.int
    breaker: Breaker | None
    gradient: Gradient | None
    queue: cython.int
    queue_timeout: cython.double
    waiting: dict[object, object]

    def __init__(self, service: str, address: str, cells: Cells, pool: Pool) -> None:
        Member.__init__(self, f"{service}/{address}")
        self.service = service
        self.address = address
        self.name = address.encode()
        self.host = b"localhost" if address.startswith("unix:") else address.encode()
        self.backup = False
        self.configured = 1.0
        self.warmth = 1.0
        self.usable = True
        self.run = 0
        self.set_state(None)
        self.suspect_after = 0
        self.slot = 0
        self.cells = cells
        self.pool = pool
        self.latency = PeakEwma()
        self.busy = 0
        self.most = self.share = 0
        self.breaker = None
        self.gradient = None
        self.queue = 0
        self.queue_timeout = 0.0
        self.waiting = {}

    def __repr__(self) -> str:
        return f"<Server {self.identity} weight={self.weight:g} busy={self.busy} waiting={len(self.waiting)}>"

    def configure(self, plan: ServerPlan, connections: ConnectionsPlan, suspect_after: int = 0) -> None:
        """Take over what a new generation says; counts, averages and connections stay."""
        self.suspect_after = suspect_after
        self.configured = float(plan.weight)
        if self.configured > 0:
            self.weight = self.configured
        self.backup = plan.backup
        self.slot = plan.slot
        workers = self.cells.workers
        share = connections.max_per_server // workers
        rest = connections.max_per_server % workers
        # Every worker must be able to reach every server, so the share is never 0.
        self.most = self.share = (
            max(1, share + (1 if self.cells.worker < rest else 0)) if connections.max_per_server else 0
        )
        self.queue = connections.queue
        self.queue_timeout = connections.queue_timeout

    def guard(self, breaker: BreakerPlan | None, adaptive: AdaptivePlan | None) -> None:
        """Take over what a new generation says against overload, after `configure`: state and limit stay, and
        go where the plan has none any more."""
        if breaker is None and self.breaker is not None:
            self.cells.put(self.slot + BREAKER, 0)
        self.breaker = follow(self.breaker, breaker)
        if adaptive is None:
            if self.gradient is not None:
                self.cells.put(self.slot + LIMIT, 0)
            self.gradient = None
            return
        if self.gradient is None:
            self.gradient = Gradient(adaptive, self.cells.workers)
        else:
            self.gradient.configure(adaptive, self.cells.workers)
        self._limit(int(self.gradient.limit))

    def set_state(self, state: StatePlan | None) -> None:
        """Take over what control says of this server; None: nothing. Takes effect with Service.refresh. Who
        comes back begins without a record."""
        if not self.usable and (state is None or state.usable):
            self.run = 0
        self.usable = True if state is None else state.usable
        self.draining = False if state is None else state.draining
        self.factor = 1.0 if state is None else state.weight
        self.warm_from = 0.0 if state is None else state.warm_from
        self.why = "" if state is None else state.why

    def effective(self) -> float:
        """The weight that counts now; 0.0: gets no new exchanges."""
        return self.configured * self.factor * self.warmth

    @cython.ccall
    def in_flight(self) -> cython.longlong:
        return self.cells.total(self.slot + IN_FLIGHT)

    @cython.ccall
    def cost(self, now: cython.double) -> cython.double:
        return self.latency.value(now)

    @cython.ccall
    def adapt(self, latency: cython.double) -> object:
        """An answer came within `latency` seconds: the limit follows. Only where there is a gradient."""
        limit: cython.int = self.gradient.observe(latency, self.busy)  # type: ignore[union-attr]
        self._limit(limit)
        self.cells.put(self.slot + LIMIT, limit)
        return None

    @cython.cfunc
    def _limit(self, limit: cython.int) -> object:
        self.most = min(limit, self.share) if self.share > 0 else limit
        return None

    @cython.ccall
    def full(self) -> cython.bint:
        """Whether a further connection would go over max_per_server."""
        return self.most > 0 and self.busy >= self.most

    @cython.ccall
    def occupy(self) -> object:
        self.busy += 1
        self.cells.add(self.slot + BUSY, 1)
        return None

    @cython.ccall
    def vacate(self) -> Any:
        """A connection is not in use any more; the next waiting exchange, removed from the queue, or
        None."""
        self.busy -= 1
        self.cells.add(self.slot + BUSY, -1)
        return self.admit()

    @cython.ccall
    def admit(self) -> Any:
        """The next waiting exchange, removed from the queue; None where there is no room, or nobody waits."""
        if self.waiting and not self.full():
            exchange = next(iter(self.waiting))
            self.leave(exchange)
            return exchange
        return None

    @cython.ccall
    def enter(self, exchange: object) -> cython.bint:
        """Join the queue; False where it is full."""
        if len(self.waiting) >= self.queue:
            return False
        self.waiting[exchange] = None
        self.cells.add(self.slot + QUEUED, 1)
        return True

    @cython.ccall
    def leave(self, exchange: object) -> object:
        """Leave the queue, wherever in it."""
        if exchange in self.waiting:
            del self.waiting[exchange]
            self.cells.add(self.slot + QUEUED, -1)
        return None
