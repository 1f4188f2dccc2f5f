"""Known truths about algorithms and queues, found again by simulation."""

from __future__ import annotations

from array import array

import pytest

from lb.balancing.registry import ALGORITHMS
from lb.plan import Plan, ServerPlan, ServicePlan
from lb.simulate.load import Load, drawn
from lb.simulate.replay import algorithm_for, plan_of, replay, usual_slots
from lb.snapshot import SnapshotError
from tests.simulate.making import plan, run, tell

LOAD = drawn(2000, 5, 0.01, seed=1)
SLOW = {"a": {"slow": 5.0}}


def test_round_robin_loads_a_slow_server_as_the_others_and_its_p99_suffers():
    found = tell(LOAD, "round_robin", **SLOW)
    assert [server.requests for server in found.servers] == pytest.approx([len(LOAD) / 3] * 3, abs=1)
    slow, *others = found.servers
    assert all(slow.p99 > 50 * other.p99 for other in others)
    assert found.failed == 0


@pytest.mark.parametrize("name", ["least_connections", "ewma", "power_of_two"])
def test_who_heeds_load_diverts_from_a_slow_server(name):
    slow, *others = tell(LOAD, name, **SLOW).servers
    assert slow.share < 0.15 and all(other.share > 0.4 for other in others)
    assert tell(LOAD, name, **SLOW).p99 < tell(LOAD, "round_robin", **SLOW).p99 / 10


def test_least_connections_keeps_in_flight_equal():
    in_flight = [server.in_flight for server in tell(LOAD, "least_connections", **SLOW).servers]
    assert max(in_flight) < 1.3 * min(in_flight)


def test_a_consistent_hash_keeps_keys_and_round_robin_does_not():
    assert tell(LOAD, "consistent_hash").kept == 1.0
    assert tell(LOAD, "round_robin").kept == pytest.approx(1 / 3, abs=0.05)


@pytest.mark.parametrize(("constant", "wait"), [(False, 0.4), (True, 0.2)], ids=["M/M/1", "M/D/1"])
def test_one_server_with_one_slot_waits_as_theory_says(constant, wait):
    # utilisation 0.8, service 0.1 s: M/M/1 waits ρ/(μ−λ) = 0.4 s, M/D/1 half of it
    load = drawn(8, 10_000, 0.1, seed=1, constant=constant)
    found = tell(load, "round_robin", 1, plan("a:1"))
    assert found.queued == pytest.approx(wait, rel=0.1)
    assert found.mean == pytest.approx(wait + 0.1, rel=0.1)
    assert found.servers[0].in_flight == pytest.approx(8 * (wait + 0.1), rel=0.1)  # Little's law


def test_without_a_queue_a_request_takes_its_time():
    found = tell(drawn(10, 100, 0.02, seed=1, constant=True), "random", 1000)
    assert found.queued == 0
    assert (found.p50, found.p99, found.mean) == pytest.approx((0.02, 0.02, 0.02))


def test_a_server_that_fails_cuts_off_what_it_has_and_refuses_the_rest():
    cut = run(LOAD, "round_robin", a={"fails": 2.0})
    failed = [at for at, answered in enumerate(cut.servers[0].answered) if not answered]
    ends = [cut.servers[0].done[at] for at in failed]
    assert all(cut.servers[0].began[at] == done for at, done in zip(failed, ends, strict=True) if done > 2.0)
    assert min(ends) == 2.0 and 0 < ends.count(2.0) < 100
    assert all(done < 2.0 for at, done in enumerate(cut.servers[0].done) if at not in set(failed))
    assert tell(LOAD, "round_robin", a={"fails": 2.0}).failed == pytest.approx(0.6 / 3, abs=0.02)


def test_what_waits_behind_a_request_that_is_cut_off_fails_with_it():
    load = Load(2.0, array("d", [0.0, 0.1]), array("d", [3.0, 0.5]), array("L", [0, 0]), [("x", b"")])
    (served,) = run(load, "first", 1, plan("a:1"), a={"fails": 2.0}).servers
    assert (list(served.done), list(served.answered)) == ([2.0, 2.0], [0, 0])


def test_ewma_flees_a_server_that_fails_fast_and_least_connections_falls_for_it():
    fleeing, falling = (tell(LOAD, name, a={"fails": 2.0}).failed for name in ("ewma", "least_connections"))
    assert fleeing < 0.02 and falling > 0.4


@pytest.mark.parametrize("name", ALGORITHMS)
def test_the_same_seed_gives_the_same_answer_and_no_request_is_lost(name):
    load = drawn(500, 2, 0.01, seed=3)
    found = tell(load, name, 10, None, 7, **SLOW)
    assert found == tell(drawn(500, 2, 0.01, seed=3), name, 10, None, 7, **SLOW)
    assert sum(server.requests for server in found.servers) == len(load)


def test_another_seed_gives_another_load():
    assert drawn(500, 2, 0.01, seed=3).at != drawn(500, 2, 0.01, seed=4).at


def test_backups_get_nothing_and_a_service_of_none_but_unusable_servers_fails_all():
    spare = ServicePlan("app", servers=(ServerPlan("a:1"), ServerPlan("b:1", backup=True)))
    assert [server.requests for server in tell(LOAD, "ewma", 10, spare).servers] == [len(LOAD), 0]
    nobody = ServicePlan("app", servers=(ServerPlan("a:1", weight=0),))
    found = tell(LOAD, "ewma", 10, nobody)
    assert (found.failed, found.p99, found.mean, found.servers[0].p99) == (1.0, None, None, None)


def test_progress_is_told_to_the_end():
    told = []
    replay(plan(), algorithm_for(plan(), "random"), LOAD, 10, {}, 1, told.append)
    assert told[0] == 0 and told[-1] == len(LOAD) and told == sorted(told)


def test_an_algorithm_that_is_not_known():
    with pytest.raises(SnapshotError, match="'fastest' is not known: use one of round_robin"):
        run(LOAD, "fastest")


def test_which_service_is_meant():
    two = Plan(1, services=(plan(), ServicePlan("empty")))
    assert plan_of(two, "app").name == "app" and plan_of(Plan(1, services=(plan(),)), "").name == "app"
    for name, sentence in (
        ("", "--service; there are: app, empty"),
        ("x", "no service x"),
        ("empty", "no servers"),
    ):
        with pytest.raises(ValueError, match=sentence):
            plan_of(two, name)


def test_the_usual_slots_are_70_percent_busy():
    assert usual_slots(drawn(2000, 5, 0.01, seed=1, constant=True), plan().servers) == 10
