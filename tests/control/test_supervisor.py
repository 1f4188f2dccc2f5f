"""The supervisor with real worker processes, real sockets and a small data plane."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time

import pytest

from lb.control import supervisor as supervisor_module
from lb.control.listeners import BindError
from lb.control.supervisor import PlanRefusedError
from lb.control.worker_process import WorkerFailedError
from lb.plan import StatePlan
from lb.telemetry import layout
from tests.control.conftest import ask, connect, plan, read_answer


def gone(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_all_workers_start_serve_and_end(house):
    lb = house(3)
    lb.start(plan(1))
    pids = lb.pids()
    assert len(set(pids)) == 3
    assert [facts.state for facts in lb.supervisor.facts()] == ["running"] * 3
    answers = {ask(lb.port()) for _ in range(60)}
    assert answers == {f"generation 1 worker {number} pid {pid}" for number, pid in enumerate(pids)}
    assert [lb.cells.of(number, layout.WORKER_GENERATION) for number in range(3)] == [1, 1, 1]
    assert lb.run(lb.drain(5)) == 0
    assert all(gone(pid) for pid in pids)


def test_a_plan_goes_to_all_workers(house):
    lb = house()
    lb.start(plan(1))
    kept = connect(lb.port())
    lb.apply(plan(2, "a", "b"))
    assert {ask(lb.port()).split()[1] for _ in range(30)} == {"2"}
    assert ask(None, sock=kept).startswith("generation 2 ")
    assert [lb.cells.of(number, layout.WORKER_RELOADS) for number in range(2)] == [2, 2]
    assert lb.cells.of(0, layout.WORKER_BUILD_US) > 0


def described(lb, key):
    return [each[key] for each in lb.run(lb.supervisor.describe())]


def test_states_are_there_before_a_plan_is_in_force_and_changes_follow(house):
    lb = house()
    known = [StatePlan("app", "a:1", usable=False)]
    lb.supervisor.states = lambda services: tuple(known)
    lb.start(plan(1))
    assert described(lb, "states_at_publish") == [{"a:1": False}] * 2
    lb.loop.call_soon(lb.supervisor.tell_states, [StatePlan("app", "a:1"), down("b:1")])
    lb.loop.call_soon(lb.supervisor.tell_states, [down("c:1")])
    lb.run(asyncio.sleep(supervisor_module.STATES_DELAY))  # they are gathered first
    assert described(lb, "states") == [{"a:1": True, "b:1": False, "c:1": False}] * 2
    known[:] = [down("c:1")]
    lb.apply(plan(2))
    assert described(lb, "states_at_publish") == [{"c:1": False}] * 2


def test_states_of_a_configuration_are_known_before_it_is_in_force_and_only_then(house):
    lb = house()
    lb.start(plan(1))
    known, calls = [], []
    lb.supervisor.states = lambda services: tuple(known)

    def accepted():
        calls.append(1)
        known.append(down("a:1"))

    with pytest.raises(PlanRefusedError):
        lb.run(lb.supervisor.apply(plan(2, "refuse-1"), accepted))
    assert calls == [] and described(lb, "states") == [{}] * 2
    lb.run(lb.supervisor.apply(plan(3), accepted))
    assert calls == [1] and described(lb, "states_at_publish") == [{"a:1": False}] * 2


def test_a_new_worker_knows_the_states_from_the_start(house):
    lb = house(1)
    lb.supervisor.states = lambda services: (down("a:1"),)
    lb.start(plan(1))
    replaced(lb)
    assert described(lb, "states_at_publish") == [{"a:1": False}]


def down(address):
    return StatePlan("app", address, usable=False)


def test_a_plan_that_one_worker_refuses_goes_to_none(house):
    lb = house()
    lb.start(plan(1))
    with pytest.raises(PlanRefusedError, match="route refuse-1 is refused"):
        lb.apply(plan(2, "a", "refuse-1"))
    assert {ask(lb.port()).split()[1] for _ in range(30)} == {"1"}
    lb.apply(plan(3, "a"))
    assert {ask(lb.port()).split()[1] for _ in range(30)} == {"3"}


def test_a_plan_that_kills_a_worker_is_refused_and_the_worker_replaced(house):
    lb = house()
    lb.start(plan(1))
    before = lb.pids()
    with pytest.raises(PlanRefusedError, match="died while it built it"):
        lb.apply(plan(2, "die"))
    lb.until(lambda: all(pid and pid not in before for pid in lb.pids()))
    lb.until(lambda: {facts.state for facts in lb.supervisor.facts()} == {"running"})
    assert {ask(lb.port()).split()[1] for _ in range(30)} == {"1"}


def test_a_plan_refused_at_the_start_leaves_no_process(house):
    lb = house()
    with pytest.raises(PlanRefusedError, match="route refuse is refused"):
        lb.start(plan(1, "refuse"))
    assert lb.pids() == [0, 0] or all(gone(pid) for pid in lb.pids())


def test_a_worker_that_cannot_start_is_an_error_at_the_start(house):
    lb = house(command=(sys.executable, "-c", "raise SystemExit(3)"))
    with pytest.raises(WorkerFailedError, match="is gone"):
        lb.start(plan(1))


def time_to_import():
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", "import lb.worker.main"], check=True)
    return time.monotonic() - began


def test_a_killed_worker_is_replaced_within_a_second_and_loses_no_connection_in_its_queue(house):
    lb = house(1)
    lb.start(plan(1, "a"))
    slot = lb.ledger.listener("web")
    lb.cells.put(slot + layout.LISTENER_CONNECTIONS, 5)
    lb.cells.put(slot + layout.LISTENER_ACCEPTED, 7)
    old = lb.pids()[0]
    os.kill(old, signal.SIGSTOP)  # it accepts nothing more
    waiting = [connect(lb.port()) for _ in range(5)]
    limit = max(1.0, 3 * time_to_import())  # on a machine that is busy with something else
    began = time.monotonic()
    os.kill(old, signal.SIGKILL)
    lb.until(lambda: lb.supervisor.facts()[0].state == "running" and lb.pids() != [old])
    assert time.monotonic() - began < limit
    assert {ask(None, sock=sock) for sock in waiting} == {f"generation 1 worker 0 pid {lb.pids()[0]}"}
    assert lb.supervisor.facts()[0].restarts == 1
    (event,) = lb.supervisor.events.last
    assert (event.kind, event.reason, event.facts["pid"]) == ("worker_died", "signal", old)
    assert lb.cells.of(0, slot + layout.LISTENER_CONNECTIONS) == 0
    assert lb.cells.of(0, slot + layout.LISTENER_ACCEPTED) == 7


def replaced(lb):
    """Kill the only worker and wait for its successor."""
    pid = lb.pids()[0]
    os.kill(pid, signal.SIGKILL)
    lb.until(lambda: lb.supervisor.facts()[0].state == "running" and lb.pids() != [pid])


def test_a_worker_that_dies_again_and_again_is_replaced_more_slowly(house, monkeypatch):
    monkeypatch.setattr(supervisor_module, "FIRST_DELAY", 0.4)
    lb = house(1)
    lb.start(plan(1))
    took = []
    for _ in range(3):
        began = time.monotonic()
        replaced(lb)
        # until it was started: how long Python then takes to come up differs from time to time
        took.append(lb.supervisor.running[0].started_clock - began)
    assert took[1] > 0.4
    assert took[2] > 0.8
    assert took[0] < took[1] < took[2]


def test_listeners_come_go_and_move(house, tmp_path):
    lb = house()
    path = str(tmp_path / "lb.sock")
    unix = f"unix:{path}"
    lb.start(plan(1, bind=["127.0.0.1:0"]))
    kept = connect(lb.port())
    lb.apply(plan(2, bind=["127.0.0.1:0", unix]))
    assert ask(path).startswith("generation 2")
    assert ask(lb.port()).startswith("generation 2")

    only_unix = plan(3, bind=[unix])
    lb.apply(only_unix)
    port = lb.port()
    lb.listeners.forget(lb.listeners.unused(only_unix.listeners))
    lb.until(lambda: refused(port))
    assert ask(path).startswith("generation 3")
    assert ask(None, sock=kept).startswith("generation 3")

    lb.apply(plan(4, bind=[unix], listener="other"))
    assert ask(path).startswith("generation 4")


def refused(port):
    try:
        connect(port).close()
    except OSError:
        return True
    return False


def test_a_drain_waits_for_exchanges_and_closes_idle_connections(house):
    lb = house(1)
    lb.start(plan(1))
    slow = connect(lb.port())
    idle = connect(lb.port())
    slow.sendall(b"GET /slow HTTP/1.1\r\n\r\n")
    assert ask(lb.port()).startswith("generation 1")
    pid = lb.pids()[0]
    draining = lb.loop.create_task(lb.drain(10))
    busy = connect(lb.port())
    idle.settimeout(0.01)
    lb.until(lambda: closed(idle))
    assert not gone(pid)
    assert lb.supervisor.facts()[0].state == "draining"
    lb.listeners.close()
    slow.sendall(b"go\n")
    assert lb.run(draining) == 0
    assert read_answer(slow).startswith("generation 1")
    lb.until(lambda: gone(pid))
    busy.close()


def closed(sock):
    try:
        return sock.recv(1) == b""
    except TimeoutError:
        return False
    except ConnectionError:
        return True


def test_a_drain_that_takes_too_long_is_cut_and_counted(house):
    lb = house(1)
    lb.start(plan(1))
    slow = [connect(lb.port()) for _ in range(2)]
    for sock in slow:
        sock.sendall(b"GET /slow HTTP/1.1\r\n\r\n")
    ask(lb.port())
    began = time.monotonic()
    assert lb.run(lb.drain(0.3)) == 2
    assert 0.3 <= time.monotonic() - began < 2
    for sock in slow:
        assert closed(sock)


def test_workers_describe_themselves(house):
    lb = house()
    lb.start(plan(1))
    described = lb.run(lb.supervisor.describe())
    assert sorted(each["worker"] for each in described) == [0, 1]


def test_the_access_log_is_written_reopened_and_must_be_writable(house, tmp_path):
    log = tmp_path / "access.log"
    lb = house()
    lb.start(plan(1, log=log))
    ask(lb.port(), "/one")
    lb.until(lambda: log.read_text() == "/one 1\n")
    log.rename(tmp_path / "old.log")
    lb.supervisor.reopen_logs()
    lb.until(log.exists)
    for _ in range(20):
        ask(lb.port(), "/two")
    lb.until(lambda: log.read_text() == "/two 1\n" * 20)
    with pytest.raises(PlanRefusedError, match=r"access_log.path: cannot open .*no/access.log: No such file"):
        lb.apply(plan(2, log=tmp_path / "no" / "access.log"))
    ask(lb.port(), "/three")
    lb.until(lambda: log.read_text().endswith("/three 1\n"))
    other = tmp_path / "other.log"
    lb.apply(plan(3, log=other))
    ask(lb.port(), "/four")
    lb.until(lambda: other.read_text() == "/four 3\n")


def test_an_address_in_use_says_by_whom(house):
    lb, second = house(1), house(1)
    lb.start(plan(1))
    with pytest.raises(BindError) as raised:
        second.listeners.open_missing(plan(1, bind=[f"127.0.0.1:{lb.port()}"]).listeners)
    text = str(raised.value)
    assert f"listener web: cannot listen on 127.0.0.1:{lb.port()}: the address is in use" in text
    assert f"by process {os.getpid()} (" in text
    assert "choose another port" in text
    assert second.listeners.bound == {}
