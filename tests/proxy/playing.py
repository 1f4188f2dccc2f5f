"""A data plane without sockets: a Core with real Snapshots, between the players of tests.proxy.players."""

from __future__ import annotations

from random import Random

from lb.http1.request import read_request
from lb.outcomes import Outcome
from lb.plan import (
    AccessLogPlan,
    AlgorithmPlan,
    ConnectionsPlan,
    LimitsPlan,
    ListenerPlan,
    Plan,
    RoutePlan,
    ServerPlan,
    ServicePlan,
    WeightedService,
)
from lb.proxy.copies import Copies
from lb.proxy.core import Core
from lb.proxy.exchange import Exchange
from lb.proxy.hedge import hedge
from lb.snapshot import build
from lb.telemetry import layout
from lb.telemetry.cells import Cells
from lb.upstream.registry import Registry
from tests.proxy.players import Asker, Server

LISTENER, ROUTE, SERVERS = 100, 200, 1000  # slots
LOG = AccessLogPlan(format="${status} ${flag} ${attempts}")
LATE = 0.25  # more than the tick that every deadline is late by
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
PUT = b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
UPGRADE = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"


def plan(
    servers=("a:1", "b:1"),
    connections=None,
    limits=None,
    generation=1,
    algorithm=None,
    guards=None,
    more=(),
    **route,
) -> Plan:
    """One listener, one route, one service "app" with `servers`: addresses or ServerPlans. `guards`: further
    fields of the ServicePlan; `more`: further ServicePlans."""
    members = tuple(
        ServerPlan(s, slot=SERVERS + 100 * i) if isinstance(s, str) else s for i, s in enumerate(servers)
    )
    if "respond" not in route and "redirect" not in route:
        route.setdefault("services", (WeightedService("app", 1, ROUTE),))
    service = ServicePlan(
        "app",
        algorithm or AlgorithmPlan(),
        servers=members,
        connections=connections or ConnectionsPlan(),
        **(guards or {}),
    )
    return Plan(
        generation,
        listeners=(ListenerPlan("web", ("127.0.0.1:0",), limits=limits or LimitsPlan(), slot=LISTENER),),
        routes=(RoutePlan("r", slot=ROUTE, **route),),
        services=(service, *more),
        access_log=LOG,
    )


def built(what: Plan, registry: Registry, rng: Random):
    steps = build(what, registry, rng, lambda: 0.0)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


class Timer:
    """One back-off that was asked for; it is over when the test says so."""

    def __init__(self, timers, seconds, what) -> None:
        self.timers = timers
        self.seconds = seconds
        self.what = what

    def cancel(self) -> None:
        self.timers.remove(self)

    def fire(self) -> None:
        self.timers.remove(self)
        self.what()


class House:
    """One worker's Core with a Snapshot in force. `opened` are all server connections, in order."""

    def __init__(self, what: Plan | None = None) -> None:
        self.cells = Cells(-1, 0, 1, 10_000)
        self.registry = Registry(self.cells)
        self.rng = Random(7)
        self.written: list[bytes] = []
        self.core = Core(self.cells, self.written.append, self.rng)
        self.core.open = self._open
        self.core.later = self._later
        self.core.hedge = hedge
        self.copies = Copies(self.core)
        self.core.mirror = self.copies.send
        self.core.now = 1000.0
        self.timers: list[Timer] = []
        self.opened: list[Server] = []
        self.exchanges: list[Exchange] = []
        self.trips: list[tuple[str, str, bool]] = []  # what is told of breakers
        self.core.tripped = lambda *said: self.trips.append(said)
        self.servers: set = set()
        self.publish(what or plan())

    @property
    def lines(self) -> list[bytes]:
        """The access log so far."""
        self.core.flush_log()
        return b"".join(self.written).splitlines()

    def publish(self, what: Plan) -> None:
        snapshot = self.snapshot = built(what, self.registry, self.rng)
        snapshot.take_effect(self.registry)
        core = self.core
        core.take_routes(snapshot.routes)
        core.table, core.line = snapshot.table, snapshot.line
        core.listeners, core.generation = snapshot.listeners, snapshot.generation
        self.servers.update(s for service in snapshot.services.values() for s in service.servers)

    def _open(self, server, exchange) -> Server:
        self.opened.append(Server(server.pool, exchange))
        return self.opened[-1]

    def _later(self, seconds, what) -> Timer:
        self.timers.append(Timer(self.timers, seconds, what))
        return self.timers[-1]

    def ask(self, raw: bytes = GET, piece: bytes = b"", last: bool = True, trusted: bool = False) -> Asker:
        """A request, begun as lb.proxy.client begins it."""
        asker = Asker(self.core)
        asker.trusted = trusted
        if self.core.spare:
            exchange = self.core.spare.pop()
        else:
            exchange = Exchange(self.core)
            self.exchanges.append(exchange)
        assert read_request(raw, 0, 0, exchange.head, 65536, 100) == len(raw)
        asker.exchange = exchange
        exchange.begin(asker, piece, last)
        return asker

    def later(self, seconds: float, *askers: Asker) -> None:
        self.core.now += seconds + LATE
        for asker in askers:
            if asker.exchange is not None:
                asker.exchange.check(self.core.now)

    def gauges(self) -> dict[str, int]:
        """The sums of all gauges that are not 0, idle connections apart."""
        found = {"exchanges": self.core.exchanges, "route": self.cells.get(ROUTE)}
        for server in self.servers:
            for name in ("IN_FLIGHT", "BUSY", "QUEUED"):
                at = server.slot + getattr(layout, f"SERVER_{name}")
                found[name] = found.get(name, 0) + self.cells.get(at)
            found["busy"] = found.get("busy", 0) + server.busy
            found["waiting"] = found.get("waiting", 0) + len(server.waiting)
        return {name: value for name, value in found.items() if value}

    def idle(self) -> int:
        """The idle gauge, which is the number of idle connections."""
        counted = sum(self.cells.get(s.slot + layout.SERVER_IDLE) for s in self.servers)
        pools = {id(s.pool): s.pool for s in self.servers}.values()
        assert counted == sum(len(pool.idle) for pool in pools)
        return counted

    def outcomes(self) -> dict[Outcome, int]:
        return {o: n for o in Outcome if (n := self.cells.get(layout.WORKER_OUTCOMES + o)) > 0}

    def clean(self, *askers: Asker) -> None:
        """Nothing is under way and nothing was lost: what must hold after every end."""
        assert self.gauges() == {}
        self.idle()
        assert sorted(map(id, self.core.spare)) == sorted(map(id, self.exchanges))
        assert self.timers == []
        assert all(hedge.first is None for hedge in self.core.hedges)
        assert all(asker.times_done == 1 for asker in askers)
        assert len(self.lines) == sum(self.outcomes().values())
