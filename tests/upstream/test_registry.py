"""State by identity: what stays over generations, and what goes with the last one that names it."""

from __future__ import annotations

from lb.plan import ServerPlan, ServicePlan, StatePlan
from lb.telemetry import layout
from lb.telemetry.cells import Cells
from lb.upstream.pool import BUSY, Connection
from lb.upstream.registry import Registry


class Wire(Connection):
    closed = 0

    def close(self):
        self.closed += 1


def services(**addresses: str) -> tuple[ServicePlan, ...]:
    return tuple(
        ServicePlan(name, servers=tuple(ServerPlan(a) for a in text.split()))
        for name, text in addresses.items()
    )


def warm(registry: Registry, address: str, now: float = 1.0) -> Wire:
    wire = Wire(registry.pools[address])
    wire.state = BUSY
    assert registry.pools[address].give(wire, 100, now)
    return wire


def test_one_server_an_identity_and_one_pool_an_address():
    registry = Registry(Cells(-1, 0, 1, 1000))
    server = registry.server("app", "a:1")
    assert registry.server("app", "a:1") is server
    other = registry.server("api", "a:1")
    assert other is not server and other.pool is server.pool
    assert registry.server("app", "b:1").pool is not server.pool


def test_what_stays_keeps_its_state():
    registry = Registry(Cells(-1, 0, 1, 1000))
    server = registry.server("app", "a:1")
    registry.server("app", "b:1")
    wire = warm(registry, "a:1")
    registry.reconcile(services(app="a:1 c:1"))
    assert registry.server("app", "a:1") is server and not wire.closed and server.pool.take() is wire
    assert list(registry.servers) == [("app", "a:1")] and list(registry.pools) == ["a:1"]


def test_a_gone_address_loses_its_idle_connections_and_takes_none_back():
    registry = Registry(Cells(-1, 0, 1, 1000))
    server = registry.server("app", "a:1")
    registry.server("app", "b:1")
    wire, under_way = warm(registry, "a:1"), Wire(server.pool)
    registry.reconcile(services(app="b:1"))
    assert wire.closed == 1 and registry.cells.get(100 + layout.SERVER_IDLE) == 0
    assert not server.pool.give(under_way, 100, 2.0)
    again = registry.server("app", "a:1")
    assert again is not server and again.pool is not server.pool and again.pool.max_idle > 0


def test_an_address_that_another_service_has_keeps_its_pool():
    registry = Registry(Cells(-1, 0, 1, 1000))
    pool = registry.server("app", "a:1").pool
    registry.server("api", "a:1")
    wire = warm(registry, "a:1")
    registry.reconcile(services(api="a:1"))
    assert not wire.closed and registry.pools["a:1"] is pool and list(registry.servers) == [("api", "a:1")]


def test_expire_and_close_reach_all_pools():
    registry = Registry(Cells(-1, 0, 1, 1000))
    for address in ("a:1", "b:1"):
        registry.server("app", address)
    old, fresh = warm(registry, "a:1", 0.0), warm(registry, "b:1", 30.0)
    registry.expire(60.0)
    assert (old.closed, fresh.closed) == (1, 0)
    registry.close()
    assert fresh.closed == 1 and registry.cells.get(100 + layout.SERVER_IDLE) == 0


def down(address: str) -> StatePlan:
    return StatePlan("app", address, usable=False)


def test_what_control_says_reaches_the_servers_that_are_there_and_those_that_come():
    registry = Registry(Cells(-1, 0, 1, 1000))
    there = registry.server("app", "a:1")
    registry.set_states((down("a:1"), down("b:1"), StatePlan("app", "c:1", weight=0.5)), whole=True)
    assert not there.usable and not registry.server("app", "b:1").usable
    assert registry.server("app", "c:1").factor == 0.5 and registry.server("api", "a:1").usable


def test_a_change_is_of_the_servers_it_names_and_the_whole_of_all():
    registry = Registry(Cells(-1, 0, 1, 1000))
    a, b = registry.server("app", "a:1"), registry.server("app", "b:1")
    registry.set_states((down("a:1"),), whole=True)
    registry.set_states((down("b:1"),), whole=False)
    assert (a.usable, b.usable) == (False, False)
    registry.set_states((StatePlan("app", "a:1"),), whole=False)
    assert (a.usable, b.usable) == (True, False)
    registry.set_states((down("a:1"),), whole=True)
    assert (a.usable, b.usable) == (False, True)
    assert registry.server("app", "c:1").usable
