"""Which exchanges leave a Decision, what it says, and what bounds it."""

from __future__ import annotations

from random import Random

import pytest

from lb.decisions import Select
from lb.outcomes import Outcome
from lb.plan import DecisionsPlan, MatchPlan, RetryPlan, TailPlan
from lb.proxy import keeping
from lb.proxy.core import TICK
from lb.proxy.keeping import Keeping
from lb.telemetry import layout
from lb.telemetry.condition import read_condition
from lb.telemetry.debugtoken import make
from lb.telemetry.decision import Kept
from tests.proxy.playing import House, plan

NOTHING = DecisionsPlan(slow=0.0, sample=0.0)
KEY = "k" * 32


def house(rules: DecisionsPlan = NOTHING, **more) -> tuple[House, Keeping]:
    made = House(plan(**more))
    kept = Keeping(made.core, 3)
    kept.configure(rules)
    made.core.keep, made.core.refused = kept.keep, kept.refused
    return made, kept


def answered(made: House, head: bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", request=None):
    asker = made.ask(request) if request else made.ask()
    side = made.opened[-1]
    side.connect()
    side.answer(head)
    return asker


def test_a_good_and_quick_one_is_not_kept():
    made, kept = house(servers=("a:1",))
    answered(made)
    assert kept.take() == ([], {})


def test_a_failed_one_is_kept_with_its_attempts_and_reasons():
    made, kept = house(servers=("a:1", "b:1"), retry=RetryPlan(attempts=1, on=("connect",)))
    made.ask()
    made.opened[0].refuse()
    made.opened[1].refuse()
    (one,), _ = kept.take()
    assert (one.outcome, one.status, one.flag) == (Outcome.CONNECT_FAILED, 502, "SC")
    assert Kept(one.kept) == Kept.FAILED and one.worker == 3
    assert (one.route, one.service, one.method, one.target) == ("r", "app", "GET", "/")
    assert sorted(attempt.server for attempt in one.attempts) == ["a:1", "b:1"]
    assert all(attempt.flag == "SC" and attempt.connect == -1.0 for attempt in one.attempts)
    assert all(Select(attempt.reason) != Select.NONE for attempt in one.attempts)
    assert 0.0 <= one.attempts[0].began <= one.attempts[1].began <= one.duration


def test_a_slow_one_is_kept_with_its_one_attempt():
    made, kept = house(DecisionsPlan(slow=1e-9, sample=0.0), servers=("a:1",))
    answered(made)
    (one,), _ = kept.take()
    (attempt,) = one.attempts
    assert Kept(one.kept) == Kept.SLOW and one.status == 200
    assert (attempt.server, attempt.status, attempt.flag) == ("a:1", 200, "--")
    assert attempt.connect >= 0 and not attempt.reused and attempt.reason == one.reason != 0


def test_about_the_share_is_in_the_sample():
    made, kept = house(DecisionsPlan(slow=0.0, sample=0.25), respond=_respond())
    made.core.rng = Random(1)
    count = 0
    for _ in range(400):
        made.ask()
        found, _ = kept.take()
        count += len(found)
        assert all(one.kept == Kept.SAMPLE for one in found)
    assert 60 <= count <= 140


def test_what_is_too_much_between_two_ticks_is_counted(monkeypatch):
    monkeypatch.setattr(keeping, "MOST", 4)
    made, kept = house(DecisionsPlan(slow=1e-9, sample=0.0), respond=_respond())
    for _ in range(10):
        made.ask()
    assert len(kept.take()[0]) == 4
    assert made.cells.get(layout.WORKER_DECISIONS_DROPPED) == 6


def test_a_flood_of_what_clients_do_leaves_room_for_failures_of_servers(monkeypatch):
    monkeypatch.setattr(keeping, "OF_CLIENTS", 4)
    made, kept = house(servers=("a:1",), match=MatchPlan(path_prefix=("/here",)))
    rules = made.core.listeners["web"]
    for _ in range(10):
        kept.refused(rules, "192.0.2.1", Outcome.BAD_REQUEST, 400)
        made.ask()  # no route
    broken = b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"
    answered(made, broken, b"GET /here HTTP/1.1\r\nHost: a\r\n\r\n")
    kept.refused(rules, "192.0.2.1", Outcome.TOO_MANY_CONNECTIONS, 503)
    found = [Outcome(one.outcome) for one in kept.take()[0]]
    assert len(found) == 6 and found[-2:] == [Outcome.DONE, Outcome.TOO_MANY_CONNECTIONS]
    assert made.cells.get(layout.WORKER_DECISIONS_DROPPED) == 16


def test_the_sample_is_bounded_between_two_ticks_and_what_went_wrong_is_not_of_it(monkeypatch):
    monkeypatch.setattr(keeping, "SAMPLED", 2)
    made, kept = house(DecisionsPlan(slow=0.0, sample=1.0), respond=_respond())
    for _ in range(2):
        for _ in range(10):
            made.ask()
        made.core.slow = 1e-9
        made.ask()
        made.core.slow = float("inf")
        assert [Kept(one.kept) for one in kept.take()[0]] == [Kept.SAMPLE] * 2 + [Kept.SAMPLE | Kept.SLOW]
    assert made.cells.get(layout.WORKER_DECISIONS_DROPPED) == 0  # it is a sample, nobody misses the rest


def test_what_is_in_the_sample_alone_waits_for_others_up_to_a_second():
    """Control need not be woken ten times a second for it."""
    made, kept = house(DecisionsPlan(slow=0.0, sample=1.0), respond=_respond())
    for _ in range(2):
        due = []
        for _ in range(keeping.PATIENCE):
            made.ask()
            made.ask()  # one a tick
            due.append(kept.due())
        assert due == [False] * (keeping.PATIENCE - 1) + [True]
        assert [Kept(one.kept) for one in kept.take()[0]] == [Kept.SAMPLE] * keeping.PATIENCE
    assert keeping.PATIENCE * TICK == 1.0


def test_what_went_wrong_or_is_waited_for_is_told_with_the_next_tick():
    made, kept = house(DecisionsPlan(slow=0.0, sample=1.0), respond=_respond())

    def due():
        """Once: then all is taken."""
        found = [kept.due(), bool(kept.take()[0]), kept.due()]
        assert found[1:] == [True, False]
        return found[0]

    made.ask()
    assert not kept.due()
    made.core.slow = 1e-9
    made.ask()
    assert due()
    made.core.slow = float("inf")
    kept.refused(made.core.listeners["web"], "192.0.2.1", Outcome.BAD_REQUEST, 400)
    assert due()
    kept.watch([TailPlan(7, read_condition("status=200"), 10)])
    made.ask()
    assert due()
    made.ask()
    assert due(), "what a tail is not shown is told it"


def test_a_tail_sees_what_it_asked_for_and_is_told_what_it_does_not_see():
    made, kept = house(respond=_respond())
    kept.watch([TailPlan(7, read_condition("path=/yes"), 10), TailPlan(8, read_condition("status=5xx"), 10)])
    for path in (b"/yes", b"/no", b"/yes/again"):
        made.ask(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % path)
    found, left_out = kept.take()
    assert [(one.target, one.tails, one.kept) for one in found] == [("/yes", (7,), Kept.TAIL)]
    assert left_out == {7: 1}  # ten a second is one a tick
    kept.watch([])
    made.ask()
    assert made.core.tails is None and kept.take() == ([], {})


@pytest.mark.parametrize("seconds", [60, -60])
def test_a_signed_header_is_answered_with_the_decision(seconds):
    made, kept = house(DecisionsPlan(0.0, 0.0, KEY), servers=("a:1",))
    made.core.tick()
    token = make(KEY, int(made.core.epoch + made.core.now) + seconds).encode()
    answered(made, request=b"GET / HTTP/1.1\r\nHost: a\r\nX-LB-Debug: %b\r\n\r\n" % token)
    found, _ = kept.take()
    assert [Kept(one.kept) for one in found] == ([Kept.DEBUG] if seconds > 0 else [])
    assert b"debug" not in made.opened[0].out.lower()  # never forwarded


def test_what_is_no_request_is_kept_too():
    made, kept = house()
    kept.refused(made.core.listeners["web"], "192.0.2.1", Outcome.BAD_REQUEST, 400)
    (one,), _ = kept.take()
    assert (one.request_id, one.client, one.status, one.flag) == ("", "192.0.2.1", 400, "CR")


def _respond():
    from lb.plan import RespondPlan

    return RespondPlan(200, "ok")
