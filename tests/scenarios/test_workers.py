"""A killed worker is replaced within a second and takes nothing with it but its own exchanges."""

from __future__ import annotations

import contextlib
import os
import signal
import time

import pytest

from .harness import Broken, Scenario, eventually

CONFIG = """
workers: 2
listeners: [{name: web, bind: "$web"}]
services: {app: ["$a"]}
routes: {"/": app}
"""


def running(s: Scenario) -> list[int]:
    return [w["pid"] for w in s.lb.status()["workers"] if w["state"] == "running"]


def replaced(s: Scenario, pid: int) -> bool:
    """Of one answer: of two, the first may be from before control noticed the death and the second from after it."""
    pids = running(s)
    return len(pids) == 2 and pid not in pids


def test_there_are_as_many_workers_as_configured() -> None:
    with Scenario(CONFIG) as s:
        workers = s.lb.workers()
        assert len(set(workers)) == 2
        assert set(workers) <= set(s.lb.processes())


def test_both_workers_serve() -> None:
    with Scenario(CONFIG) as s:
        clients = [s.client() for _ in range(60)]
        for c in clients:
            assert c.get().status == 200
        shares = eventually(
            lambda: (n := [w["connections"] for w in s.lb.status()["workers"]]) and sum(n) == 60 and n
        )
        assert min(shares) > 5, shares


@pytest.mark.alone
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_killed_worker_is_replaced_within_a_second(number: signal.Signals) -> None:
    with Scenario(CONFIG, quiet=True) as s:
        took = []
        for _ in range(3):  # the best of three: other tests may run on the same cores
            first, other = s.lb.workers()
            os.kill(first, number)
            started = time.monotonic()
            eventually(lambda first=first: replaced(s, first), within=5)
            took.append(time.monotonic() - started)
            assert other in running(s), "the other worker lived on"
            assert all(s.get().status == 200 for _ in range(10))
        assert min(took) < 1.0, took


def test_a_worker_that_is_asked_to_end_costs_nothing() -> None:
    """SIGTERM to a worker alone (`kill PID`): it may ignore it or be replaced, and requests do not notice."""
    with Scenario(CONFIG) as s:
        os.kill(s.lb.workers()[0], signal.SIGTERM)
        for _ in range(50):
            assert s.get().status == 200
        eventually(lambda: len(running(s)) == 2, within=5)


def test_connections_of_the_other_workers_live_on() -> None:
    with Scenario(CONFIG) as s:
        clients = [s.client() for _ in range(20)]
        for c in clients:
            assert c.get().status == 200
        before = s.lb.workers()
        os.kill(before[0], signal.SIGKILL)
        eventually(lambda: replaced(s, before[0]), within=5)
        alive = 0
        for c in clients:
            with contextlib.suppress(Broken, OSError):
                alive += c.get().status == 200
        assert 0 < alive < 20


def test_new_connections_wait_for_the_successor() -> None:
    """Control holds the listening sockets: a connection that arrives meanwhile waits in their queues."""
    with Scenario(CONFIG.replace("workers: 2", "workers: 1")) as s:
        (pid,) = s.lb.workers()
        os.kill(pid, signal.SIGKILL)
        for _ in range(20):
            assert s.get().status == 200


def test_gauges_of_a_dead_worker_are_forgotten() -> None:
    with Scenario(CONFIG.replace("workers: 2", "workers: 1")) as s:
        s.a.take_over()
        c = s.client()
        c.send_request("GET", "/dies")
        s.a.next_request()
        eventually(lambda: s.lb.metric(r"lb_.*in_flight") >= 1)
        (pid,) = s.lb.workers()
        os.kill(pid, signal.SIGKILL)
        assert c.closed()
        eventually(
            lambda: s.lb.metric(r"lb_.*in_flight") == 0,
            because="requests in flight of a dead worker are still counted",
        )


def test_counters_survive_a_dead_worker() -> None:
    with Scenario(CONFIG.replace("workers: 2", "workers: 1")) as s:
        for _ in range(10):
            assert s.get().status == 200
        eventually(lambda: s.lb.metric(r"lb_requests_total") == 10)
        (pid,) = s.lb.workers()
        os.kill(pid, signal.SIGKILL)
        for _ in range(5):
            assert s.get().status == 200
        eventually(lambda: s.lb.metric(r"lb_requests_total") == 15, because="a counter went back")


def test_a_stopped_worker_does_not_stop_the_admin_api() -> None:
    with Scenario(CONFIG) as s:
        pid = s.lb.workers()[0]
        os.kill(pid, signal.SIGSTOP)
        try:
            assert s.lb.admin("GET", "/metrics")[0] == 200
            assert s.lb.admin("GET", "/livez")[0] == 200
        finally:
            os.kill(pid, signal.SIGCONT)


def test_a_new_worker_gets_the_newest_routes() -> None:
    with Scenario(CONFIG.replace("workers: 2", "workers: 1")) as s:
        s.write(CONFIG.replace("workers: 2", "workers: 1").replace('"/": app', '"/new": app'))
        assert s.lb.admin("POST", "/api/v1/reload")[0] == 200
        (pid,) = s.lb.workers()
        os.kill(pid, signal.SIGKILL)
        assert s.get("/new").status == 200
        assert s.get("/old").status == 404
