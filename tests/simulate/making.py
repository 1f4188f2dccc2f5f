"""Services of three servers, and loads against them."""

from __future__ import annotations

from lb.plan import AlgorithmPlan, ServerPlan, ServicePlan
from lb.simulate.figures import Figures, figures
from lb.simulate.load import Load
from lb.simulate.replay import Condition, Run, algorithm_for, replay

SERVERS = ("a:1", "b:1", "c:1")


def plan(*addresses: str, algorithm: str = "round_robin", key: str = "") -> ServicePlan:
    return ServicePlan(
        "app", AlgorithmPlan(algorithm, key), tuple(ServerPlan(a) for a in addresses or SERVERS)
    )


def run(
    load: Load, name: str, slots: int = 10, service: ServicePlan | None = None, seed: int = 1, **conditions
) -> Run:
    service = service or plan()
    states = {f"{server}:1": Condition(**state) for server, state in conditions.items()}
    return replay(service, algorithm_for(service, name), load, slots, states, seed)


def tell(load: Load, name: str, *more, **conditions) -> Figures:
    return figures(run(load, name, *more, **conditions), load.seconds_long)
