"""Building a Snapshot: all or nothing, in slices, and what publishing changes."""

from __future__ import annotations

import asyncio
from random import Random
from time import thread_time

import pytest

from lb.plan import (
    AccessLogPlan,
    AlgorithmPlan,
    ConnectionsPlan,
    HeaderEditsPlan,
    ListenerPlan,
    MatchPlan,
    MirrorPlan,
    Plan,
    RedirectPlan,
    RoutePlan,
    ServerPlan,
    ServicePlan,
    StatePlan,
    Update,
    WeightedService,
)
from lb.proxy.plane import DataPlane
from lb.snapshot import SnapshotError, build
from lb.telemetry.cells import Cells
from lb.upstream.registry import Registry
from lb.worker.messages import updated

ROUND_ROBIN = AlgorithmPlan()


def service(name: str, *addresses: str, algorithm: AlgorithmPlan = ROUND_ROBIN, **connections) -> ServicePlan:
    servers = tuple(ServerPlan(a, slot=100 + 50 * i) for i, a in enumerate(addresses))
    return ServicePlan(name, algorithm, servers, ConnectionsPlan(**connections))


def route(name: str, used: str = "app", **more) -> RoutePlan:
    return RoutePlan(name, services=(WeightedService(used, 1),), **more)


def run(plan: Plan, registry: Registry):
    """(Snapshot, how often it yielded, the longest slice in seconds of this thread)"""
    steps, yields, longest = build(plan, registry, Random(1), lambda: 0.0), 0, 0.0
    while True:
        began = thread_time()
        try:
            next(steps)
        except StopIteration as end:
            return end.value, yields, longest
        longest = max(longest, thread_time() - began)
        yields += 1


def registry() -> Registry:
    return Registry(Cells(-1, 0, 1, 10_000))


GOOD = Plan(
    1,
    listeners=(ListenerPlan("web", ("127.0.0.1:0",)),),
    routes=(route("r"), RoutePlan("old", MatchPlan(path=("/old",)), redirect=RedirectPlan("/new"))),
    services=(service("app", "a:1", "b:1", max_idle=5, idle_timeout=6.0, max_age=7.0, max_per_server=8),),
    access_log=AccessLogPlan(),
)


def test_what_a_snapshot_holds():
    made, _, _ = run(GOOD, registry())
    assert made.generation == 1 and list(made.listeners) == ["web"] and made.line is not None
    assert [r.label for r in made.routes] == [b"r", b"old"]
    assert made.routes[0].services == [made.services["app"]] and made.routes[1].services == []
    assert run(Plan(2), registry())[0].line is None


def test_a_route_with_a_mirror():
    mirrored = route("m", mirror=MirrorPlan("next", 0.5, headers=("x-a",), max_body=9, slot=300))
    made, _, _ = run(
        Plan(1, services=(service("app"), service("next")), routes=(mirrored, route("r"))), registry()
    )
    how = made.routes[0].mirror
    assert (how.service, how.share, how.slot, how.headers, how.max_body) == (
        made.services["next"], 0.5, 300, (b"x-a",), 9,
    )  # fmt: skip
    assert how.rules.services == [how.service] and how.rules.mirror is None
    assert (how.rules.attempts, how.rules.hedge, how.rules.total, how.rules.label) == (0, 0.0, 60.0, b"m")
    assert made.routes[0].plain and not how.rules.plain and made.routes[1].mirror is None
    with pytest.raises(SnapshotError, match="route m: there is no service 'next'"):
        run(Plan(1, services=(service("app"),), routes=(mirrored,)), registry())


def test_nothing_changes_before_it_takes_effect():
    state = registry()
    run(GOOD, state)[0].take_effect(state)
    first = state.servers["app", "a:1"]
    second = Plan(
        2, services=(service("app", "a:1", "c:1", max_idle=1, max_per_server=2),), routes=(route("r"),)
    )
    made, _, _ = run(second, state)
    assert (first.most, first.pool.max_idle) == (8, 5) and ("app", "b:1") in state.servers
    assert not made.services["app"].eligible
    made.take_effect(state)
    assert (first.most, first.pool.max_idle) == (2, 1) and state.servers["app", "a:1"] is first
    assert sorted(state.servers) == [("app", "a:1"), ("app", "c:1")] and sorted(state.pools) == ["a:1", "c:1"]
    assert made.services["app"].eligible == made.services["app"].servers == list(state.servers.values())
    pool = first.pool
    assert (pool.idle_timeout, pool.max_age) == (60.0, 3600.0)


BAD = {
    "algorithm": Plan(2, services=(service("app", "z:1", algorithm=AlgorithmPlan("fastest")),)),
    "option": Plan(2, services=(service("app", "z:1", algorithm=AlgorithmPlan(options={"x": 1})),)),
    "key": Plan(2, services=(service("app", "z:1", algorithm=AlgorithmPlan("consistent_hash", "moon")),)),
    "regex": Plan(
        2, routes=(route("r", match=MatchPlan(path_regex=("(",))),), services=(service("app", "z:1"),)
    ),
    "service": Plan(2, routes=(route("r", "gone"),), services=(service("app", "z:1"),)),
    "header": Plan(
        2,
        routes=(route("r", response_headers=HeaderEditsPlan(set=(("a b", ""),))),),
        services=(service("app", "z:1"),),
    ),
    "log": Plan(2, services=(service("app", "z:1"),), access_log=AccessLogPlan(format="${nothing}")),
    "network": Plan(
        2, (ListenerPlan("web", (), trusted_proxies=("10.0.0.0/99",)),), services=(service("app", "z:1"),)
    ),
}


def state_of(state: Registry) -> list[tuple]:
    return [
        (i, id(s), s.weight, s.most, s.queue, s.slot, id(s.pool), s.pool.max_idle)
        for i, s in state.servers.items()
        if i[1] != "z:1"
    ]


@pytest.mark.parametrize("fault", BAD)
def test_a_plan_that_cannot_be_run_changes_nothing(fault):
    state = registry()
    good, _, _ = run(GOOD, state)
    good.take_effect(state)
    before = state_of(state)
    with pytest.raises(SnapshotError) as problem:
        run(BAD[fault], state)
    assert len(str(problem.value)) > 10
    # the worker takes any ValueError for a refusal and everything else for a bug of lb
    assert isinstance(problem.value, ValueError)
    assert state_of(state) == before and len(good.services["app"].eligible) == 2
    run(GOOD, state)[0].take_effect(state)
    assert state_of(state) == before and ("app", "z:1") not in state.servers, (
        "what it left goes with the next"
    )


def test_a_build_that_is_given_up_changes_nothing():
    state = registry()
    run(GOOD, state)[0].take_effect(state)
    before = state_of(state)
    steps = build(BAD["regex"], state, Random(1), lambda: 0.0)
    next(steps)
    steps.close()
    assert state_of(state) == before


def test_a_large_plan_yields_often():
    many = Plan(
        1,
        routes=tuple(route(f"r{n}", match=MatchPlan(path_prefix=(f"/p{n}",))) for n in range(3000)),
        services=(service("app", *(f"h{n}:1" for n in range(3000))),),
    )
    made, yields, longest = run(many, registry())
    assert len(made.routes) == 3000 and yields >= 80
    assert longest < 0.5  # a few ms; the processor of a test may be slow


# ------------------------------------------------------------------------------------------- updates


def change(plane: DataPlane, plan: Plan, *services: ServicePlan) -> Plan:
    """`plan`, which is in force, with these services instead of its own."""
    update = Update(plan.generation, plan.generation + 1, services)
    following = updated(plan, update)
    publish(plane, following, update)
    return following


def publish(plane: DataPlane, plan: Plan, update: Update | None = None) -> None:
    steps = plane.build(plan, update)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            plane.publish(end.value)
            return


def plane() -> DataPlane:
    loop = asyncio.new_event_loop()
    try:
        return DataPlane(loop, Cells(-1, 0, 1, 10_000), 0, lambda lines: None)
    finally:
        loop.close()


def many(*services: ServicePlan) -> Plan:
    routes = [route(f"to-{s.name}", s.name) for s in services]
    split = RoutePlan("split", services=tuple(WeightedService(s.name, 1) for s in services))
    copied = route("copied", "a", mirror=MirrorPlan("b"))
    return Plan(1, (ListenerPlan("web", ("127.0.0.1:0",)),), (*routes, split, copied), services)


def test_an_update_shares_all_but_its_services():
    house = plane()
    plan = many(service("a", "a:1", "a:2"), service("b", "b:1"), service("c", "c:1"))
    publish(house, plan)
    before = house.snapshot
    assert before is not None
    rules, balancer, kept = (
        [*before.routes],
        before.services["c"].groups[0].balancer,
        before.services["b"].servers[0],
    )
    change(house, plan, service("b", "b:1", "b:2"))
    after = house.snapshot
    assert after is not None and after.generation == house.core.generation == 2
    assert after.table is before.table and after.services["c"] is before.services["c"]
    assert after.services["c"].groups[0].balancer is balancer
    assert after.services["b"].servers[0] is kept and len(after.services["b"].eligible) == 2
    assert [now is old for now, old in zip(after.routes, rules, strict=True)] == [
        True,
        False,
        True,
        False,
        False,
    ]
    assert after.routes[4].mirror is not None and after.routes[4].mirror.service is after.services["b"]
    assert all(now.budget is old.budget for now, old in zip(after.routes, rules, strict=True))
    assert before.routes == rules  # exchanges of the old generation end on it


def test_a_refused_update_leaves_everything_as_it_was():
    house = plane()
    plan = many(service("a", "a:1"), service("b", "b:1"))
    publish(house, plan)
    before = house.snapshot
    with pytest.raises(SnapshotError, match="service b"):
        change(house, plan, service("b", "b:1", "x:1", algorithm=AlgorithmPlan("none_such")))
    assert house.snapshot is before and house.core.generation == 1
    change(house, plan, service("b", "b:1"))
    assert ("b", "x:1") not in house.registry.servers and "x:1" not in house.registry.pools


def shown(house: DataPlane) -> dict:
    """What a worker can be seen to do: who is in each service, and at what weight; and what it keeps."""
    assert house.snapshot is not None
    return {
        "services": {
            name: [(s.address, s.weight, s.usable, s.slot, s in found.eligible) for s in found.servers]
            for name, found in house.snapshot.services.items()
        },
        "routes": [[s is house.snapshot.services[s.name] for s in r.services] for r in house.snapshot.routes],
        "plan": house.snapshot.plan,
        "servers": set(house.registry.servers),
        "pools": set(house.registry.pools),
    }


@pytest.mark.parametrize("seed", range(20))
def test_any_updates_come_to_the_same_as_one_whole_plan(seed):
    rng = Random(seed)
    one, names = plane(), "abcd"
    plan = many(*(service(name, "s:1") for name in names))
    publish(one, plan)
    for _ in range(30):
        fresh = [
            service(name, *rng.sample([f"s:{n}" for n in range(6)], rng.randrange(6)))
            for name in rng.sample(names, rng.randint(1, 3))
        ]
        states = [
            StatePlan(s.name, server.address, usable=rng.random() < 0.7)
            for s in fresh
            for server in s.servers
            if rng.random() < 0.5
        ]
        one.set_states(states, False, [s.name for s in fresh])
        plan = change(one, plan, *fresh)
    other = plane()
    publish(other, plan)
    other.set_states([s for said in one.registry.states.values() for s in said.values()], True)
    publish(other, plan)
    assert shown(one) == shown(other)
