"""Failures that clients need not notice, and those that must not be made worse by trying again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from .harness import Exchange, Origin, Scenario, eventually

CONFIG = """
listeners: [{name: web, bind: "$web"}]
services:
  app: ["$a", "$b"]
  half: ["$a", "$closed"]
routes:
  - {name: storm, match: {path_prefix: /storm}, service: app, retry: {attempts: 3, on: [503], backoff: 1ms}}
  - {name: none, match: {path_prefix: /none}, service: app, retry: {on: [connect, reset, 503], budget: 0%, budget_floor: 0}}
  - {name: half, match: {path_prefix: /half}, service: half}
  - {name: later, match: {path_prefix: /later}, service: app, timeout: {total: 5s}, retry: {on: [503]}}
  - {name: soon, match: {path_prefix: /soon}, service: app, retry: {on: [503]}}
  - {name: try, match: {path_prefix: /try}, service: app, timeout: {attempt: 300ms}, retry: {on: [timeout]}}
  - {name: once, match: {path_prefix: /once}, service: app, timeout: {attempt: 300ms}}
  - {name: hedge, match: {path_prefix: /hedge}, service: app, retry: {hedge: 200ms, on: [connect, reset, 503]}}
  - {name: all, match: {path_prefix: /}, service: app, retry: {on: [connect, reset, 503], replay: 8KiB}}
"""
BUSY = "503 Service Unavailable"


@pytest.fixture(scope="module")
def shared() -> Iterator[Scenario]:
    with Scenario(CONFIG, a=Origin(), b=Origin()) as s:
        yield s


@pytest.fixture
def s(shared: Scenario) -> Iterator[Scenario]:
    shared.reset()
    yield shared
    shared.reset()


def first(s: Scenario, fault: Callable[[Exchange], None]) -> list[Exchange]:
    """Whichever server is asked first has the fault; the others answer with the body that they got. All
    requests, in the order in which they came."""
    lock = threading.Lock()
    came: list[Exchange] = []

    def behave(x: Exchange) -> None:
        with lock:
            came.append(x)
            faulty = len(came) == 1
        if faulty:
            fault(x)
        else:
            x.respond(b"again:" + x.body())

    s.a.behaviour = s.b.behaviour = behave
    return came


def busy(x: Exchange) -> None:
    x.body()
    x.respond(b"no", BUSY)


def late(seconds: int) -> Callable[[Exchange], None]:
    return lambda x: x.respond(b"no", BUSY, f"Retry-After: {seconds}\r\n")


def hang(x: Exchange) -> None:
    x.body()
    x.dropped(10.0)


def test_a_storm_of_503_is_not_multiplied(s: Scenario) -> None:
    s.a.behaviour = s.b.behaviour = busy
    count = 500
    with s.client() as c:
        assert {c.get("/storm").status for _ in range(count)} == {503}
    attempts = len(s.a.exchanges) + len(s.b.exchanges)
    assert count + 30 < attempts <= 1.2 * count, attempts
    route = r'{route="storm",service="app"}'
    # a client has its answer before it counts, and before its line is written
    eventually(lambda: s.lb.metric(rf"lb_route_retries_total{route}") == attempts - count)
    assert s.lb.metric(rf"lb_route_retries_refused_total{route}") >= count - (attempts - count)
    eventually(lambda: s.log_text().count("/storm") == count)
    last = s.log_text().rstrip().splitlines()[-1]
    assert '"word":"budget"' in last


def test_without_a_budget_there_is_no_retry(s: Scenario) -> None:
    came = first(s, busy)
    assert s.get("/none").status == 503 and len(came) == 1


@pytest.mark.parametrize("fault", [busy, Exchange.reset])
def test_a_post_that_a_server_has_seen_is_not_sent_again(s: Scenario, fault) -> None:
    came = first(s, fault)
    assert s.request("POST", "/seen", body=b"pay").status == (503 if fault is busy else 502)
    assert len(came) == 1


@pytest.mark.parametrize("fault", [busy, Exchange.reset])
def test_a_get_is(s: Scenario, fault) -> None:
    came = first(s, fault)
    assert s.get("/get").body == b"again:" and len(came) == 2


def test_a_post_that_no_server_has_seen_goes_to_another(s: Scenario) -> None:
    with s.client() as c:
        assert {c.request("POST", "/half", body=b"pay").status for _ in range(6)} == {200}
    assert len(s.a.exchanges) == 6 and s.lb.metric('lb_route_retries_total{route="half"') > 0


def test_a_body_is_sent_again_as_long_as_it_is_kept(s: Scenario) -> None:
    for size, status in ((8 * 1024, 200), (8 * 1024 + 1, 502)):
        came = first(s, lambda x: (x.body(), x.reset()))
        body = bytes(range(256)) * 33
        answer = s.request("PUT", f"/body-{size}", body=body[:size])
        assert answer.status == status
        if status == 200:
            assert answer.body == b"again:" + body[:size] and came[0].wire is not came[1].wire
        else:
            assert len(came) == 1


def test_retry_after_is_waited_for_where_there_is_time(s: Scenario) -> None:
    came = first(s, late(1))
    began = time.monotonic()
    assert s.get("/later").status == 200 and len(came) == 2
    assert 1.0 <= time.monotonic() - began < 4.0


def test_retry_after_that_is_too_far_away_is_the_clients(s: Scenario) -> None:
    for path, seconds in (("/later/far", 30), ("/soon/far", 1)):
        came = first(s, late(seconds))
        began = time.monotonic()
        answer = s.get(path)
        assert (answer.status, answer.get("retry-after"), len(came)) == (503, str(seconds), 1)
        assert time.monotonic() - began < 0.9
        entry = s.log_entry(path)
        assert entry["attempts"][0]["word"] == "retry_after"  # type: ignore[index]


def test_an_attempt_that_takes_too_long_is_made_elsewhere(s: Scenario) -> None:
    came = first(s, hang)
    began = time.monotonic()
    assert s.get("/try/get").status == 200
    assert 0.3 <= time.monotonic() - began < 2.0
    assert came[0].dropped() and len(came) == 2
    assert [a["flag"] for a in s.log_entry("/try/get")["attempts"]] == ["SH", "--"]  # type: ignore[attr-defined]
    for method, path in (("POST", "/try/post"), ("GET", "/once/get")):
        came = first(s, hang)
        assert s.request(method, path).status == 504 and len(came) == 1


def test_a_second_server_is_faster_than_a_slow_one(s: Scenario) -> None:
    failures = s.lb.metric("lb_server_failures_total")
    came = first(s, hang)
    began = time.monotonic()
    assert s.request("PUT", "/hedge/slow", body=b"thing").body == b"again:thing"
    assert 0.2 <= time.monotonic() - began < 2.0
    assert came[0].dropped(), "the slow one is told that nobody waits any more"
    entry = s.log_entry("/hedge/slow")
    assert [a["word"] for a in entry["attempts"]] == ["cancelled", "hedge"]  # type: ignore[attr-defined]
    assert (entry["status"], entry["flag"]) == (200, "--")
    assert s.lb.metric("lb_route_hedges_total") == 1
    assert s.lb.metric("lb_server_failures_total") == failures, "to be slow is not to fail"
    assert s.lb.metric("lb_.*in_flight") == 0


def test_the_slow_server_may_still_win(s: Scenario) -> None:
    second = threading.Event()

    def slow(x: Exchange) -> None:
        assert second.wait(5), "both are asked"
        x.respond(b"slow")

    came: list[Exchange] = []

    def behave(x: Exchange) -> None:
        came.append(x)
        if len(came) == 1:
            slow(x)
        else:
            second.set()
            hang(x)

    s.a.behaviour = s.b.behaviour = behave
    assert s.get("/hedge/won").body == b"slow" and len(came) == 2
    assert came[1].dropped()
    assert [a["word"] for a in s.log_entry("/hedge/won")["attempts"] if "word" in a] == ["cancelled"]  # type: ignore[attr-defined]
