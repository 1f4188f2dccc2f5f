"""A data plane without sockets: a Core with real Snapshots, and both sides of an Exchange as players that
write down what they are asked and check that it makes sense in that order."""

from __future__ import annotations

from random import Random

from lb.http1.request import read_request
from lb.http1.response import read_response
from lb.message import Client
from lb.outcomes import Outcome
from lb.plan import (
    AccessLogPlan,
    ConnectionsPlan,
    LimitsPlan,
    ListenerPlan,
    Plan,
    RoutePlan,
    ServerPlan,
    ServicePlan,
    WeightedService,
)
from lb.proxy.core import Core
from lb.proxy.exchange import Exchange
from lb.proxy.forwarded import own_lines
from lb.proxy.sides import ClientSide, ServerSide
from lb.snapshot import build
from lb.telemetry import layout
from lb.telemetry.cells import Cells
from lb.upstream.registry import Registry

LISTENER, ROUTE, SERVERS = 100, 200, 1000  # slots
LOG = AccessLogPlan(format="${status} ${flag} ${attempts}")
LATE = 0.25  # more than the tick that every deadline is late by
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
PUT = b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
UPGRADE = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"


def plan(
    servers=("a:1", "b:1"), connections=None, limits=None, generation=1, algorithm=None, **route
) -> Plan:
    """One listener, one route, one service "app" with `servers`: addresses or ServerPlans."""
    members = tuple(
        ServerPlan(s, slot=SERVERS + 100 * i) if isinstance(s, str) else s for i, s in enumerate(servers)
    )
    if "respond" not in route and "redirect" not in route:
        route.setdefault("services", (WeightedService("app", 1, ROUTE),))
    service = ServicePlan("app", servers=members, connections=connections or ConnectionsPlan())
    return Plan(
        generation,
        listeners=(ListenerPlan("web", ("127.0.0.1:0",), limits=limits or LimitsPlan(), slot=LISTENER),),
        routes=(RoutePlan("r", slot=ROUTE, **route),),
        services=(service,),
        access_log=LOG,
    )


def built(what: Plan, registry: Registry, rng: Random):
    steps = build(what, registry, rng, lambda: 0.0)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


class Asker(ClientSide):
    """The client's side. `said` holds what it was told, in order."""

    def __init__(self, core: Core, address: str = "192.0.2.1") -> None:
        self.rules = core.listeners["web"]
        self.client = Client(address, "web")
        self.scheme = b"http"
        self.trusted = False
        self.own_lines = own_lines(self.rules, address, b"http")
        self.said: list[tuple] = []
        self.holds = 0
        self.full = self.begun = self.ended = False
        self.times_done = 0
        self.gone = False  # a connection that is gone takes anything, to no effect
        self.exchange: Exchange | None = None

    def _alive(self) -> None:
        assert not self.times_done, f"asked after the end: {self.said}"

    def respond(self, head, piece, last):
        self._alive()
        assert not self.begun
        self.begun, self.ended = True, last
        self.said.append(("respond", head.status, piece, last))

    def respond_interim(self, head):
        self._alive()
        assert not self.begun
        self.said.append(("interim", head.status))

    def respond_self(self, status, lines, body, close):
        self._alive()
        assert not self.begun, "a second response"
        self.begun = self.ended = True
        self.said.append(("self", status, lines, body, close))

    def send(self, piece, last, trailers):
        self._alive()
        assert self.begun and not self.ended
        self.ended = last
        self.said.append(("send", piece, last, trailers))

    def open_tunnel(self, head):
        self._alive()
        assert not self.begun
        self.begun = True
        self.said.append(("tunnel", head.status))

    def send_raw(self, data, ended):
        self._alive()
        assert not self.ended
        self.ended = ended
        self.said.append(("raw", data, ended))

    def break_off(self):
        self._alive()
        assert self.begun
        self.said.append(("break",))

    def hold(self, why):
        self.holds |= why

    def let_go(self, why):
        self.holds &= ~why

    def held(self):
        return self.holds != 0

    def blocked(self):
        return self.full

    def done(self):
        self._alive()
        self.times_done += 1
        self.exchange = None

    @property
    def answer(self) -> int:
        """The status that the client got; 0 where none."""
        return next((s[1] for s in self.said if s[0] in ("respond", "self", "tunnel")), 0)


class Server(ServerSide):
    """The server's side, with the states of a real connection: opening, ready, head, body, tunnel, closed."""

    def __init__(self, pool, exchange) -> None:
        super().__init__(pool)
        self.exchange = exchange
        self.at = "opening"
        self.out = b""
        self.starts: list[bytes] = []
        self.held = False
        self.client_ended = False

    def start(self, exchange, out, no_body):
        assert self.at == "ready" and not self.held, "not fit for an exchange"
        self.exchange = exchange
        self.reusable = False
        self.at = "head"
        self.served += 1
        self.starts.append(out)
        self.out = out

    def send(self, data):
        assert self.at in ("head", "body", "tunnel", "closed")
        self.out += data

    def end_tunnel(self):
        assert self.at == "tunnel" and not self.client_ended
        self.client_ended = True

    def hold(self):
        self.held = self.at not in ("opening", "closed")

    def let_go(self):
        self.held = False

    def close(self):
        self.pool.drop(self)
        self.at = "closed"

    # what the server does

    def connect(self) -> None:
        self.at = "ready"
        self.state = 1
        self.exchange.connected(self)

    def refuse(self) -> None:
        self.at = "closed"
        self.exchange.server_failed(Outcome.CONNECT_FAILED, False)

    def answer(self, raw=OK, piece=b"ok", last=True, trailers=b"", reusable=True) -> None:
        exchange = self.exchange
        assert read_response(raw, 0, 0, exchange.response, 65536, 100) == len(raw)
        if exchange.response.status == 101:
            self.at = "tunnel"
            exchange.got_tunnel()
        elif exchange.response.status < 200:
            exchange.got_interim()
        else:
            self.at = "ready" if last else "body"
            self.reusable = last and reusable
            exchange.got_response(piece, last, trailers)

    def more(self, piece=b"", last=True, trailers=b"", reusable=True) -> None:
        self.at = "ready" if last else "body"
        self.reusable = last and reusable
        self.exchange.got_body(piece, last, trailers)

    def lose(self) -> None:
        exchange, at, self.at = self.exchange, self.at, "closed"
        self.pool.drop(self)
        if exchange is not None and at == "head":
            exchange.server_failed(Outcome.SERVER_RESET, self.served > 1)
        elif exchange is not None:
            exchange.server_failed(Outcome.SERVER_BROKE_OFF, False)


class House:
    """One worker's Core with a Snapshot in force. `opened` are all server connections, in order."""

    def __init__(self, what: Plan | None = None) -> None:
        self.cells = Cells(-1, 0, 1, 10_000)
        self.registry = Registry(self.cells)
        self.rng = Random(7)
        self.lines: list[bytes] = []
        self.core = Core(self.cells, self.lines.append, self.rng)
        self.core.open = self._open
        self.core.now = 1000.0
        self.opened: list[Server] = []
        self.exchanges: list[Exchange] = []
        self.servers: set = set()
        self.publish(what or plan())

    def publish(self, what: Plan) -> None:
        snapshot = self.snapshot = built(what, self.registry, self.rng)
        snapshot.take_effect(self.registry)
        core = self.core
        core.table, core.routes, core.line = snapshot.table, snapshot.routes, snapshot.line
        core.listeners, core.generation = snapshot.listeners, snapshot.generation
        self.servers.update(s for service in snapshot.services.values() for s in service.servers)

    def _open(self, server, exchange) -> Server:
        self.opened.append(Server(server.pool, exchange))
        return self.opened[-1]

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
        exchange.reset()
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
        assert all(asker.times_done == 1 for asker in askers)
        assert len(self.lines) == sum(self.outcomes().values())
