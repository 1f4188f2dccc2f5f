"""Refusing because of overload: breakers of servers and of a service, and the limit that follows latency."""

from __future__ import annotations

import pytest

from lb.outcomes import Outcome
from lb.plan import AdaptivePlan, BreakerPlan, ConnectionsPlan, RetryPlan, ServerPlan
from lb.telemetry import layout
from tests.proxy.playing import GET, ROUTE, SERVERS, SWITCH, UPGRADE, House, plan

BREAKER = BreakerPlan(failures=0.5, min_requests=4, window=10.0, open=5.0)
SERVER = {"server_breaker": BREAKER}
SERVICE = {"service_breaker": BREAKER}
BAD = b"HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\n"
BUSY = b"HTTP/1.1 503 No\r\nContent-Length: 2\r\nRetry-After: 0\r\n\r\n"
ONCE = RetryPlan(attempts=0)


def house(guards, servers=("a:1", "b:1"), retry=ONCE, **more) -> House:
    return House(plan(servers, guards=guards, retry=retry, **more))


def serve(made: House, raw=BAD, address: str = ""):
    """A request that its server answers so; with `address`, only where it went there."""
    before = len(made.opened)
    asker = made.ask()
    exchange = asker.exchange
    if exchange is None:
        return asker
    side = exchange.side
    if len(made.opened) > before:
        side.connect()
    if address and side.pool.address != address:
        side.answer()
    else:
        side.answer(raw)
    return asker


def open_breaker(made: House, address: str) -> None:
    """Let one of the servers fail until its breaker opens."""
    for _ in range(20):
        serve(made, BAD, address)
        if ("app", address, True) in made.trips:
            return
    raise AssertionError("it does not open")


def told(asker) -> tuple[int, bytes]:
    """(status, field lines) of lb's own answer."""
    (said,) = asker.said
    return said[1], said[2]


def shed(made: House) -> int:
    return made.cells.get(ROUTE + layout.ROUTE_SHED)


def gauge(made: House, at: int, number: int = 0) -> int:
    return made.cells.get(SERVERS + 100 * number + at)


def test_a_server_that_fails_gets_nothing_and_the_other_everything():
    made = house(SERVER)
    open_breaker(made, "a:1")
    assert gauge(made, layout.SERVER_BREAKER) == 1
    for _ in range(10):
        asker = made.ask()
        assert asker.exchange.server.address == "b:1"
        asker.exchange.client_gone()
    assert shed(made) == 0
    made.clean()


def test_all_refuse():
    made = house(SERVER, servers=("a:1",))
    open_breaker(made, "a:1")
    sides = len(made.opened)
    made.core.now += 1.5
    asker = made.ask()
    status, lines = told(asker)
    assert status == 503 and b"Retry-After: 4\r\n" in lines, "what is left, rounded up"
    assert made.outcomes()[Outcome.SHED] == 1 and shed(made) == 1
    assert len(made.opened) == sides and made.lines[-1] == b"503 LB -", "no server was asked"
    made.clean(asker)


def test_a_trial_at_a_time_and_then_it_closes():
    made = house(SERVER, servers=("a:1",))
    open_breaker(made, "a:1")
    made.core.now += 5.0
    trial = made.ask()
    assert trial.exchange is not None and told(made.ask())[0] == 503
    trial.exchange.side.answer()
    assert gauge(made, layout.SERVER_BREAKER) == 1
    for _ in range(2):
        assert serve(made, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n").answer == 200
    assert made.trips == [("app", "a:1", True), ("app", "a:1", False)]
    assert gauge(made, layout.SERVER_BREAKER) == 0
    askers = [made.ask() for _ in range(3)]
    for asker in askers:
        asker.exchange.client_gone()
    made.clean(*askers)


def test_a_trial_that_fails_is_no_news():
    made = house(SERVER, servers=("a:1",))
    open_breaker(made, "a:1")
    made.core.now += 5.0
    assert serve(made).answer == 500 and told(made.ask())[0] == 503
    assert made.trips == [("app", "a:1", True)]


def test_a_trial_that_the_client_gave_up_is_forgiven():
    made = house(SERVER, servers=("a:1",))
    open_breaker(made, "a:1")
    made.core.now += 5.0
    made.ask().exchange.client_gone()
    assert told(made.ask())[0] == 503
    made.core.now += 5.0
    assert serve(made, address="nobody").answer == 200


def test_the_service_as_a_whole():
    made = house(SERVICE)
    for _ in range(4):
        assert serve(made).answer == 500
    assert made.trips == [("app", "", True)]
    sides = len(made.opened)
    assert told(made.ask()) == (503, told(made.ask())[1]) and len(made.opened) == sides
    assert b"Retry-After: 5\r\n" in told(made.ask())[1]
    assert gauge(made, layout.SERVER_BREAKER) == 0, "no server's own"
    made.clean()


def test_what_the_client_caused_does_not_count():
    made = house({**SERVER, **SERVICE})
    for _ in range(10):
        made.ask().exchange.client_gone()
    for raw in (b"HTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\n",) * 10:
        assert serve(made, raw).answer == 404
    assert made.trips == []


def test_a_connection_that_went_stale_does_not_count():
    made = house({**SERVER, **SERVICE}, servers=("a:1",))
    for _ in range(10):
        assert serve(made, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n").answer == 200
        asker = made.ask()
        asker.exchange.side.lose()  # an idle connection: goes again on a fresh one
        made.opened[-1].connect()
        made.opened[-1].answer()
        assert asker.answer == 200
    assert made.trips == []


@pytest.mark.parametrize("how", ["refuse", "lose", "break"])
def test_every_failure_of_the_server_counts(how):
    made = house(SERVER, servers=("a:1",))
    for _ in range(8):
        asker = made.ask()
        if asker.exchange is None:
            break
        side = asker.exchange.side
        if how == "refuse":
            side.refuse()
            continue
        side.connect()
        if how == "break":
            side.answer(piece=b"o", last=False)
        side.lose()
    assert made.trips == [("app", "a:1", True)]
    made.clean()


def test_an_answer_counts_when_its_head_is_there():
    made = house(SERVER, servers=("a:1",))
    open_breaker(made, "a:1")
    made.core.now += 5.0
    streams = []
    for raw, ask in ((None, GET), (None, GET), (SWITCH, UPGRADE)):
        streams.append(made.ask(ask))
        side = streams[-1].exchange.side
        if side.at == "opening":
            side.connect()
        side.answer(*([raw] if raw else []), piece=b"", last=False)
    assert made.trips[-1] == ("app", "a:1", False), "none of them has ended"
    for asker in streams:
        asker.exchange.client_gone()
    made.clean()


def test_a_retry_goes_past_the_server_that_refuses_and_a_tripped_service_is_not_retried():
    retry = RetryPlan(attempts=3, on=("503",), backoff=0.0)
    made = house(SERVER, servers=("a:1", "b:1", "c:1"))
    open_breaker(made, "a:1")
    made.publish(plan(("a:1", "b:1", "c:1"), guards=SERVER, retry=retry, generation=2))
    asker = made.ask()
    seen = set()
    while asker.exchange is not None and len(seen) < 2:
        seen.add(asker.exchange.server.address)
        side = asker.exchange.side
        if side.at == "opening":
            side.connect()
        side.answer(BUSY)
    assert seen == {"b:1", "c:1"}
    if asker.exchange is not None:
        asker.exchange.client_gone()

    made = house(SERVICE, retry=RetryPlan(attempts=3, on=("503",), backoff=0.0))
    asker = made.ask()
    asked = 0
    while asker.exchange is not None:
        asked += 1
        side = asker.exchange.side
        if side.at == "opening":
            side.connect()
        side.answer(BUSY)
    assert (asked, asker.answer) == (4, 503)
    assert made.trips == [("app", "", True)]
    assert made.outcomes() == {Outcome.DONE: 1}, "the server's own answer, not lb's"
    assert b"Retry-After: 5" in told(made.ask())[1] and shed(made) == 1


def test_a_shed_request_costs_no_retry():
    made = house(SERVER, servers=("a:1",), retry=RetryPlan(attempts=3))
    open_breaker(made, "a:1")
    assert told(made.ask())[0] == 503
    assert made.lines[-1] == b"503 LB -"
    for at in (layout.ROUTE_RETRIES, layout.ROUTE_BUDGET_REFUSED):
        assert made.cells.get(ROUTE + at) == 0


def test_an_open_breaker_outlives_a_reload_and_goes_with_its_section():
    made = house({**SERVER, **SERVICE}, servers=("a:1",))
    open_breaker(made, "a:1")
    assert ("app", "", True) in made.trips
    made.publish(plan(("a:1", "b:1"), guards={**SERVER, **SERVICE}, generation=2))
    assert told(made.ask())[0] == 503
    made.publish(plan(("a:1",), guards=SERVER, generation=3))
    assert told(made.ask())[0] == 503
    made.publish(plan(("a:1",), generation=4))
    assert gauge(made, layout.SERVER_BREAKER) == 0 and made.registry.breakers == {}
    assert serve(made, address="nobody").answer == 200
    made.clean()


def test_many_servers_all_of_which_refuse():
    servers = tuple(ServerPlan(f"s{i}:1", slot=SERVERS + 100 * i) for i in range(30))
    made = house(SERVER, servers=servers)
    first, *others = made.servers
    for server in others:
        for _ in range(4):
            server.breaker.observe(False, made.core.now)
    for _ in range(20):
        asker = made.ask()
        assert asker.exchange.server is first, "the one that does not refuse is found"
        asker.exchange.client_gone()
    for _ in range(4):
        first.breaker.observe(False, made.core.now)
    assert told(made.ask())[0] == 503


# -- the limit that follows latency
ADAPTIVE = {"adaptive": AdaptivePlan(least=2, most=50)}


def answers(made: House, latency: float, count: int = 20) -> None:
    """So many answers that took so long."""
    for _ in range(count):
        asker = made.ask()
        exchange = asker.exchange
        exchange.attempt_began -= latency
        if exchange.side.at == "opening":
            exchange.side.connect()
        exchange.side.answer()


def test_the_limit_comes_down_when_latency_rises_and_never_below_its_least():
    made = house(ADAPTIVE, servers=("a:1",))
    (server,) = made.servers
    answers(made, 0.01, 40)
    assert server.most == gauge(made, layout.SERVER_LIMIT) == 20
    answers(made, 0.1, 100)
    assert server.most == gauge(made, layout.SERVER_LIMIT) < 20
    answers(made, 5.0, 2000)
    assert 2 <= server.most < 8
    made.clean()


def test_the_limit_does_not_lift_max_per_server():
    made = house(ADAPTIVE, servers=("a:1",), connections=ConnectionsPlan(max_per_server=3))
    (server,) = made.servers
    assert server.most == 3
    answers(made, 0.01, 40)
    assert server.most == 3 and gauge(made, layout.SERVER_LIMIT) == 20


def test_over_the_limit_requests_queue_and_all_go_on_when_it_grew():
    made = house({"adaptive": AdaptivePlan(least=2, most=2)}, servers=("a:1",))
    askers = [made.ask() for _ in range(6)]
    assert [a.exchange.phase for a in askers] == [2, 2, 1, 1, 1, 1]
    (server,) = made.servers
    server.gradient.configure(AdaptivePlan(least=5, most=5), 1)
    made.opened[0].connect()
    made.opened[0].answer()  # the answer raises the limit, its end lets everybody in
    assert [a.exchange.phase for a in askers[1:]] == [2, 3, 2, 2, 2]
    for asker in askers[1:]:
        asker.exchange.client_gone()
    made.clean(*askers)


def test_waiting_in_the_queue_is_not_the_servers_latency():
    made = house({"adaptive": AdaptivePlan(least=1, most=1)}, servers=("a:1",))
    (server,) = made.servers
    first, second = made.ask(), made.ask()
    second.exchange.attempt_began -= 10.0  # it came ten seconds ago
    made.opened[0].connect()
    made.opened[0].answer()
    assert second.exchange.queue_took >= 10.0
    made.opened[0].answer()
    assert server.gradient.total < 1.0
    made.clean(first, second)


def test_a_limit_outlives_a_reload_and_goes_with_its_section():
    made = house(ADAPTIVE, servers=("a:1",))
    (server,) = made.servers
    answers(made, 0.01, 40)
    answers(made, 0.1, 100)
    found = server.most
    made.publish(plan(("a:1",), guards=ADAPTIVE, generation=2))
    assert server.most == found < 20
    made.publish(plan(("a:1",), generation=3))
    assert server.most == 0 == gauge(made, layout.SERVER_LIMIT)
