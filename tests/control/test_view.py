"""What the admin API orders through control: only of servers that there are, with the nearest one named."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from lb.control.events import Events
from lb.control.overrides import Overrides
from lb.control.view import View
from lb.plan import Plan, ServerPlan, ServicePlan
from lb.telemetry.facts import WorkerFacts
from lb.upstream.status import Mode, Override

DRAIN = Override(Mode.DRAIN, None, "anna", "", 0.0)


class Receiver:
    def override(self, service, address, override):
        pass


@pytest.fixture
def view(tmp_path):
    plan = Plan(
        1, services=(ServicePlan("shop", servers=(ServerPlan("10.0.0.1:80"), ServerPlan("10.0.0.2:80"))),)
    )
    events = Events()
    overrides = Overrides(tmp_path, Receiver(), events)
    return View(SimpleNamespace(plan=plan), None, None, overrides, events, None, None, None)


def test_each_condition_of_readiness_has_a_name():
    states = ["running", "stopped"]
    supervisor = SimpleNamespace(
        facts=lambda: [WorkerFacts(n, 1, state, 1, 1.0) for n, state in enumerate(states)], count=2
    )
    reloader = SimpleNamespace(plan=None, generation=0)
    view = View(reloader, supervisor, None, None, None, None, None, None)

    def said():
        return [(one.name, one.ok) for one in view.conditions()]

    assert said() == [("configuration", False), ("workers", True), ("draining", True)]
    reloader.plan, reloader.generation = Plan(1), 1
    assert said() == [("configuration", True), ("workers", True), ("draining", True)]
    states[0], view.draining = "starting", True
    assert said() == [("configuration", True), ("workers", False), ("draining", False)]


def test_an_order_for_a_server_of_the_plan(view):
    view.override("shop", "10.0.0.1:80", DRAIN)
    assert view.overrides == {("shop", "10.0.0.1:80"): DRAIN}
    assert view.overrides_saved
    assert view.event_counts == {("override", "drain", "shop"): 1}
    assert [event.number for event in view.last_events()] == [1]
    view.clear_override("shop", "10.0.0.1:80", "")
    assert view.overrides == {}


@pytest.mark.parametrize(
    ("service", "address", "said"),
    [
        ("shpo", "10.0.0.1:80", 'there is no service shpo (did you mean "shop"?)'),
        ("shop", "10.0.0.1:81", 'service shop has no server 10.0.0.1:81 (did you mean "10.0.0.1:80"?)'),
        ("shop", "x", "service shop has no server x"),
    ],
)
def test_an_order_for_a_server_that_there_is_not(view, service, address, said):
    with pytest.raises(LookupError) as problem:
        view.override(service, address, DRAIN)
    assert problem.value.args[0] == said
    assert view.overrides == {}


def test_nothing_is_lifted_where_nothing_is_ordered(view):
    view.override("shop", "10.0.0.1:80", DRAIN)
    with pytest.raises(LookupError) as problem:
        view.clear_override("shop", "10.0.0.2:80", "")
    assert problem.value.args[0] == (
        'nothing is ordered of shop/10.0.0.2:80 (did you mean "shop/10.0.0.1:80"?)'
    )


def test_who_follows_hears_until_it_does_not(view):
    heard = []
    unfollow = view.follow(heard.append)
    view.override("shop", "10.0.0.1:80", DRAIN)
    unfollow()
    unfollow()
    view.override("shop", "10.0.0.2:80", DRAIN)
    assert [event.server for event in heard] == ["10.0.0.1:80"]
