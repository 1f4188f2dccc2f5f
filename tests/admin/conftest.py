"""A control process without workers: real cells, a real ledger, a real plan; and the admin application
served on port 0."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import pytest
from aiohttp import ClientResponse, ClientSession
from aiohttp.test_utils import TestServer

from lb.admin.app import make_app
from lb.admin.view import Checks, ClusterAnswer, Condition, Ordered, Question, Reload, Unavailable
from lb.cluster.records import Stage
from lb.control.events import Event, Events
from lb.control.kept import KeptDecisions
from lb.control.live import Live
from lb.control.tails import Tails
from lb.plan import (
    AlgorithmPlan,
    HeaderEditsPlan,
    ListenerPlan,
    MatchPlan,
    Plan,
    RedirectPlan,
    RoutePlan,
    ServerPlan,
    ServicePlan,
    TailPlan,
    WeightedService,
)
from lb.telemetry.cells import Cells
from lb.telemetry.ledger import Ledger
from lb.upstream.status import Override
from tests.telemetry.facts import Facts


class FoundProblem(NamedTuple):
    file: str
    line: int
    column: int
    path: str
    message: str


class Cluster:
    """One revision is published. `away`: the engine does not answer; `said`: what comes of an order."""

    def __init__(self) -> None:
        self.away = False
        self.said = ClusterAnswer("", "", 2, [])
        self.orders: list[tuple[Any, ...]] = []

    def engine(self) -> Mapping[str, Any]:
        error = "consul: no answer" if self.away else ""
        return {"name": "consul", "reachable": not error, "age": 0.5, "error": error}

    async def status(self) -> Mapping[str, object]:
        return {"role": "leader", "published": {"revision": 1}}

    async def history(self) -> Mapping[str, object]:
        if self.away:
            raise Unavailable("consul: no answer")
        return {"revisions": [{"revision": 1}], "age": 0.0}

    async def document(self, number: int) -> tuple[Mapping[str, object], str]:
        if number != 1:
            raise LookupError(f"there is no revision {number} (any more)")
        return {"revision": 1}, "routes: {}\n"

    async def diff(self, one: int, other: int) -> str:
        await self.document(one)
        await self.document(other)
        return "--- a\n"

    async def push(
        self, text: bytes, base: int | None, file: str, author: str, message: str, stage: Stage | None
    ) -> ClusterAnswer:
        self.orders.append(("push", text, base, file, author, message, stage))
        return self.said

    async def end_rollout(self, promote: bool, base: int | None, author: str, message: str) -> ClusterAnswer:
        self.orders.append(("promote" if promote else "abort", base, author, message))
        return self.said

    async def rollback(self, number: int, base: int | None, author: str, message: str) -> ClusterAnswer:
        self.orders.append(("rollback", number, base, author, message))
        return self.said

    async def resign(self, author: str) -> ClusterAnswer:
        self.orders.append(("resign", author))
        return self.said


class Everywhere:
    """`said`: what comes of an order."""

    def __init__(self) -> None:
        self.said = ClusterAnswer("", "", 8)
        self.asked: list[tuple[Any, ...]] = []
        self.all: dict[tuple[str, str], Ordered] = {}

    def standing(self) -> Mapping[str, object]:
        return {"number": 7, "age": 0.5, "error": "", "trouble": ""}

    async def order(self, service: str, address: str, override: Override, base: int | None) -> ClusterAnswer:
        self.asked.append(("order", service, address, override.mode, override.author, base))
        if not self.said.error:
            self.all[service, address] = Ordered(override, 8)
        return self.said

    async def lift(self, service: str, address: str, author: str, base: int | None) -> ClusterAnswer:
        self.asked.append(("lift", service, address, author, base))
        if not self.said.error:
            del self.all[service, address]
        return self.said


class Control(Facts):
    def __init__(self) -> None:
        super().__init__()
        self.cells = Cells(-1, 0, 2, 4096)
        self.ledger = ledger = Ledger(4096)
        self.plan: Plan | None = Plan(
            generation=7,
            listeners=(ListenerPlan("web", ("127.0.0.1:8080",), slot=ledger.listener("web")),),
            routes=(
                RoutePlan(
                    "api",
                    MatchPlan(host=("api.example.com",), path_prefix=("/v1",)),
                    services=(WeightedService("app", 1, ledger.route("api", "app")),),
                    request_headers=HeaderEditsPlan(set=(("authorization", "secret-token"),)),
                ),
                RoutePlan("old", redirect=RedirectPlan("https://x/"), slot=ledger.route("old", "")),
            ),
            services=(
                ServicePlan(
                    "app",
                    AlgorithmPlan("least_connections"),
                    (
                        ServerPlan("127.0.0.1:9001", weight=3, slot=ledger.server("app", "127.0.0.1:9001")),
                        ServerPlan(
                            "127.0.0.1:9002", backup=True, slot=ledger.server("app", "127.0.0.1:9002")
                        ),
                    ),
                ),
            ),
        )
        self.last_reload: Reload | None = Reload(True, 7, self.last_reload_at, "start")
        self.next_reload = Reload(True, 8, 1.0, "api", ["+ route new"])
        self.all_conditions = [Condition("configuration", True), Condition("workers", True, "1 of 2 run")]
        self.in_force_since = self.started + 1
        self.all_checks = {"app": Checks(2, 2, self.started + 50)}
        self.questions: list[Question] = []
        self.overrides: dict[tuple[str, str], Override] = {}
        self.overrides_saved = True
        self.lifted: list[tuple[str, str, str]] = []
        self.events = Events()
        self.watched: list[tuple[TailPlan, ...]] = []
        self.tails = Tails(1, self.watched.append, lambda: 0.0)
        self.decisions = KeptDecisions(1024 * 1024)
        self.cluster: Cluster | None = Cluster()
        self.everywhere: Everywhere | None = Everywhere()
        self.live = Live(lambda: self.cells, lambda: self.plan, lambda service, address: {"status": "up"})

    def conditions(self) -> Sequence[Condition]:
        return self.all_conditions

    def checks(self) -> Mapping[str, Checks]:
        return self.all_checks

    def resolved(self) -> str:
        return "services:\n  app:\n    servers:\n    - address: 127.0.0.1:9001\n"

    async def server_states(self) -> Mapping[str, Mapping[str, str]]:
        return {"app": {"127.0.0.1:9001": "eligible"}}

    def server_status(self, service: str, address: str) -> Mapping[str, object]:
        evidence = [{"at": 10.0, "reason": "latency", "text": "slow", "enforced": False, "until": None}]
        known = {"status": "up", "reasons": [], "check": None, "evidence": evidence}
        return known if address == "127.0.0.1:9001" else {}

    def known(self, service: str, address: str) -> None:
        if (service, address) != ("app", "127.0.0.1:9001"):
            raise LookupError(f"service {service} has no server {address}")

    def override(self, service: str, address: str, override: Override) -> None:
        self.known(service, address)
        self.overrides[service, address] = override

    def clear_override(self, service: str, address: str, author: str) -> None:
        if self.overrides.pop((service, address), None) is None:
            raise LookupError(f"nothing is ordered of {service}/{address}")
        self.lifted.append((service, address, author))

    def catalog(self):
        return self.catalog_said

    def certificates(self):
        return {}

    def registration(self):
        return {"id": "lb-80", "name": "lb", "registered": True, "error": None}

    def accept_discovery(self, service: str) -> None:
        for one in self.sources:
            if one["service"] == service and one["held"]:
                one["held"] = []
                return
        raise LookupError(f"nothing of {service} is held")

    def kept_decisions(self) -> list[bytes]:
        return self.decisions.newest()

    def tail(self, condition, rate, listener):
        return self.tails.open(condition, rate, listener)

    def last_events(self) -> Sequence[Event]:
        return tuple(self.events.last)

    def follow(self, listener: Callable[[Event], None]) -> Callable[[], None]:
        self.events.listeners.add(listener)
        return lambda: self.events.listeners.discard(listener)

    async def reload(self) -> Reload:
        self.last_reload = self.next_reload
        return self.next_reload

    async def explain(self, question: Question) -> Mapping[str, object]:
        if question.method == "BAD METHOD":
            raise ValueError("'BAD METHOD' is not a method")
        self.questions.append(question)
        return {"route": "api"}


class Reply(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        assert self.headers["Content-Type"] == "application/json"
        return json.loads(self.body)


@pytest.fixture
def control() -> Control:
    return Control()


@pytest.fixture
def ask(control: Control) -> Callable[..., Reply]:
    """`ask("GET", "/path", headers=…, json=…)` over a real socket."""

    async def go(method: str, path: str, **more: Any) -> Reply:
        async with TestServer(make_app(control)) as server, ClientSession() as session:
            response: ClientResponse
            async with session.request(method, server.make_url(path), **more) as response:
                return Reply(response.status, response.headers, await response.read())

    return lambda method, path, **more: asyncio.run(go(method, path, **more))
