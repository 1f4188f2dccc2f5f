"""The live view: what is looked at, what is told, and that it goes in slices."""

from __future__ import annotations

import asyncio
import itertools
import time
from types import SimpleNamespace

import pytest
from msgspec.structs import replace

from lb.control import live as module_live
from lb.control import sight as module
from lb.control.live import Live
from lb.outcomes import Outcome
from lb.plan import ListenerPlan, Plan, RoutePlan, ServerPlan, ServicePlan, WeightedService
from lb.telemetry import layout
from lb.telemetry.buckets import cell_of
from lb.telemetry.cells import Cells
from lb.telemetry.ledger import Ledger

SIZE = 64 * 1024


class Ground:
    """An lb with two services of one server, a route to each, and a split to both."""

    def __init__(self) -> None:
        self.cells, self.ledger = Cells(-1, 0, 2, SIZE), Ledger(SIZE)
        self.standing = {"status": "up"}
        ledger = self.ledger
        self.plan = Plan(
            1,
            listeners=(ListenerPlan("web", ("127.0.0.1:1",), slot=ledger.listener("web")),),
            routes=(
                *(RoutePlan(name, services=(self.to(name, name),)) for name in "ab"),
                RoutePlan("split", services=(self.to("split", "a"), self.to("split", "b"))),
            ),
            services=tuple(
                ServicePlan(name, servers=(ServerPlan(f"{name}:1", slot=ledger.server(name, f"{name}:1")),))
                for name in "ab"
            ),
        )
        self.live = Live(lambda: self.cells, lambda: self.plan, lambda service, address: dict(self.standing))
        self.told: list[tuple[list[str], bool]] = []
        self.live.take(1)

    def to(self, route: str, service: str) -> WeightedService:
        return WeightedService(service, 1, self.ledger.route(route, service))

    def serve(self, route: str, service: str, requests: int) -> None:
        slot = self.ledger.route(route, service)
        self.cells.add(slot + layout.ROUTE_CLASS + 2, requests)
        self.cells.add(slot + layout.ROUTE_DURATION_CELLS + cell_of(1500), requests)

    def rates(self) -> dict[str, float]:
        whole = self.live.whole()
        return {row["name"]: row["rate"] for kind in ("routes", "services") for row in whole[kind]} | {
            "total": whole["total"]["rate"]
        }

    def follow(self):
        def tell(rows, anew):
            kinds = ("routes", "services", "servers", "listeners")
            names = [row.get("name") or row["address"] for kind in kinds for row in rows[kind]]
            self.told.append((names, anew))

        return self.live.follow(tell)


@pytest.fixture
def ground() -> Ground:
    return Ground()


def test_requests_count_at_their_route_their_service_and_in_all(ground):
    ground.serve("a", "a", 4)
    ground.serve("split", "a", 2)
    ground.serve("split", "b", 1)
    ground.cells.add(layout.WORKER_OUTCOMES + Outcome.NO_ROUTE, 3)
    ground.live.take(2)
    names = {row["name"] for kind in ("routes", "services") for row in ground.live.whole()[kind]}
    assert names == {"a", "b", "split"}
    whole = ground.live.whole()
    assert {row["name"]: row["rate"] for row in whole["routes"]} == {"a": 4.0, "b": 0.0, "split": 3.0}
    assert {row["name"]: row["rate"] for row in whole["services"]} == {"a": 6.0, "b": 1.0}
    assert whole["total"]["rate"] == 10.0


def test_what_happened_before_a_reload_counts_once(ground):
    ground.serve("a", "a", 4)
    ground.live.take(2)
    ground.plan = replace(ground.plan, generation=2)
    ground.live.take(3)
    assert ground.live.history(("route", "a"), hour=False).rate[-2:] == [4.0, 0.0]
    assert ground.live.history(("total",), hour=False).rate[-2:] == [4.0, 0.0]
    ground.serve("a", "a", 5)
    ground.live.take(4)
    assert ground.live.history(("service", "a"), hour=False).rate[-3:] == [4.0, 0.0, 5.0]


def test_what_is_gone_begins_anew(ground):
    ground.serve("b", "b", 4)
    ground.live.take(2)
    whole = ground.plan
    ground.plan = replace(whole, generation=2, routes=whole.routes[:1], services=whole.services[:1])
    ground.live.take(3)
    assert ground.live.history(("service", "b"), hour=True) is None
    ground.plan = replace(whole, generation=3)
    ground.live.take(4)
    assert sum(ground.live.history(("service", "b"), hour=False).rate) == 0


def test_a_route_that_comes_back_brings_nothing_of_its_life_along(ground):
    ground.serve("a", "a", 1_000_000)
    ground.live.take(2)
    whole = ground.plan
    ground.plan = replace(whole, generation=2, routes=whole.routes[1:])
    ground.live.take(3)
    ground.plan = replace(whole, generation=3)
    ground.live.take(4)
    ground.serve("a", "a", 10)
    ground.live.take(5)
    for identity in (("route", "a"), ("service", "a"), ("total",)):
        assert ground.live.history(identity, hour=False).rate[-2:] == [0.0, 10.0], identity


def test_a_route_that_comes_back_may_have_more_than_fits_a_point(ground):
    for tick in range(2, 5):
        ground.serve("a", "a", 1 << 31)
        ground.live.take(tick)
    whole = ground.plan
    for tick, routes in ((5, whole.routes[1:]), (6, whole.routes)):
        ground.plan = replace(whole, generation=tick, routes=routes)
        ground.live.take(tick)
    assert ground.live.history(("total",), hour=False).rate[-2:] == [0.0, 0.0]


def test_a_route_that_goes_takes_nothing_from_those_that_stay(ground):
    for tick in range(2, 12):
        ground.serve("a", "a", 300)
        ground.serve("split", "a", 10)
        ground.live.take(tick)
    ground.plan = replace(ground.plan, generation=2, routes=ground.plan.routes[1:])
    ground.serve("split", "a", 10)
    ground.cells.add(layout.WORKER_OUTCOMES + Outcome.NO_ROUTE, 400)
    for tick in range(12, 21):
        ground.live.take(tick)
    assert ground.live.history(("service", "a"), hour=False).rate[-10:-7] == [310.0, 10.0, 0.0]
    assert ground.live.history(("total",), hour=False).rate[-10:-7] == [310.0, 410.0, 0.0]
    assert ground.live.history(("service", "a"), hour=True).rate[-1] == 32.0, "of the seconds 11 and 12"


def test_what_is_in_flight_goes_and_comes_with_its_route(ground):
    ground.cells.add(ground.ledger.route("a", "a") + layout.ROUTE_IN_FLIGHT, 3)
    ground.cells.add(ground.ledger.route("split", "a") + layout.ROUTE_IN_FLIGHT, 2)
    whole, found = ground.plan, []
    for tick, routes in ((2, whole.routes), (3, whole.routes[1:]), (4, whole.routes)):
        ground.plan = replace(whole, generation=tick, routes=routes)
        ground.live.take(tick)
        shown = ground.live.whole()
        found.append((shown["total"]["in_flight"], shown["services"][0]["in_flight"]))
    assert found == [(5, 5), (2, 2), (5, 5)]


def test_a_listener_that_comes_back_brings_no_bytes_along(ground):
    ground.live.take(2)
    whole = ground.plan
    ground.plan = replace(whole, generation=2, listeners=())
    ground.live.take(3)
    ground.cells.add(ground.ledger.listener("web") + layout.LISTENER_BYTES_IN, 5000)
    ground.plan = replace(whole, generation=3)
    ground.live.take(4)
    assert ground.live.whole()["listeners"][0]["bytes_in"] == 0


def test_after_an_error_of_its_own_it_begins_anew(ground, monkeypatch, caplog):
    clock = itertools.count(step=2)
    monkeypatch.setattr(module_live, "time", SimpleNamespace(monotonic=lambda: next(clock), time=time.time))
    ticks = []
    ground.live.follow(lambda rows, whole: ticks.append((rows["tick"], whole)))

    async def until(condition):
        while not condition():
            await asyncio.sleep(0)

    async def go():
        async with asyncio.timeout(10):
            task = asyncio.create_task(ground.live.run())
            await until(lambda: len(ticks) > 3)
            ground.standing = None
            await until(lambda: caplog.text.count("TypeError: ") > 1)
            ground.standing, told = {"status": "up"}, len(ticks)
            await until(lambda: len(ticks) > told)
            assert ticks[told][1], "all rows"
            task.cancel()

    asyncio.run(go())
    assert "an error in the live view; it begins anew" in caplog.text
    assert sorted(ticks) == ticks
    ground.serve("a", "a", 4)
    ground.live.take(ground.live.tick + 1)
    assert ground.rates()["total"] == 4.0


def test_a_rest_of_minutes_leaves_the_hour_right(ground):
    for tick in range(2, 400):
        if tick in (5, 300):
            ground.serve("a", "a", 10)
        ground.live.take(tick)
    hour = ground.live.history(("service", "a"), hour=True)
    assert [(place, rate) for place, rate in enumerate(hour.rate) if rate] == [(321, 1.0), (350, 1.0)]


def test_who_follows_hears_of_all_at_once_and_its_rows_are_made_once(ground, monkeypatch):
    made = []
    one = ground.live._row
    monkeypatch.setattr(ground.live, "_row", lambda looked: made.append(looked.identity) or one(looked))
    ground.follow()
    assert ground.told == [(["a", "b", "split", "a", "b", "a:1", "b:1", "web"], True)]
    assert all(made.count(identity) == 1 for identity in made if identity != ("total",))


def test_a_new_plan_is_looked_at_in_slices(ground, monkeypatch):
    monkeypatch.setattr(module, "SLICE", 0.0)
    ground.plan = replace(ground.plan, generation=2, routes=ground.plan.routes[1:])
    found = []
    for _ in ground.live.look(2):
        shown = ground.live.whole()
        found.append((shown["generation"], len(shown["routes"])))
    assert found.count((1, 3)) >= 4, "the one before, until the new one is complete"
    assert set(found) == {(1, 3), (2, 2)}


def test_who_follows_hears_of_what_changed_and_of_the_way_back_to_rest(ground):
    ground.follow()
    ground.live.take(2)
    assert ground.told.pop() == ([], False)
    ground.serve("a", "a", 10)
    ground.live.take(3)
    assert ground.told.pop() == (["a", "a"], False)
    for tick in range(4, 30):
        ground.live.take(tick)
    assert [names for names, _ in ground.told if names][-1] == ["a", "a"], "the rate went back to 0"
    assert ground.told[-1] == ([], False)


@pytest.mark.parametrize("ask", [Live.whole, lambda live: live.follow(lambda rows, whole: None)])
def test_who_follows_hears_of_a_standing_that_changes(ground, ask):
    ground.follow()
    ground.standing["status"] = "down"
    ground.live.take(2)
    assert ground.told.pop() == (["a:1", "b:1"], False)
    ground.standing["status"] = "up"
    ask(ground.live)  # somebody else hears that it is up
    ground.standing["status"] = "down"
    ground.live.take(3)
    assert ground.told.pop() == (["a:1", "b:1"], False)
    ground.plan = replace(ground.plan, generation=2)
    ground.live.take(4)
    assert ground.told.pop()[1], "a new plan tells all"


def test_it_goes_in_slices(ground, monkeypatch):
    monkeypatch.setattr(module, "SLICE", 0.0)
    for name in "ab":
        ground.serve(name, name, 1)
    steps = 0
    for _ in ground.live.look(2):
        steps += 1
        assert ground.live.whole()["tick"] == 1, "it can be asked between"
        ground.live.history(("route", "a"), hour=True)
    assert steps > 5
    assert ground.rates()["total"] == 2.0
    assert ground.live.history(("route", "a"), hour=False).rate[-1] == 1.0
