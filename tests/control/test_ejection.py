"""Passive checks: who is ejected, for how long, and with what evidence, by a clock that the test moves."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.config.resilience import OutlierSpec
from lb.control.ejection import KEPT, Ejections, allowed
from lb.control.events import Events
from lb.plan import Plan, ServerPlan, ServicePlan
from lb.telemetry import layout
from lb.telemetry.buckets import cell_of
from lb.telemetry.cells import Cells
from lb.telemetry.ledger import Ledger
from lb.worker.messages import Suspect

FAST, SLOW = 3, 8  # buckets: up to 5 ms, up to 250 ms
REGION = 10_000


class Fake:
    """Statuses as the passive checks see them: `out` are ejected, `down` not usable for another reason."""

    def __init__(self) -> None:
        self.servers: dict[str, list[str]] = {}
        self.out: dict[tuple[str, str], str] = {}
        self.down: set[str] = set()

    def ejected(self, service: str, address: str, why: str | None) -> None:
        if why is None:
            del self.out[service, address]
        else:
            assert (service, address) not in self.out, "ejected twice"
            self.out[service, address] = why

    def usable(self, service: str) -> list[str]:
        return [a for a in self.servers[service] if a not in self.down and (service, a) not in self.out]


class House:
    """Ejections of one service "app", beside workers that are two regions of cells."""

    def __init__(self, servers: int = 4, **rules: object) -> None:
        self.now = 1000.0
        self.generation = 0
        self.cells = Cells(-1, 0, 2, REGION)
        self.ledger = Ledger(REGION)
        self.statuses = Fake()
        self.events = Events()
        self.ejections = Ejections(
            self.statuses, self.events, self.cells, self.ledger, clock=lambda: self.now
        )
        self.addresses = [f"s{number}:80" for number in range(servers)]
        self.configure(**rules)

    def configure(self, *addresses: str, off: bool = False, **rules: object) -> None:
        self.addresses = list(addresses) or self.addresses
        self.generation += 1
        self.ledger.begin(self.generation)
        self.statuses.servers = {"app": self.addresses}
        outlier = None if off else OutlierSpec(**rules)
        servers = tuple(ServerPlan(a, slot=self.ledger.server("app", a)) for a in self.addresses)
        plan = Plan(self.generation, services=(ServicePlan("app", servers=servers),))
        self.ejections.reconcile(SimpleNamespace(services={"app": SimpleNamespace(outlier=outlier)}), plan)

    def serve(self, number: int, good: int = 0, bad: int = 0, broken: int = 0, bucket: int = FAST) -> None:
        """Requests at a server: `bad` are answered 500, `broken` not at all. Written by both workers."""
        slot = self.ledger.server("app", self.addresses[number])
        for at, count in (
            (layout.SERVER_CLASS + 2, good),
            (layout.SERVER_CLASS + 5, bad),
            (layout.SERVER_FAILURES, broken),
            (layout.SERVER_DURATION_CELLS + cell_of(layout.BOUNDS_US[bucket]), good + bad),
        ):
            self.cells.add(slot + at, count // 2)
            self.cells.add(REGION + slot + at, count - count // 2)

    def suspect(self, number: int, failures: int = 5) -> None:
        self.ejections.suspect(Suspect("app", self.addresses[number], failures, "SC"))

    def later(self, seconds: float) -> None:
        self.now += seconds
        self.ejections.tick()

    def interval(self, *traffic: dict[str, int]) -> None:
        """One interval of ten seconds with that traffic."""
        for number, requests in enumerate(traffic):
            self.serve(number, **requests)
        self.later(10.0)

    @property
    def out(self) -> set[str]:
        return {address for _, address in self.statuses.out}

    def told(self) -> list[tuple[str, str, str]]:
        return [(event.kind, event.reason, event.server) for event in self.events.last]


GOOD, BAD = {"good": 100}, {"good": 40, "bad": 60}


# --------------------------------------------------------------------------------- failures in a row


def test_a_suspect_is_ejected_with_evidence_and_comes_back():
    house = House()
    house.serve(0, broken=5)
    house.serve(1, good=30, bad=1)
    house.now += 2
    house.suspect(0)
    assert house.statuses.out == {("app", "s0:80"): "5 failures in a row, the last: SC; ejected for 30s"}
    (evidence,) = house.ejections.evidence("app", "s0:80")
    assert evidence.pop("until") - evidence.pop("at") == pytest.approx(30)
    assert evidence == {
        "reason": "consecutive_failures",
        "text": "5 failures in a row, the last: SC",
        "window": 2.0,
        "requests": 5,
        "failures": 5,
        "value": 5,
        "threshold": 5,
        "usual": None,
        "others": 3,
        "others_requests": 31,
        "others_failures": 1,
        "enforced": True,
    }
    house.later(29.9)
    assert house.out == {"s0:80"}
    house.later(0.1)
    assert house.out == set()
    assert house.told() == [
        ("server_ejected", "consecutive_failures", "s0:80"),
        ("server_returned", "time", "s0:80"),
    ]
    event = house.events.last[0]
    assert (event.facts["others_requests"], event.facts["until"] - event.facts["at"]) == (31, 30.0)
    assert house.events.counts["server_ejected", "consecutive_failures", "app"] == 1


def test_exchanges_that_end_late_do_not_prolong_an_ejection():
    house = House()
    house.suspect(0)
    house.now += 20
    house.suspect(0, 10)
    house.later(10)
    assert (house.out, len(house.told())) == (set(), 2)


def test_suspects_that_are_not_there_or_not_in_use_are_left_alone():
    house = House()
    house.ejections.suspect(Suspect("gone", "s0:80", 5, "SC"))
    house.ejections.suspect(Suspect("app", "gone:80", 5, "SC"))
    house.statuses.down = {"s1:80"}
    house.suspect(1)
    assert (house.out, house.told()) == (set(), [])


def test_each_further_ejection_in_a_row_is_longer_up_to_the_longest():
    house = House(max_ejection="80s")
    for lasts in (30, 60, 80, 80):
        house.suspect(0)
        house.later(lasts - 0.1)
        assert house.out == {"s0:80"}
        house.later(0.2)
        assert house.out == set()


def test_whole_intervals_without_ejection_are_forgiveness():
    house = House()
    for lasts in (30, 60, 90):
        house.suspect(0)
        house.later(lasts)
    house.later(5)  # not a whole interval since it came back
    house.suspect(0)
    assert "120s" in house.statuses.out["app", "s0:80"]
    house.later(120)
    for _ in range(2):
        house.later(10)
    house.suspect(0)
    assert "90s" in house.statuses.out["app", "s0:80"]  # 4 in a row, 2 forgiven, and this one


def test_a_check_that_finds_it_down_and_up_again_ends_an_ejection():
    house = House()
    house.ejections.recovered("app", "s0:80")
    house.ejections.recovered("app", "gone:80")
    assert house.told() == []
    house.suspect(0)
    house.ejections.recovered("app", "s0:80")
    assert (house.out, house.told()[1]) == (set(), ("server_returned", "check", "s0:80"))


# ----------------------------------------------------------------------------------------- how many


@pytest.mark.parametrize(
    ("servers", "share", "most"),
    [
        (1, 1.0, 0),
        (2, 0.1, 1),
        (2, 1.0, 1),
        (3, 0.5, 1),
        (4, 0.5, 2),
        (10, 0.3, 3),
        (100, 0.29, 29),
        (3, 0.0, 0),
    ],
)
def test_how_many_may_be_out(servers, share, most):
    assert allowed(servers, share) == most


@given(st.integers(1, 3000), st.floats(0, 1))
def test_never_all_and_never_more_than_the_share_but_one(servers, share):
    most = allowed(servers, share)
    assert 0 <= most < servers
    assert most <= max(1, servers * share + 1e-6)
    assert most > 0 or share == 0 or servers == 1


def test_more_than_max_ejected_are_not_and_that_is_said_once_an_interval():
    house = House(servers=4)
    for number in range(4):
        house.suspect(number)
        house.suspect(number, 10)
    assert house.out == {"s0:80", "s1:80"}
    withheld = ("ejection_withheld", "consecutive_failures")
    assert house.told()[2:] == [(*withheld, "s2:80"), (*withheld, "s3:80")]
    assert "max_ejected allows 2" in house.events.last[-1].text
    house.later(10)
    house.suspect(2, 15)
    assert len(house.told()) == 5


def test_the_last_usable_server_stays():
    house = House(servers=3, max_ejected="100%")
    house.statuses.down = {"s1:80", "s2:80"}
    house.suspect(0)
    assert house.out == set()
    assert "no other server is usable" in house.events.last[-1].text


@given(st.lists(st.tuples(st.integers(0, 5), st.floats(0, 40)), max_size=30), st.sampled_from([20, 50, 100]))
def test_whatever_happens_some_stay_and_all_come_back(happenings, share):
    house = House(servers=6, max_ejected=f"{share}%")
    for number, seconds in happenings:
        house.suspect(number)
        assert len(house.out) <= allowed(6, share / 100)
        assert house.statuses.usable("app")
        house.later(seconds)
    house.later(300)
    assert house.out == set()


# --------------------------------------------------------------------------------------- comparison


def test_shadow_tells_when_it_begins_and_takes_nobody_out():
    house = House()
    for _ in range(3):
        house.interval(GOOD, BAD, GOOD, GOOD)
    shadow = ("outlier_shadow", "success_rate", "s1:80")
    assert (house.out, house.told()) == (set(), [shadow])
    house.interval(GOOD, GOOD, GOOD, GOOD)
    house.interval(GOOD, BAD, GOOD, GOOD)
    assert house.told() == [shadow, shadow]
    evidence = house.ejections.evidence("app", "s1:80")[-1]
    assert (evidence["enforced"], evidence["until"], evidence["window"]) == (False, None, 10.0)
    assert (evidence["requests"], evidence["failures"], evidence["value"], evidence["usual"]) == (
        100,
        60,
        0.6,
        0.0,
    )
    assert (evidence["others"], evidence["others_requests"], evidence["others_failures"]) == (3, 300, 0)


def test_enforced_success_rate_ejects():
    house = House(success_rate="enforce", latency="off")
    house.interval(GOOD, BAD, {"good": 100, "bucket": SLOW}, GOOD)
    assert house.out == {"s1:80"}
    assert "60.0% of 100 requests failed in 10s; usual are 0.0%" in house.statuses.out["app", "s1:80"]


def test_attempts_without_an_answer_are_failures_too():
    house = House(success_rate="enforce")
    house.interval(GOOD, {"good": 40, "broken": 30, "bad": 30}, GOOD)
    (evidence,) = house.ejections.evidence("app", "s1:80")
    assert (evidence["requests"], evidence["failures"]) == (100, 60)


def test_enforced_latency_ejects():
    house = House(latency="enforce", success_rate="off")
    house.interval(GOOD, BAD, {"good": 100, "bucket": SLOW}, GOOD)
    assert house.out == {"s2:80"}
    assert "100 requests in 10s waited longer than 175ms" in house.statuses.out["app", "s2:80"]


def test_off_is_off():
    house = House(latency="off", success_rate="off")
    house.interval(GOOD, BAD, {"good": 100, "bucket": SLOW}, GOOD)
    assert house.told() == []


def test_each_interval_is_judged_by_itself_and_not_before_its_end():
    house = House(success_rate="enforce")
    house.serve(1, bad=60)
    for number in range(4):
        house.serve(number, good=50)
    house.later(9.9)
    assert house.out == set()
    house.later(0.1)
    assert house.out == {"s1:80"}
    house.later(30)
    for _ in range(5):
        house.interval(GOOD, GOOD, GOOD, GOOD)
    assert len(house.told()) == 2


def test_an_ejected_server_is_not_compared_until_it_was_back_for_a_whole_interval():
    house = House(servers=3, success_rate="shadow", ejection="12s")
    house.suspect(1)
    house.interval(GOOD, BAD, GOOD)
    house.later(2)  # it is back
    house.interval(GOOD, BAD, GOOD)  # this interval began without it
    assert house.told()[2:] == []
    house.interval(GOOD, BAD, GOOD)
    assert house.told()[2:] == [("outlier_shadow", "success_rate", "s1:80")]


def test_the_worst_goes_first_where_not_all_may():
    house = House(servers=7, success_rate="enforce", max_ejected="20%")
    house.interval(GOOD, BAD, GOOD, {"good": 20, "bad": 80}, GOOD, GOOD, GOOD)
    assert house.out == {"s3:80"}
    assert house.told()[1] == ("ejection_withheld", "success_rate", "s1:80")


def test_a_server_without_counters_of_its_own_is_not_compared():
    house = House(servers=3)
    house.ledger = house.ejections._ledger = Ledger(
        layout.WORKER_SIZE + layout.LISTENER_SIZE + layout.ROUTE_SIZE + layout.SERVER_SIZE
    )
    house.configure("x:1", "y:1", "z:1", success_rate="enforce")
    house.interval(BAD, BAD, BAD)
    assert house.told() == []
    house.suspect(0)
    assert house.out == {"x:1"}


def test_evidence_is_bounded():
    house = House(ejection="1s", max_ejection="1s")
    for _ in range(KEPT + 5):
        house.suspect(0)
        house.later(1)
    assert len(house.ejections.evidence("app", "s0:80")) == KEPT
    assert house.ejections.evidence("app", "gone:80") == house.ejections.evidence("gone", "s0:80") == []


# ------------------------------------------------------------------------------------------- reloads


def test_a_reload_changes_nothing_for_servers_that_stay():
    house = House(success_rate="enforce")
    house.suspect(0)
    house.serve(2, good=50, bad=80)
    house.now += 5
    house.configure(success_rate="enforce")
    for number in (1, 3):
        house.serve(number, good=100)
    house.later(5)
    assert house.out == {"s0:80", "s2:80"}, "the interval went on"
    house.later(19.9)
    assert "s0:80" in house.out
    house.later(0.1)
    assert "s0:80" not in house.out
    house.suspect(0)
    assert "ejected for 60s" in house.statuses.out["app", "s0:80"]
    assert len(house.ejections.evidence("app", "s0:80")) == 2


def test_without_passive_checks_all_are_let_in():
    house = House()
    house.suspect(0)
    house.configure(off=True)
    assert (house.out, house.told()[-1]) == (set(), ("server_returned", "configuration", "s0:80"))
    house.suspect(0)
    house.later(100)
    assert house.out == set()
    house.configure()
    house.suspect(0)
    assert "ejected for 30s" in house.statuses.out["app", "s0:80"], "begun anew"


def test_a_server_that_went_is_forgotten_and_one_that_came_is_not_judged_at_once():
    house = House(servers=3, success_rate="enforce")
    house.suspect(0)
    del house.statuses.out["app", "s0:80"]  # as the statuses forget it
    house.configure("s1:80", "s2:80", "s3:80", "s4:80", success_rate="enforce")
    house.later(40)
    assert house.told() == [("server_ejected", "consecutive_failures", "s0:80")]
    house.now += 5
    house.configure("s1:80", "s2:80", "s3:80", "s5:80", success_rate="enforce")
    for number, traffic in enumerate((GOOD, GOOD, GOOD, BAD)):
        house.serve(number, **traffic)
    house.later(5)
    assert house.out == set()
    house.interval(GOOD, GOOD, GOOD, BAD)
    assert house.out == {"s5:80"}
