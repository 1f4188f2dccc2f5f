"""Services as a worker has them, out of a plan, with a clock that stands still until it is told otherwise."""

from __future__ import annotations

from random import Random

from lb.plan import AlgorithmPlan, Plan, ServerPlan, ServicePlan, StatePlan
from lb.snapshot import Snapshot, build
from lb.telemetry import layout
from lb.telemetry.cells import Cells
from lb.upstream.registry import Registry
from lb.upstream.service import Service

NOW = 1000.0
HASHING = {"consistent_hash"}


def snapshot(plan: Plan, registry: Registry | None = None, seed: int = 3) -> Snapshot:
    registry = registry or Registry(Cells(-1, 0, 1, 200_000))
    steps = build(plan, registry, Random(seed), lambda: NOW)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            end.value.take_effect(registry)
            return end.value


def servers(*specs: str) -> tuple[ServerPlan, ...]:
    """Each "NAME [xWEIGHT] [pPRIORITY] [backup]"."""
    found = []
    for at, spec in enumerate(specs):
        name, *words = spec.split()
        weight = next((int(w[1:]) for w in words if w[0] == "x"), 1)
        priority = next((int(w[1:]) for w in words if w[0] == "p"), 0)
        slot = (at + 1) * layout.SERVER_SIZE + 100
        found.append(ServerPlan(f"{name}:1", weight, "backup" in words, priority, slot))
    return tuple(found)


def service(*specs: str, algorithm: str = "round_robin", seed: int = 3, **more) -> Service:
    key = "path" if algorithm.partition("/")[0] in HASHING else ""
    name, _, method = algorithm.partition("/")
    chosen = AlgorithmPlan(name, key, {"method": method} if method else {})
    plan = ServicePlan("app", chosen, servers(*specs), **more)
    return snapshot(Plan(1, services=(plan,)), seed=seed).services["app"]


def say(made: Service, now: float = NOW, **states: StatePlan | None) -> None:
    """What control says of servers, by their names."""
    for server in made.servers:
        name = server.address.partition(":")[0]
        if name in states:
            server.set_state(states[name])
    made.refresh(now)


def state(**more) -> StatePlan:
    return StatePlan("app", "", **more)


DOWN = state(usable=False)
DRAINING = state(usable=False, draining=True)
MAINTENANCE = state(usable=False, weight=0.0)


def names(of) -> list[str]:
    return [server.address.partition(":")[0] for server in of]
