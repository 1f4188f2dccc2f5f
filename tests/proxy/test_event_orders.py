"""Exchanges under any order of events that both sides can produce: nothing raises, nothing ends twice, and
after the last one every gauge is back at 0. The players of tests.proxy.players check each call they get."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from lb.outcomes import Outcome
from lb.plan import (
    AdaptivePlan,
    BreakerPlan,
    ConnectionsPlan,
    HeaderEditsPlan,
    LimitsPlan,
    RetryPlan,
    ServerPlan,
    TimeoutPlan,
)
from lb.telemetry import layout
from tests.proxy.playing import GET, PUT, SERVERS, SWITCH, UPGRADE, House, plan

HEAD = b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n"
PIECES = st.sampled_from([b"", b"x", b"y" * 30_000, b"z" * 70_000])
STATUSES = st.sampled_from([200, 204, 404, 500, 503])
BREAKER = BreakerPlan(failures=0.5, min_requests=2, window=5.0, open=1.0)
GUARDS = st.sampled_from(
    [
        {},
        {"server_breaker": BREAKER},
        {"server_breaker": BREAKER, "service_breaker": BREAKER, "adaptive": AdaptivePlan(1, 2)},
    ]
)
pick = st.integers(0, 1 << 16)


class Orders(RuleBasedStateMachine):
    @initialize(
        most=st.integers(0, 2),
        queue=st.integers(0, 2),
        attempts=st.integers(0, 3),
        backoff=st.sampled_from([0.0, 0.1]),
        hedge=st.sampled_from([0.0, 0.5]),
        budget=st.sampled_from([0.0, 1.0]),
        guards=GUARDS,
    )
    def start(self, most, queue, attempts, backoff, hedge, budget, guards):
        self.connections = ConnectionsPlan(max_per_server=most, queue=queue, queue_timeout=1.0, max_idle=2)
        self.route = {
            "guards": guards,
            "timeout": TimeoutPlan(connect=1.0, attempt=1.5, response=2.0, total=6.0, idle=3.0),
            "retry": RetryPlan(
                attempts=attempts,
                on=("connect", "reset", "timeout", "503"),
                budget=budget,
                budget_floor=3.0 * budget,
                backoff=backoff,
                hedge=hedge,
            ),
            "response_headers": HeaderEditsPlan(set=(("x-a", "${path}"),)),
            "limits": LimitsPlan(max_body=150_000, body_timeout=2.0),
        }
        self.askers: list = []
        self.most = most
        self.house = House(plan(connections=self.connections, **self.route))

    def live(self, *phases: int):
        return [a for a in self.askers if a.exchange and (not phases or a.exchange.phase in phases)]

    def sides(self, *at: str):
        return [s for s in self.house.opened if s.at in at]

    @precondition(lambda self: len(self.live()) < 6)
    @rule(raw=st.sampled_from([GET, HEAD, UPGRADE]))
    def ask(self, raw):
        self.askers.append(self.house.ask(raw))

    @precondition(lambda self: len(self.live()) < 6)
    @rule(raw=st.sampled_from([PUT, POST]), piece=PIECES, last=st.booleans())
    def ask_with_a_body(self, raw, piece, last):
        self.askers.append(self.house.ask(raw, piece, last))

    @precondition(lambda self: any(not a.exchange.request_ended for a in self.live()))
    @rule(n=pick, piece=PIECES, last=st.booleans())
    def body(self, n, piece, last):
        asking = [a for a in self.live() if not a.exchange.request_ended]
        asking[n % len(asking)].exchange.take_body(piece, last, b"t: u\r\n" if last else b"")

    @precondition(lambda self: self.live())
    @rule(n=pick)
    def client_goes(self, n):
        self.live()[n % len(self.live())].exchange.client_gone()

    @precondition(lambda self: self.live())
    @rule(n=pick, full=st.booleans())
    def client_flow(self, n, full):
        asker = self.live()[n % len(self.live())]
        asker.full = full
        asker.exchange.client_full() if full else asker.exchange.client_ready()

    @precondition(lambda self: self.sides("opening"))
    @rule(n=pick, well=st.booleans())
    def connect(self, n, well):
        side = self.sides("opening")[n % len(self.sides("opening"))]
        side.connect() if well else side.refuse()

    @precondition(lambda self: self.sides("head"))
    @rule(n=pick, status=STATUSES, last=st.booleans(), reusable=st.booleans(), trailers=st.booleans())
    def answer(self, n, status, last, reusable, trailers):
        side = self.sides("head")[n % len(self.sides("head"))]
        raw = b"HTTP/1.1 %d X\r\nTransfer-Encoding: chunked\r\n\r\n" % status
        side.answer(raw, b"a", last, b"t: u\r\n" if last and trailers else b"", reusable)

    @precondition(lambda self: self.sides("head"))
    @rule(n=pick)
    def interim_or_switch(self, n):
        side = self.sides("head")[n % len(self.sides("head"))]
        side.answer(SWITCH if side.exchange.head.upgrade else b"HTTP/1.1 103 Early\r\n\r\n")

    @precondition(lambda self: self.sides("body"))
    @rule(n=pick, last=st.booleans(), reusable=st.booleans())
    def more(self, n, last, reusable):
        self.sides("body")[n % len(self.sides("body"))].more(b"b", last, b"", reusable)

    @precondition(lambda self: self.sides("tunnel"))
    @rule(n=pick, ended=st.booleans(), client=st.booleans())
    def tunnel(self, n, ended, client):
        exchange = self.sides("tunnel")[n % len(self.sides("tunnel"))].exchange
        if client and not exchange.client_ended:
            exchange.tunnel_from_client(b"c", ended)
        elif not client and not exchange.server_ended:
            exchange.tunnel_from_server(b"s", ended)

    @precondition(lambda self: self.sides("ready", "head", "body", "tunnel"))
    @rule(n=pick)
    def lose(self, n):
        sides = self.sides("ready", "head", "body", "tunnel")
        sides[n % len(sides)].lose()

    @precondition(lambda self: self.sides("head", "body"))
    @rule(n=pick)
    def nonsense(self, n):
        side = self.sides("head", "body")[n % len(self.sides("head", "body"))]
        side.exchange.server_failed(Outcome.SERVER_BAD_RESPONSE, False)

    @precondition(lambda self: self.sides("head", "body", "tunnel"))
    @rule(n=pick, full=st.booleans())
    def server_flow(self, n, full):
        sides = self.sides("head", "body", "tunnel")
        exchange = sides[n % len(sides)].exchange
        exchange.server_full() if full else exchange.server_ready()

    @precondition(lambda self: self.house.timers)
    @rule(n=pick)
    def back_off_ends(self, n):
        self.house.timers[n % len(self.house.timers)].fire()

    @rule(seconds=st.sampled_from([0.1, 0.5, 1.0, 2.5, 5.0]))
    def time_passes(self, seconds):
        self.house.later(seconds, *self.askers)
        self.house.registry.expire(self.house.core.now)

    @rule(weights=st.lists(st.integers(0, 2), min_size=1, max_size=3), most=st.integers(0, 2), guards=GUARDS)
    def reload(self, weights, most, guards):
        members = tuple(
            ServerPlan(f"{'abc'[i]}:1", weight=w, backup=i == 2, slot=SERVERS + 100 * i)
            for i, w in enumerate(weights)
        )
        self.most = 0  # those under way may be more than the new number
        connections = ConnectionsPlan(max_per_server=most, queue=2, queue_timeout=1.0, max_idle=1)
        generation = self.house.core.generation + 1
        self.route["guards"] = guards
        self.house.publish(plan(members, connections, generation=generation, **self.route))

    @invariant()
    def counts_agree(self):
        house, live = self.house, self.live()
        trying = [a.exchange for a in live]
        trying += [e.hedge for e in trying if e.hedge is not None]
        assert house.core.exchanges == len(live)
        for server in house.servers:
            mine = [e for e in trying if e.server is server]
            assert server.busy == sum(e.occupying for e in mine)
            assert list(server.waiting) == [e for e in server.waiting if e in mine and e.phase == 1]
            assert len(server.waiting) == sum(e.phase == 1 for e in mine)
            assert not self.most or server.busy <= self.most
        for name, of in (("BUSY", "occupying"), ("IN_FLIGHT", "attempting")):
            slots = {s.slot + getattr(layout, f"SERVER_{name}") for s in house.servers}
            assert sum(house.cells.get(at) for at in slots) == sum(getattr(e, of) for e in trying)
        carrying = [s for s in house.opened if s.exchange is not None and s.at != "closed"]
        assert len(carrying) == sum(e.side is not None for e in trying)
        assert len(house.timers) == sum(e.timer is not None for e in trying)
        assert all((e.phase == 7) == (e.timer is not None) for e in trying)
        assert all(asker.times_done == 1 for asker in self.askers if asker not in live)

    def teardown(self):
        for asker in self.askers:
            if asker.exchange is not None:
                asker.exchange.client_gone()
        self.house.registry.close()
        self.house.clean(*self.askers)
        assert self.house.idle() == 0


Orders.TestCase.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestOrders = Orders.TestCase
