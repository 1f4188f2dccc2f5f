"""The decisions that control keeps: order, budgets, redaction."""

from __future__ import annotations

import msgspec
import pytest
from msgspec.structs import replace

from lb.control.kept import BESIDE, KeptDecisions
from lb.control.redacted import exported, redacted
from lb.outcomes import Outcome
from lb.plan import AccessLogPlan
from lb.telemetry.decision import Decision, Kept

BASE = Decision(
    9.0, 8.0, "id", "192.0.2.77", "web", "api", "app", "a:1", "GET", "h", "/p?token=s3cret&b=1", "HTTP/1.1",
    200, 0, 2, 1.0, 0.5, -1.0, -1.0, "--", 0, 1, 7, 0, int(Kept.SAMPLE),
)  # fmt: skip


def made(number: int, kept: int, **more: object) -> Decision:
    return replace(BASE, request_id=f"{number:04}", kept=int(kept), **more)


def ids(store: KeptDecisions) -> list[str]:
    return [one.request_id for one in all_of(store)]


def all_of(store: KeptDecisions) -> list[Decision]:
    return [msgspec.msgpack.decode(encoded, type=Decision) for encoded in store.newest()]


def test_the_newest_of_all_kinds_is_first():
    store = KeptDecisions(100_000)
    kinds = [Kept.FAILED, Kept.SLOW, Kept.SAMPLE, Kept.FAILED | Kept.SLOW, Kept.DEBUG]
    store.take([made(number, kind) for number, kind in enumerate(kinds)])
    assert ids(store) == ["0004", "0003", "0002", "0001", "0000"]


@pytest.mark.parametrize("kept", [Kept.TAIL, Kept.TRACE])
def test_what_is_for_others_is_not_kept(kept):
    store = KeptDecisions(100_000)
    store.take([made(1, kept)])
    assert ids(store) == []


def test_a_flood_of_one_kind_drives_out_no_other_and_stays_in_its_budget():
    most = 40_000
    store = KeptDecisions(most)
    store.take([made(1, Kept.FAILED), made(2, Kept.SLOW)])
    store.take([made(number, Kept.SAMPLE) for number in range(10, 1000)])
    assert ids(store)[0] == "0999" and ids(store)[-2:] == ["0002", "0001"]
    store.take([made(number, Kept.FAILED) for number in range(1000, 2000)])
    assert "0002" in ids(store) and "0999" in ids(store) and "0001" not in ids(store)
    store.take([made(number, Kept.FAILED, outcome=int(Outcome.BAD_REQUEST)) for number in range(1000)])
    total = sum(len(encoded) + BESIDE for encoded in store.newest())
    assert most * 0.7 < total <= most


def test_a_flood_of_what_clients_do_drives_out_no_failure_of_a_server():
    store = KeptDecisions(40_000)
    store.take([made(1, Kept.FAILED, outcome=int(Outcome.CONNECT_FAILED)), made(2, Kept.FAILED, status=500)])
    for number in range(10, 1000):
        outcome = Outcome.BAD_REQUEST if number % 2 else Outcome.NO_ROUTE
        store.take([made(number, Kept.FAILED, outcome=int(outcome))])
    assert ids(store)[0] == "0999" and ids(store)[-2:] == ["0002", "0001"]


def test_a_reload_that_keeps_less_drops_the_oldest():
    store = KeptDecisions(100_000)
    store.take([made(number, Kept.FAILED) for number in range(100)])
    store.configure(4_000)
    assert ids(store)[0] == "0099" and 0 < len(ids(store)) < 10


def test_what_the_access_log_does_not_tell_is_not_told():
    log = AccessLogPlan(subnet=True, query=("Token",), omit=("host", "bytes_in"))
    one = redacted(BASE, log)
    assert (one.client, one.target, one.host) == ("192.0.2.0", "/p?token=***&b=1", "")
    other = replace(BASE, target="/p?a=1;token=x&b=1")  # of a client whose servers separate at ";"
    assert redacted(other, log).target == "/p?a=1;token=***&b=1"
    assert redacted(BASE, AccessLogPlan(query=("*",))).target == "/p?token=***&b=***"
    assert redacted(BASE, AccessLogPlan()) == redacted(BASE, None) == BASE


def test_an_id_that_the_access_log_does_not_tell_is_kept_and_not_exported():
    log = AccessLogPlan(omit=("request_id",))
    assert redacted(BASE, log) == BASE, "lb why is asked for it"
    assert exported([BASE], log) == [replace(BASE, request_id="")]
    assert exported([BASE], AccessLogPlan(omit=("host",))) == exported([BASE], None) == [BASE]
