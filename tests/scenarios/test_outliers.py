"""Passive checks with real processes: a server that fails is taken out, and comes back."""

from __future__ import annotations

import json
import re
import threading
import time
from datetime import datetime, timedelta

from .harness import Client, Exchange, Origin, Scenario, echo, eventually
from .test_overrides import seen_by_workers

EJECTED = "server_ejected: "
RETURNED = "server_returned: "
SHADOW = "outlier_shadow: "


def service(**outlier: object) -> str:
    inside = ", ".join(f"{k}: {v}" for k, v in outlier.items())
    return f"""
listeners: [{{name: web, bind: "$web"}}]
services:
  app: {{servers: [$a, $b, $c], outlier: {{{inside}}}}}
routes: {{"/": app}}
"""


def fail(x: Exchange) -> None:
    x.body()
    x.respond(b"broken", status="500 Internal Server Error")


def scenario(**outlier: object) -> Scenario:
    return Scenario(service(**outlier), a=Origin(), b=Origin(), c=Origin())


def requests(origin: Origin) -> int:
    """Those of clients."""
    return sum(x.target != "/healthz" for x in origin.exchanges)


def lines(s: Scenario, what: str) -> list[str]:
    return [line for line in s.lb.said().splitlines() if what in line]


def seconds(line: str) -> float:
    """When a line was written, within its day."""
    found = re.search(r"T(\d\d):(\d\d):(\d\d\.\d+)Z", line)
    assert found is not None
    return int(found[1]) * 3600 + int(found[2]) * 60 + float(found[3])


def until(c: Client, s: Scenario, what: str, count: int) -> str:
    """Ask until lb said it so many times; the last of these lines."""

    def said() -> bool:
        c.get()
        return len(lines(s, what)) >= count

    eventually(said, within=20, because=f"no line {count} of {what!r}")
    return lines(s, what)[count - 1]


def fifth_failure(c: Client, s: Scenario) -> str:
    """Ask until `a` failed so often, and then no more until the workers leave it alone; the line that says so."""
    eventually(lambda: c.get() and len(s.a.exchanges) >= 5)
    eventually(lambda: seen_by_workers(s, "a") == "down", because="it is not ejected")
    return lines(s, EJECTED)[0]


def test_a_server_that_fails_five_times_in_a_row_gets_nothing_until_its_time_is_over() -> None:
    with scenario(ejection="1s", interval="1h") as s, s.client() as c:
        s.a.behaviour = fail
        ejected = until(c, s, EJECTED, 1)
        assert s.a.address in ejected and "5 failures in a row, the last: 500; ejected for 1s" in ejected
        assert "reason=consecutive_failures" in ejected and "service=app" in ejected
        # told to the workers within moments; from then on nobody sees a failure
        eventually(lambda: c.get().status == 200 and c.get().status == 200 and c.get().status == 200)
        failed = len(s.a.exchanges)
        assert 5 <= failed <= 8
        statuses = [c.get().status for _ in range(9)]
        if not lines(s, RETURNED):  # not until all were answered
            assert statuses == [200] * 9

        returned = until(c, s, RETURNED, 1)
        assert 0.9 <= (seconds(returned) - seconds(ejected)) % 86400 < 5
        # the first time was no lesson: it is out for twice as long
        ejected = until(c, s, EJECTED, 2)
        assert "ejected for 2s" in ejected
        assert len(s.a.exchanges) > failed, "it was tried again"
        s.a.behaviour = s.a.first_behaviour
        returned = until(c, s, RETURNED, 2)
        assert 1.9 <= (seconds(returned) - seconds(ejected)) % 86400 < 6
        before = len(s.a.exchanges)
        eventually(lambda: c.get() and len(s.a.exchanges) > before)
        assert len(lines(s, EJECTED)) == 2


def test_an_ejection_is_shown_counted_and_told_with_its_evidence() -> None:
    with scenario(ejection="60s", interval="1h") as s, s.client() as c:
        s.a.behaviour = fail
        fifth_failure(c, s)
        status, text = s.lb.admin("GET", f"/api/v1/servers?address={s.a.address}")
        assert status == 200
        (server,) = json.loads(text)["servers"]
        assert server["status"] == "ejected"
        (evidence,) = server["evidence"]
        assert (evidence["reason"], evidence["value"], evidence["enforced"]) == (
            "consecutive_failures",
            5,
            True,
        )
        assert (evidence["requests"], evidence["failures"], evidence["others_failures"]) == (5, 5, 0)
        assert evidence["others_requests"] >= 8
        assert datetime.fromisoformat(evidence["until"]) - datetime.fromisoformat(
            evidence["at"]
        ) == timedelta(seconds=60)
        assert s.lb.metric(r'lb_events_total\{.*kind="server_ejected".*reason="consecutive_failures"') == 1
        (told,) = (
            event
            for event in json.loads(s.lb.admin("GET", "/api/v1/events")[1])["events"]
            if event["kind"] == "server_ejected"
        )
        assert (told["server"], told["facts"]["failures"], told["facts"]["times"]) == (s.a.address, 5, 1)


def test_where_a_check_sees_the_outage_too_its_end_is_the_end_of_the_ejection() -> None:
    check = "health_check: {http: /healthz, interval: 200ms, rise: 2, fall: 2}"
    config = service(ejection="5m").replace("outlier:", f"{check}, outlier:")
    with Scenario(config, a=Origin(), b=Origin(), c=Origin()) as s, s.client() as c:
        s.a.behaviour = lambda x: echo(x) if x.target == "/healthz" else fail(x)
        until(c, s, EJECTED, 1)
        s.a.behaviour = fail
        eventually(lambda: lines(s, "server_down: "))
        s.a.behaviour = s.a.first_behaviour
        eventually(lambda: lines(s, RETURNED))
        assert "reason=check" in lines(s, RETURNED)[0]
        before = requests(s.a)
        eventually(lambda: c.get() and requests(s.a) > before)


def test_a_server_that_refuses_is_ejected_and_clients_see_nothing_of_it() -> None:
    with scenario(ejection="60s", interval="1h") as s, s.client() as c:
        s.a.stop_listening()
        answers = [c.get().status for _ in range(30)]
        assert answers == [200] * 30, "refused connections are tried again elsewhere"
        assert "the last: SC" in until(c, s, EJECTED, 1)
        s.reset()

        def left_alone() -> bool:  # once the worker has heard of it
            tried = s.lb.metric(rf'lb_server_connect_failures_total.*server="{s.a.address}"')
            assert all(c.get().status == 200 for _ in range(12))
            return s.lb.metric(rf'lb_server_connect_failures_total.*server="{s.a.address}"') == tried

        eventually(left_alone)


def test_what_clients_break_off_ejects_nobody() -> None:
    with scenario(ejection="60s") as s:
        for origin in (s.a, s.b, s.c):
            origin.take_over()
        for number in range(24):
            with s.client() as c:
                c.send_request("GET", f"/{number}")
                eventually(lambda n=number: sum(len(o.exchanges) for o in (s.a, s.b, s.c)) > n)
        # each was told to the passive checks before it was counted
        eventually(lambda: s.lb.metric(r"lb_outcomes_total.*client_gone") == 24)
        assert lines(s, EJECTED) == []


def test_all_servers_failing_leaves_half_of_them_in_use() -> None:
    with scenario(ejection="60s") as s, s.client() as c:
        for origin in (s.a, s.b, s.c):
            origin.behaviour = fail
        until(c, s, "ejection_withheld: ", 2)
        assert len(lines(s, EJECTED)) == 1
        assert c.get().status == 500, "a server's own answer, not 503"


def test_a_slow_server_is_reported_in_shadow_and_used_on() -> None:
    def slowly(x: Exchange) -> None:
        x.body()
        time.sleep(0.15)
        x.respond(b"at last")

    with scenario(interval="2s", min_requests=20, success_rate="off") as s:
        s.a.behaviour = slowly
        enough = threading.Event()

        def ask() -> None:
            with s.client() as c:
                while not enough.is_set():
                    c.get()

        clients = [threading.Thread(target=ask) for _ in range(6)]
        for client in clients:
            client.start()
        try:
            eventually(lambda: lines(s, SHADOW), within=30)
        finally:
            enough.set()
            for client in clients:
                client.join()
        (told,) = lines(s, SHADOW)
        assert s.a.address in told and "reason=latency" in told and "(shadow)" in told
        before = len(s.a.exchanges)
        assert all(s.get().status == 200 for _ in range(9))
        assert len(s.a.exchanges) - before == 3, "nothing is taken away from it"
        assert lines(s, EJECTED) == []


def test_an_ejection_outlives_a_reload_and_ends_with_the_section() -> None:
    with scenario(ejection="60s") as s, s.client() as c:
        s.a.behaviour = fail
        until(c, s, EJECTED, 1)
        generation = s.generation()
        s.write(service(ejection="50s"))
        eventually(lambda: s.generation() > generation)
        failed = len(s.a.exchanges)
        assert [c.get().status for _ in range(12)] == [200] * 12
        assert len(s.a.exchanges) == failed
        s.write(service().replace(", outlier: {}", ""))
        eventually(lambda: lines(s, RETURNED))
        assert "reason=configuration" in lines(s, RETURNED)[0]
        eventually(lambda: c.get().status == 500)
