"""What `lb explain` says of servers on a running lb: it knows what the workers know."""

from __future__ import annotations

import time

from lb.admin.view import Question
from lb.control.explain import explain
from lb.plan import (
    ListenerPlan,
    Plan,
    RoutePlan,
    ServerPlan,
    ServicePlan,
    StatePlan,
    WeightedService,
)
from lb.telemetry.cells import Cells


def ask(
    *states: StatePlan, servers: tuple[ServerPlan, ...] = (), **service
) -> tuple[str | None, dict[str, str]]:
    """The pick, and why of every server."""
    members = servers or (ServerPlan("a:1"), ServerPlan("b:1"))
    plan = Plan(
        1,
        (ListenerPlan("web", ("127.0.0.1:0",)),),
        (RoutePlan("r", services=(WeightedService("app", 1),)),),
        (ServicePlan("app", servers=members, **service),),
    )
    answer = explain(plan, Question("GET", "http://x/"), Cells(-1, 0, 1, 1000), states)
    return answer["pick"], {server["address"]: server["why"] for server in answer["servers"]}


def down(address: str, **more) -> StatePlan:
    return StatePlan("app", address, usable=False, why="down; check: down: HTTP 503", **more)


def test_a_server_that_is_down_is_not_eligible_and_says_why():
    assert ask(down("a:1")) == ("b:1", {"a:1": "down; check: down: HTTP 503", "b:1": "eligible"})
    assert ask(down("a:1"), down("b:1"))[0] is None


def test_panic_uses_it_all_the_same():
    pick, why = ask(down("a:1"), down("b:1"), panic_threshold=0.5)
    assert pick is not None
    assert why["a:1"] == "down; check: down: HTTP 503; used all the same: too few others are"


def test_weights_slow_starts_and_priorities_are_named():
    warm = StatePlan("app", "a:1", warm_from=time.monotonic() - 1)
    assert ask(warm, slow_start=1000.0)[1]["a:1"] == "slow start: at 10% of its weight"
    assert ask(StatePlan("app", "a:1", weight=0.0))[1]["a:1"] == "weight 0: gets no new requests"
    members = (ServerPlan("a:1"), ServerPlan("b:1", priority=1))
    assert ask(servers=members)[1]["b:1"] == "the priorities before take everything"
    assert ask(down("a:1"), servers=members) == (
        "b:1",
        {"a:1": "down; check: down: HTTP 503", "b:1": "eligible"},
    )
