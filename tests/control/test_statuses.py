"""The states of servers: kept over configurations, told to the workers when they change, warmed up when they
come back to others that work."""

from __future__ import annotations

import pytest

from lb.config import load
from lb.config.spec import Spec
from lb.control.checking import checks_of
from lb.control.events import Event, Events
from lb.control.planning import make_plan
from lb.control.statuses import Statuses
from lb.health.plan import AgentProbe, AgentState, HttpProbe, Pace, Result, TcpProbe
from lb.plan import Plan, StatePlan
from lb.telemetry.ledger import Ledger
from lb.upstream.status import Agent, Mode, Override, Registry

CHECKED = "health_check: {http: /healthz, rise: 2, fall: 3}"


class Desk:
    """Statuses with a clock that stands still, and what they told and emitted."""

    def __init__(self, folder) -> None:
        self.file = folder / "lb.yaml"
        self.now = 1000.0
        self.told: list[StatePlan] = []
        self.events: list[Event] = []
        events = Events()
        events.listeners.add(self.events.append)
        self.statuses = Statuses(self.told.extend, events, lambda: self.now)
        self.ledger = Ledger()
        self.plan: Plan
        self.spec: Spec

    def configure(self, *addresses: str, more: str = CHECKED) -> None:
        servers = ", ".join(f'"{address}"' for address in addresses)
        self.file.write_text(
            "listeners: ['127.0.0.1:0']\nroutes: {'/': app}\n"
            f"services:\n  app:\n    servers: [{servers}]\n    {more}\n"
        )
        self.spec = load(self.file)
        self.plan = make_plan(self.spec, 1, self.ledger)
        self.statuses.reconcile(self.spec, self.plan)

    def probe(self, address: str, *results: bool) -> Pace:
        pace: Pace = "steady"
        (check,) = (
            c for c in checks_of(self.spec, self.plan)
            if c.address == address and not isinstance(c.probe, AgentProbe)
        )  # fmt: skip
        for ok in results:
            why = "HTTP 200" if ok else "HTTP 503, expected 200-399"
            pace = self.statuses.probed(Result("app", address, check.probe, ok, why, 0.01))
        return pace

    def word(self, address: str) -> str:
        return str(self.statuses.shown("app", address)["status"])

    def usable(self) -> dict[str, bool]:
        """As the workers have it."""
        known = {server.address: True for server in self.plan.services[0].servers}
        return known | {state.address: state.usable for state in self.told}

    def kinds(self) -> list[tuple[str, str, str]]:
        found = [(event.kind, event.reason, event.server) for event in self.events]
        self.events.clear()
        return found


@pytest.fixture
def desk(tmp_path) -> Desk:
    return Desk(tmp_path)


def test_nothing_is_said_of_servers_that_are_as_the_file_says(desk):
    desk.configure("a:1", "b:1")
    desk.probe("a:1", True)
    assert desk.statuses.states() == () and desk.told == [] and desk.events == []
    assert desk.word("a:1") == desk.word("b:1") == "up"


def test_a_server_goes_down_after_fall_and_up_after_rise(desk):
    desk.configure("a:1", "b:1")
    assert desk.probe("a:1", True) == "steady"
    assert desk.probe("a:1", False, False) == "rising"
    assert desk.told == []
    assert "(2 of 3 in a row that change it)" in desk.statuses.shown("app", "a:1")["reasons"][0]
    assert desk.probe("a:1", False) == "down"
    (told,) = desk.told
    assert (told.service, told.address, told.usable, told.draining) == ("app", "a:1", False, False)
    assert told.why == "down; check: down: HTTP 503, expected 200-399"
    assert desk.statuses.states() == (told,)
    assert desk.kinds() == [("server_down", "check", "a:1")]
    assert desk.probe("a:1", True) == "rising"
    assert desk.usable() == {"a:1": False, "b:1": True}
    assert desk.probe("a:1", True) == "steady"
    assert desk.usable() == {"a:1": True, "b:1": True} and desk.statuses.states() == ()
    assert desk.kinds() == [("server_up", "check", "a:1")]


def test_an_event_carries_the_old_and_the_new_status(desk):
    desk.configure("a:1")
    desk.probe("a:1", False)
    (event,) = desk.events
    assert (event.service, event.facts) == ("app", {"old": "up", "new": "down"})
    assert event.text == "up → down: check: down: HTTP 503, expected 200-399"


def test_initial_down_is_down_until_the_first_result(desk):
    desk.configure("a:1", "b:1", more="health_check: {tcp: true, initial: down}")
    assert {state.address for state in desk.statuses.states() if not state.usable} == {"a:1", "b:1"}
    desk.probe("a:1", True)
    assert desk.usable()["a:1"] and desk.word("b:1") == "down"


def test_states_survive_a_reload_and_go_with_the_server(desk):
    desk.configure("a:1", "b:1")
    desk.probe("a:1", False, False, False)
    desk.probe("b:1", True, False, False)
    desk.configure("a:1", "b:1", "c:1")
    assert [state.address for state in desk.statuses.states()] == ["a:1"]
    assert desk.word("a:1") == "down" and desk.probe("b:1", False) == "down"  # the run goes on
    desk.configure("c:1")
    assert desk.statuses.states() == ()
    with pytest.raises(KeyError):
        desk.statuses.shown("app", "a:1")
    desk.configure("a:1", "c:1")
    assert desk.word("a:1") == "up"


def test_a_removed_check_gives_the_server_back(desk):
    desk.configure("a:1")
    desk.probe("a:1", False)
    desk.events.clear()
    desk.configure("a:1", more="slow_start: 0")
    assert desk.word("a:1") == "up" and desk.statuses.states() == ()
    assert desk.kinds() == [("server_up", "reload", "a:1")]


def test_another_check_begins_with_what_the_last_one_found(desk):
    desk.configure("a:1", "b:1")
    desk.probe("a:1", False)
    old = HttpProbe("/healthz")
    desk.configure("a:1", "b:1", more="health_check: {tcp: true, initial: up}")
    assert [desk.word("a:1"), desk.word("b:1")] == ["down", "up"]
    assert desk.statuses.probed(Result("app", "a:1", old, True, "late", 0.1)) == "steady"
    assert desk.word("a:1") == "down", "a result of the check that is no more counts for nothing"
    desk.probe("a:1", True)
    assert desk.word("a:1") == "up"


def test_a_check_that_is_new_to_a_running_server_does_not_take_it_out(desk):
    desk.configure("a:1", more="slow_start: 0")
    desk.configure("a:1", "b:1", more="health_check: {tcp: true, initial: down}")
    assert [desk.word("a:1"), desk.word("b:1")] == ["up", "down"]


def test_other_limits_count_at_once(desk):
    desk.configure("a:1")
    desk.probe("a:1", True, False)
    desk.configure("a:1", more="health_check: {http: /healthz, fall: 2}")
    assert desk.probe("a:1", False) == "down"


def test_results_of_unknown_servers_are_left_aside(desk):
    desk.configure("a:1")
    assert desk.statuses.probed(Result("app", "z:1", TcpProbe(), False, "refused", 0.1)) == "steady"
    assert desk.statuses.probed(Result("none", "a:1", TcpProbe(), False, "refused", 0.1)) == "steady"
    desk.statuses.agent("app", "z:1", Agent(state="down"))
    desk.statuses.ejected("app", "z:1", "slow")
    assert desk.events == [] and desk.told == []


def test_an_agent_is_heard_beside_the_check(desk):
    desk.configure("a:1", more="health_check: {tcp: true, agent: {port: 9777}}")
    agent = AgentProbe(9777)
    desk.statuses.probed(Result("app", "a:1", agent, True, "", 0.01, AgentState(0.5)))
    assert desk.told[-1] == StatePlan("app", "a:1", weight=0.5)
    desk.statuses.probed(Result("app", "a:1", agent, False, "refused", 0.01))
    assert desk.statuses.states() == (StatePlan("app", "a:1", weight=0.5),)
    desk.statuses.probed(Result("app", "a:1", agent, True, "", 0.01, AgentState(0.5, "drain", "up", "late")))
    assert (desk.told[-1].usable, desk.told[-1].draining) == (False, True)
    assert desk.kinds() == [("server_weight", "agent", "a:1"), ("server_drain", "agent", "a:1")]
    desk.configure("a:1", more="health_check: {tcp: true}")
    assert desk.statuses.states() == ()


def test_ejected_and_returned(desk):
    desk.configure("a:1", "b:1")
    desk.statuses.ejected("app", "a:1", "5 failures in a row")
    assert desk.word("a:1") == "ejected" and not desk.usable()["a:1"]
    desk.statuses.ejected("app", "a:1", None)
    assert desk.word("a:1") == "up" and desk.usable()["a:1"]
    assert desk.kinds() == [], "the passive checks tell of it themselves, with their evidence"
    desk.statuses.evidence = lambda *identity: [{"of": identity}]
    assert desk.statuses.shown("app", "a:1")["evidence"] == [{"of": ("app", "a:1")}]


def test_a_check_that_finds_a_server_down_and_up_again_is_told_to_the_passive_checks(desk):
    told = []
    desk.statuses.recovered = lambda *identity: told.append(identity)
    desk.configure("a:1", more="health_check: {tcp: true, rise: 1, fall: 1}")
    for ok in (True, True, False, False, True, True):
        desk.probe("a:1", ok)
    assert told == [("app", "a:1")]


def test_a_check_that_passes_does_not_end_an_ejection(desk):
    desk.configure("a:1", "b:1")
    recovered: list[str] = []
    desk.statuses.recovered = lambda service, address: recovered.append(address)
    desk.statuses.ejected("app", "a:1", "5 failures in a row")
    desk.probe("a:1", False, True, True)
    assert desk.word("a:1") == "ejected" and recovered == ["a:1"]
    assert desk.kinds() == [("server_down", "check", "a:1"), ("server_down", "check", "a:1")]


def test_what_is_ordered_everywhere_stands_beside_it_and_outlives_the_server(desk):
    drain = Override(Mode.DRAIN, None, "ben", "", 5.0)
    desk.statuses.override_everywhere("app", "a:1", drain)  # before there is a server
    desk.configure("a:1", "b:1")
    desk.statuses.override("app", "a:1", Override(Mode.UP, None, "ann", "", 9.0))
    assert desk.word("a:1") == "draining"
    layers = desk.statuses.shown("app", "a:1")["layers"]
    assert (layers["everywhere"]["author"], layers["override"]["author"]) == ("ben", "ann")
    desk.configure("b:1")
    desk.configure("a:1", "b:1")
    assert desk.word("a:1") == "draining"
    desk.statuses.override_everywhere("app", "a:1", None)
    assert desk.word("a:1") == "up"


def test_an_override_outlives_the_server_and_the_reload(desk):
    desk.configure("a:1", "b:1")
    drain = Override(Mode.DRAIN, None, "ann", "new disk", 5.0, 60.0)
    desk.statuses.override("app", "a:1", drain)
    assert (desk.told[-1].usable, desk.told[-1].draining) == (False, True)
    assert desk.statuses.shown("app", "a:1")["layers"] == {
        "file": {"weight": 1, "backup": False, "priority": 0},
        "discovery": None,
        "override": {
            "mode": "drain", "weight": None, "author": "ann", "reason": "new disk",
            "since": 5.0, "until": 60.0,
        },
        "everywhere": None,
    }  # fmt: skip
    desk.configure("b:1")
    desk.configure("a:1", "b:1")
    assert desk.word("a:1") == "draining"
    desk.statuses.override("app", "a:1", None)
    assert desk.word("a:1") == "up"
    assert desk.kinds() == [("server_drain", "operator", "a:1"), ("server_up", "operator", "a:1")]


def test_an_override_before_the_first_configuration_is_there_from_the_start(desk):
    desk.statuses.override("app", "a:1", Override(Mode.MAINTENANCE, None, "ann", "", 5.0))
    desk.configure("a:1", "b:1")
    (state,) = desk.statuses.states()
    assert (state.address, state.usable, state.weight) == ("a:1", False, 0.0) and desk.events == []


def test_panic_does_not_bring_back_what_an_operator_took_out(desk):
    """A server that is only down keeps its weight, by which panic knows that it may be used."""
    desk.configure("a:1", "b:1")
    desk.statuses.override("app", "b:1", Override(Mode.DRAIN, 0.5, "ann", "", 5.0))
    assert (desk.told[-1].draining, desk.told[-1].weight) == (True, 0.5)
    for address in ("a:1", "b:1"):
        desk.probe(address, False)
    states = {state.address: (state.usable, state.draining, state.weight) for state in desk.statuses.states()}
    assert states == {"a:1": (False, False, 1.0), "b:1": (False, False, 0.0)}


def test_the_last_check_is_shown(desk):
    desk.configure("a:1")
    assert desk.statuses.shown("app", "a:1")["check"] == {
        "state": "unknown", "ok": None, "why": "", "at": None,
    }  # fmt: skip
    assert desk.statuses.checks() == {"app": (1, 0, 0.0)}
    desk.probe("a:1", True)
    shown = desk.statuses.shown("app", "a:1")
    assert desk.statuses.checks() == {"app": (1, 1, shown["check"]["at"])}
    assert shown["check"]["ok"] is True and shown["check"]["why"] == "HTTP 200"
    assert shown["check"]["at"] > 1e9
    assert shown["reasons"] == ["check: up: HTTP 200"]


# ------------------------------------------------------------------------------------------ slow start

SLOW = "slow_start: 30s\n    health_check: {tcp: true, rise: 1, fall: 1, initial: INITIAL}"


def slow(initial: str = "up") -> str:
    return SLOW.replace("INITIAL", initial)


def warm(desk: Desk, address: str) -> float:
    return {state.address: state.warm_from for state in desk.statuses.states()}.get(address, 0.0)


def test_a_server_that_comes_back_warms_up_and_that_ends(desk):
    desk.configure("a:1", "b:1", more=slow())
    desk.probe("a:1", True, False)
    desk.now += 10
    desk.probe("a:1", True)
    assert desk.told[-1] == StatePlan("app", "a:1", warm_from=1010.0)
    assert desk.statuses.shown("app", "a:1")["slow_start_left"] == 30.0
    desk.now += 29.9
    desk.statuses.tick()
    assert warm(desk, "a:1") == 1010.0
    desk.now += 0.1
    desk.statuses.tick()
    assert desk.told[-1] == StatePlan("app", "a:1") and desk.statuses.states() == ()


def test_not_at_process_start(desk):
    desk.configure("a:1", "b:1", more=slow("down"))
    for address in ("a:1", "b:1"):
        desk.probe(address, True)
        assert warm(desk, address) == 0.0
        desk.now += 1


def test_not_into_an_empty_pool_nor_beside_others_that_came_just_now(desk):
    desk.configure("a:1", "b:1", "c:1", more=slow())
    for address in ("a:1", "b:1", "c:1"):
        desk.probe(address, True, False)
    desk.now += 10
    desk.probe("a:1", True)
    assert warm(desk, "a:1") == 0.0, "the pool was empty"
    desk.now += 5
    desk.probe("b:1", True)
    assert warm(desk, "b:1") == 0.0, "the only other one is as new"
    desk.now += 25
    desk.probe("c:1", True)
    assert warm(desk, "c:1") == 1040.0


def test_a_server_added_to_others_that_work_warms_up(desk):
    desk.configure("a:1", more=slow())
    desk.now += 1
    desk.configure("a:1", "b:1", more=slow())
    assert warm(desk, "b:1") == 1001.0 and warm(desk, "a:1") == 0.0


def test_going_down_ends_a_slow_start(desk):
    desk.configure("a:1", "b:1", more=slow())
    desk.probe("a:1", True, False, True)
    assert warm(desk, "a:1") == 1000.0
    desk.probe("a:1", False)
    assert warm(desk, "a:1") == 0.0


def test_without_slow_start_nothing_warms_up(desk):
    desk.configure("a:1", "b:1", more="health_check: {tcp: true, rise: 1, fall: 1}")
    desk.probe("a:1", True, False, True)
    assert desk.statuses.states() == ()


def test_what_is_checked_follows_the_configuration(desk):
    desk.configure(
        "a:1",
        "b:1",
        more="health_check: {http: /h, port: 8081, tls: {verify: false}, headers: {x: y}, interval: 3s, "
        "interval_down: 9s, expect: {status: [200, 204-299], body: ok}, "
        "agent: {port: 9, interval: 7s, send: hi}}",
    )
    checks = list(checks_of(desk.spec, desk.plan))
    assert [(check.address, type(check.probe)) for check in checks] == [
        ("a:1", HttpProbe), ("a:1", AgentProbe), ("b:1", HttpProbe), ("b:1", AgentProbe),
    ]  # fmt: skip
    first, agent = checks[0], checks[1]
    assert isinstance(first.probe, HttpProbe) and first.probe.tls is not None
    assert (first.probe.path, first.probe.port, first.probe.tls.verify) == ("/h", 8081, False)
    assert first.probe.status == ((200, 200), (204, 299)) and first.probe.body == "ok"
    assert first.probe.headers == (("x", "y"),)
    assert (first.interval, first.interval_down, first.interval_rising) == (3.0, 9.0, None)
    assert (agent.probe, agent.interval) == (AgentProbe(9, "hi"), 7.0)


@pytest.mark.parametrize(
    ("check", "probe"),
    [
        ("tcp: true, port: 7", TcpProbe(7)),
        ('grpc: ""', "GrpcProbe"),
        ("command: [/bin/true]", "CommandProbe"),
    ],
)
def test_every_kind_of_check(desk, check, probe):
    desk.configure("a:1", more=f"health_check: {{{check}}}")
    (plan,) = checks_of(desk.spec, desk.plan)
    assert plan.probe == probe or type(plan.probe).__name__ == probe


def test_the_workers_are_told_only_what_changed(desk):
    desk.configure("a:1", "b:1", "c:1")
    desk.probe("b:1", False, False, False, False)
    assert [state.address for state in desk.told] == ["b:1"], "further failures change nothing"
    desk.probe("c:1", False)
    assert [state.address for state in desk.told] == ["b:1", "c:1"]


def test_a_successor_begins_with_what_was_known(tmp_path):
    before, after = Desk(tmp_path), Desk(tmp_path)
    before.configure("a:1", "b:1", "c:1")
    before.probe("a:1", True)
    before.probe("b:1", False)
    after.statuses.begin_with(before.statuses.found_down())
    after.configure("a:1", "b:1", "c:1")
    assert [after.word(address) for address in ("a:1", "b:1", "c:1")] == ["up", "down", "up"]
    assert after.statuses.found_down() == (("app", "b:1"),), "handed on again before its first result"
    after.probe("b:1", True)
    assert after.word("b:1") == "up", "the first result decides"


def test_what_the_lb_before_found_down_warms_up_when_it_comes_back(desk):
    desk.statuses.begin_with([("app", "a:1")])
    desk.configure("a:1", "b:1", more=slow())
    desk.probe("b:1", True)
    desk.probe("a:1", True)
    assert [warm(desk, "a:1"), warm(desk, "b:1")] == [1000.0, 0.0]


def test_servers_are_counted_by_status(desk):
    desk.configure("a:1", "b:1", "c:1")
    desk.probe("c:1", False)
    counts = desk.statuses.counts()
    assert (counts["app", "up"], counts["app", "down"], counts["app", "ejected"]) == (2, 1, 0)


def test_servers_that_are_out_are_counted_by_the_signal_that_decides(desk):
    desk.configure("a:1", "b:1", "c:1", "d:1", "e:1")
    desk.probe("a:1", False)
    desk.statuses.ejected("app", "a:1", "failed")  # its check stands above
    desk.statuses.ejected("app", "b:1", "failed")
    desk.statuses.registered("app", "c:1", Registry.DOWN, None)
    desk.statuses.override("app", "d:1", Override(Mode.DRAIN, None, "anna", "", 0.0))
    assert desk.statuses.out() == {
        ("app", "operator"): 1, ("app", "registry"): 1, ("app", "check"): 1, ("app", "agent"): 0,
        ("app", "passive"): 1,
    }  # fmt: skip
