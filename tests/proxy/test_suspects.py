"""Failures in a row on one server: what counts, what ends the run, and when control hears of it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from lb.outcomes import Outcome
from lb.plan import RetryPlan, StatePlan
from tests.proxy.players import OK
from tests.proxy.playing import SWITCH, UPGRADE, House, plan


class Watched(House):
    """One server, no retries; `told` is what control hears: (address, failures, last)."""

    def __init__(self, after: int = 3) -> None:
        what = plan(servers=("a:1",), retry=RetryPlan(attempts=0))
        super().__init__(replace(what, services=(replace(what.services[0], suspect_after=after),)))
        self.told: list[tuple[str, int, str]] = []
        self.core.suspect = lambda server, failures, last: self.told.append((server.address, failures, last))
        (self.server,) = self.servers

    def exchange(self, status: int = 200) -> None:
        asker = self.ask()
        side = asker.exchange.side
        if side.at == "opening":
            side.connect()
        side.answer(b"HTTP/1.1 %d X\r\nContent-Length: 2\r\n\r\n" % status)

    def fail(self) -> None:
        self.ask().exchange.side.refuse()


def test_every_so_many_failures_in_a_row_are_told_with_the_last_one():
    house = Watched(after=3)
    for _ in range(2):
        house.exchange(500)
    assert house.told == []
    house.exchange(503)
    assert house.told == [("a:1", 3, "503")]
    for _ in range(2):
        house.exchange(500)
    house.server.pool.take().close()
    house.fail()
    assert house.told[1:] == [("a:1", 6, "SC")]


@pytest.mark.parametrize("status", [200, 204, 302, 404, 429, 499])
def test_an_answer_that_is_no_failure_ends_the_run(status):
    house = Watched(after=2)
    for answer in (500, status, 500, status):
        house.exchange(answer)
    assert (house.told, house.server.run) == ([], 0)


def test_every_failure_of_the_server_counts():
    house = Watched(after=100)
    house.fail()
    for fail in ("lose", "late", "break"):
        asker = house.ask()
        side = asker.exchange.side
        side.connect()
        if fail == "lose":
            side.lose()
        elif fail == "late":
            house.later(31.0, asker)
        else:
            side.answer(b"HTTP/1.1 200 X\r\nContent-Length: 9\r\n\r\n", b"ab", last=False)
            side.lose()
    assert house.server.run == 4
    house.clean()


def test_what_the_client_does_neither_counts_nor_excuses():
    house = Watched(after=2)
    house.exchange(500)
    house.ask().exchange.client_gone()
    asker = house.ask()
    asker.exchange.side.connect()
    asker.exchange.side.answer(OK, b"o", last=False)
    asker.exchange.client_gone()
    asker = house.ask()
    asker.exchange.fail(Outcome.TOTAL_TIMEOUT)
    assert house.server.run == 1


def test_an_attempt_that_is_given_up_without_an_answer_says_nothing():
    house = Watched(after=2)
    house.exchange(500)
    asker = house.ask()
    asker.exchange.fail(Outcome.DONE)
    assert house.server.run == 1


def test_the_end_of_a_tunnel_says_nothing():
    house = Watched(after=1)
    asker = house.ask(UPGRADE)
    asker.exchange.side.connect()
    side = asker.exchange.side
    side.answer(SWITCH)
    side.lose()
    assert (house.told, house.server.run) == ([], 0)


def test_off_nothing_is_counted():
    house = Watched(after=0)
    for _ in range(5):
        house.fail()
    assert (house.told, house.server.run) == ([], 0)


def test_a_server_that_comes_back_begins_without_a_record():
    house = Watched(after=3)
    for usable in (False, True):
        house.exchange(500)
        house.registry.set_states((StatePlan("app", "a:1", usable=usable),), False)
    assert house.server.run == 0
    house.exchange(500)
    house.publish(replace(house.snapshot.plan, generation=2))
    assert house.server.run == 1, "a reload forgives nothing"
