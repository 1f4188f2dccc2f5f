"""What lb explain says of states, priorities, panic, slow start and sessions: the words of the Service."""

from __future__ import annotations

import time
from typing import Any

import pytest

from lb.admin.view import Question
from lb.control.explain import explain
from lb.plan import (
    AlgorithmPlan,
    ListenerPlan,
    MirrorPlan,
    Plan,
    RetryPlan,
    RoutePlan,
    ServerPlan,
    ServicePlan,
    StatePlan,
    StickyPlan,
    WeightedService,
)
from lb.telemetry import layout
from lb.telemetry.cells import Cells
from lb.upstream.sticky import token_of

KEY = "0f" * 32


def ask(
    *servers: ServerPlan, states: tuple[StatePlan, ...] = (), cookie: str = "", **service
) -> dict[str, Any]:
    plan = Plan(
        1,
        (ListenerPlan("web", ("127.0.0.1:80",)),),
        (RoutePlan("r", services=(WeightedService("app", 1),)),),
        (ServicePlan("app", servers=servers, **service),),
    )
    headers = [("cookie", cookie)] if cookie else []
    return explain(plan, Question("GET", "http://x/", headers, "", ""), Cells(-1, 0, 1, 10_000), states)


def server(name: str, at: int, **more) -> ServerPlan:
    return ServerPlan(f"{name}:1", slot=100 + at * layout.SERVER_SIZE, **more)


def state(name: str, **more) -> StatePlan:
    return StatePlan("app", f"{name}:1", **more)


def why(answer: dict[str, Any]) -> dict[str, str]:
    return {each["address"].partition(":")[0]: each["why"] for each in answer["servers"]}


def test_each_server_has_its_reason():
    states = (
        state("a", usable=False, why="down; check: 3 of 3 failed"),
        state("b", usable=False, draining=True),
        state("c", weight=0.5, warm_from=time.monotonic()),
        state("d", usable=False, weight=0.0, why="maintenance; operator ann: new disk"),
    )
    servers = [server(name, n) for n, name in enumerate("abcde")]
    answer = ask(*servers, server("f", 5, weight=0), states=states, slow_start=1000.0)
    assert why(answer) == {
        "a": "down; check: 3 of 3 failed",
        "b": "draining: keeps its sessions and gets no others",
        "c": "slow start: at 10% of its weight",
        "d": "maintenance; operator ann: new disk",
        "e": "eligible",
        "f": "weight 0: gets no new requests",
    }
    assert [each["eligible"] for each in answer["servers"]] == [False, False, True, False, True, False]
    assert [each["weight"] for each in answer["servers"]] == [1.0, 1.0, 0.05, 0.0, 1.0, 0.0]
    assert "groups" not in answer and "sticky" not in answer and answer["pick"] in ("c:1", "e:1")


def test_priorities_with_their_shares():
    servers = [server("a", 0), server("b", 1), server("c", 2, priority=1), server("d", 3, priority=2)]
    answer = ask(*servers, server("e", 4, backup=True), states=(state("a", usable=False),))
    assert [(g["group"], g["share"], g["usable"], g["servers"]) for g in answer["groups"]] == [
        ("priority 0", 0.7, 1, 2),
        ("priority 1", 0.3, 1, 1),
        ("priority 2", 0.0, 1, 1),
        ("backups", 0.0, 1, 1),
    ]
    assert why(answer) == {
        "a": "not usable",
        "b": "eligible",
        "c": "eligible",
        "d": "the priorities before take everything",
        "e": "backup: another server is eligible",
    }


def test_panic_is_told_as_such():
    states = tuple(state(name, usable=False, why="down") for name in "ab")
    answer = ask(*(server(name, n) for n, name in enumerate("abc")), states=states, panic_threshold=0.5)
    assert answer["groups"] == [
        {"group": "priority 0", "share": 1.0, "usable": 1, "servers": 3, "panic": True}
    ]
    assert why(answer)["a"] == "down; used all the same: too few others are"
    assert answer["reason"] == "too few servers are usable, so that all are used"


def test_nobody_is_eligible():
    answer = ask(server("a", 0), states=(state("a", usable=False),))
    assert (answer["pick"], answer["status"], answer["reason"]) == (None, 503, "no server is eligible")


def test_where_a_session_goes():
    servers = [server(name, n) for n, name in enumerate("abc")]
    sticky = StickyPlan("who", KEY)
    token = token_of(bytes.fromhex(KEY), "app", "b:1").decode()
    answer = ask(*servers, cookie=f"who={token}", sticky=sticky)
    assert answer["sticky"] == {"cookie": "who", "sent": True, "server": "b:1"}
    assert (answer["pick"], answer["reason"]) == ("b:1", "the cookie of the session names it")
    answer = ask(*servers, cookie="who=x", sticky=sticky)
    assert answer["sticky"] == {"cookie": "who", "sent": True, "server": ""}
    assert answer["reason"].startswith("picked anew")
    assert ask(*servers, sticky=sticky)["sticky"] == {"cookie": "who", "sent": False, "server": ""}


def test_a_mirror_is_told():
    assert "mirror" not in ask(server("a", 0))
    plan = Plan(
        1,
        (ListenerPlan("web", ("127.0.0.1:80",)),),
        (RoutePlan("r", services=(WeightedService("app", 1),), mirror=MirrorPlan("next", 0.1)),),
        (ServicePlan("app", servers=(server("a", 0),)), ServicePlan("next")),
    )
    answer = explain(plan, Question("GET", "http://x/", [], "", ""), Cells(-1, 0, 1, 10_000))
    assert answer["mirror"] == {"service": "next", "share": 0.1} and answer["pick"] == "a:1"


def test_scores_and_the_order_of_retries_are_the_balancers_own():
    cells = Cells(-1, 0, 1, 10_000)
    servers = [server(name, n, weight=n + 1) for n, name in enumerate("abc")]
    for one, load in zip(servers, (0, 5, 2), strict=True):
        cells.add(one.slot + layout.SERVER_IN_FLIGHT, load)
    plan = Plan(
        1,
        (ListenerPlan("web", ("127.0.0.1:80",)),),
        (RoutePlan("r", services=(WeightedService("app", 1),), retry=RetryPlan(attempts=3)),),
        (ServicePlan("app", AlgorithmPlan("least_connections"), servers=tuple(servers)),),
    )
    answer = explain(plan, Question("GET", "http://x/", [], "", ""), cells)
    assert answer["score"] == "(in flight + 1) / weight"
    assert [each["score"] for each in answer["servers"]] == [1.0, 3.0, 1.0]
    retries = answer["retries"]
    assert (retries["attempts"], retries["after"]) == (3, ["connect", "reset"])
    assert retries["order"][0]["server"] == answer["pick"]
    assert [step["server"] for step in retries["order"]][2] == "b:1"
    assert retries["order"][3]["reason"] == "every eligible server was tried already"
    assert retries["timeouts"]["response"] == 30.0
    posted = explain(plan, Question("POST", "http://x/", [], "", ""), cells)["retries"]
    assert posted["after"] == ["connect"] and "no server has seen it" in posted["method"]


def test_what_only_workers_know_counts():
    def said(address: str, cost: float, breaker: str) -> dict[str, Any]:
        return {"address": f"{address}:1", "cost_seconds": cost, "breaker": breaker, "waiting": 0}

    plan = Plan(
        1,
        (ListenerPlan("web", ("127.0.0.1:80",)),),
        (RoutePlan("r", services=(WeightedService("app", 1),)),),
        (ServicePlan("app", AlgorithmPlan("ewma"), servers=(server("a", 0), server("b", 1))),),
    )
    seen = [{"services": {"app": {"servers": [said("a", 0.5, "closed"), said("b", 0.02, "open")]}}}]
    answer = explain(plan, Question("GET", "http://x/", [], "", ""), Cells(-1, 0, 1, 10_000), (), seen)
    assert [each["score"] for each in answer["servers"]] == pytest.approx([0.5, 0.02], rel=0.01)
    assert answer["pick"] == "b:1" and answer["servers"][1]["breaker"] == "open"
