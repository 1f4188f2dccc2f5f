"""Upgrades and killed controls under constant load: another process serves, and no client notices."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from .harness import Client, Lb, Scenario, eventually
from .harness.process import ROOT
from .test_websocket import ASK, YES

CONFIG = """
workers: %s
shutdown_grace: %s
state_dir: "$dir/state"
listeners: [{name: web, bind: ["$web", "unix:$dir/lb.sock"]}]
services: {app: ["$a"]}
routes: {"/": app}
"""
REQUEST = b"GET /%d HTTP/1.1\r\nHost: example.test\r\n\r\n"


@dataclass
class Load:
    """Clients that keep their connections for as long as they may (`Connection: close` is obeyed), half of
    them for a single request. A failure is anything but a whole answer with 200."""

    address: str
    done: int = 0
    failures: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    async def client(self, number: int) -> None:
        host, port = self.address.rsplit(":", 1)
        while not self.stop.is_set():
            try:
                reader, writer = await asyncio.open_connection(host, int(port))
            except OSError as problem:
                self.failures.append(f"connect: {problem!r}")
                await asyncio.sleep(0.01)
                continue
            try:
                last = False
                while not last and not self.stop.is_set():
                    writer.write(REQUEST % self.done)
                    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
                    assert head.startswith(b"HTTP/1.1 200 "), head
                    lines = head.lower().split(b"\r\n")
                    size = next(int(line[15:]) for line in lines if line.startswith(b"content-length:"))
                    await asyncio.wait_for(reader.readexactly(size), 20)
                    self.done += 1
                    last = b"connection: close" in lines or number % 2 == 0
            except Exception as problem:  # all of them are failures
                self.failures.append(repr(problem))
            finally:
                writer.close()

    async def run(self) -> None:
        await asyncio.gather(*(self.client(number) for number in range(16)))


@contextmanager
def load_on(s: Scenario) -> Iterator[Load]:
    load = Load(s.names["web"])
    thread = threading.Thread(target=lambda: asyncio.run(load.run()))
    thread.start()
    try:
        goes_on(load)
        yield load
        goes_on(load)
    finally:
        load.stop.set()
        thread.join(30)
    assert load.failures == []


def goes_on(load: Load, requests: int = 100) -> None:
    before = load.done
    eventually(
        lambda: load.done > before + requests, because=f"the load came to a stand: {load.failures[:3]}"
    )


def command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lb", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def upgrade(s: Scenario) -> subprocess.CompletedProcess[str]:
    return command("upgrade", str(s.file))


def control(s: Scenario) -> int:
    return int(s.lb.status()["pid"])


def gone(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_upgrades_fail_no_request() -> None:
    """The number of workers goes up and down with them: every socket has somebody who reads it."""
    with Scenario(CONFIG % (2, "10s")) as s:
        with load_on(s) as load:
            pids = [control(s)]
            for workers in (2, 3, 1, 2, 2):
                s.write(CONFIG % (workers, "10s"))
                before = [pids[-1], *s.lb.workers()]
                said = upgrade(s)
                assert said.returncode == 0, said.stderr + s.lb.said()[-3000:]
                pids.append(control(s))
                assert f"process {pids[-1]} serves now" in said.stdout
                assert len(s.lb.workers()) == workers
                goes_on(load)
                eventually(lambda old=before: all(map(gone, old)), within=15, because="the one before stays")
        assert len(set(pids)) == 6
        assert s.lb.wait() == 0
        with Client(f"unix:{s.directory}/lb.sock") as c:
            assert c.get().status == 200
        os.kill(pids[-1], signal.SIGTERM)
        eventually(lambda: gone(pids[-1]))


def test_sigusr2_is_an_upgrade() -> None:
    with Scenario(CONFIG % (1, "10s")) as s:
        before = s.lb.pid
        with load_on(s):
            s.lb.signal(signal.SIGUSR2)
            assert s.lb.wait(30) == 0
        assert control(s) != before


@pytest.mark.parametrize("why", ["configuration", "address", "crash", "crash with workers"])
def test_a_failed_upgrade_leaves_the_one_before(why: str) -> None:
    with Scenario(CONFIG % (2, "10s")) as s:
        before = [control(s), *s.lb.workers()]
        with load_on(s):
            if why.startswith("crash"):
                wanted = 3 if "workers" in why else 1
                s.lb.signal(signal.SIGUSR2)
                # a parent stands before its children, whatever their numbers are
                started = eventually(
                    lambda: len(new := [p for p in s.lb.processes() if p not in before]) >= wanted and new,
                    because="no successor was started",
                )
                os.kill(started[0], signal.SIGKILL)
                eventually(lambda: "the upgrade failed" in s.lb.said())
                eventually(lambda: all(map(gone, started)), because="workers of the successor stay")
            else:
                good = s.file.read_text()
                bad = good.replace("workers: 2", "workers: many")
                if why == "address":
                    bad = good.replace(s.names["web"], "192.0.2.1:80")
                s.file.write_text(bad)
                said = upgrade(s)
                assert said.returncode == (1 if why == "configuration" else 4)
                assert ("workers" if why == "configuration" else "no such address") in said.stderr
                s.file.write_text(good)
        assert [control(s), *s.lb.workers()] == before
        with Client(f"unix:{s.directory}/lb.sock") as c:
            assert c.get().status == 200, "the successor took the file of the socket with it"
        assert upgrade(s).returncode == 0, "a failure is no obstacle to the next"


def test_a_websocket_lives_through_the_drain() -> None:
    with Scenario(CONFIG % (1, "30s")) as s:
        s.a.take_over()
        c = s.client()
        c.send_request("GET", "/ws", ASK)
        x = s.a.next_request()
        x.send(YES)
        assert c.recv_response_head().status == 101
        before = control(s)
        assert upgrade(s).returncode == 0
        c.send(b"still here")
        assert x.wire.recv_exactly(10) == b"still here"
        x.send(b"and back")
        assert c.recv_exactly(8) == b"and back"
        assert not gone(before)
        c.close()
        x.close()
        eventually(lambda: gone(before), because="the one before does not end with its last connection")


def test_a_second_lb_is_refused() -> None:
    with Scenario(CONFIG % (1, "10s")) as s:
        said = command("run", str(s.file))
        assert said.returncode == 3
        assert f"in use by process {s.lb.pid}" in said.stderr
        assert s.get().status == 200


def test_an_upgrade_of_nothing_says_so() -> None:
    with Scenario(CONFIG % (1, "10s")) as s:
        other = s.directory / "other.yaml"
        other.write_text(s.file.read_text().replace("/state", "/other"))
        said = command("upgrade", str(other))
        assert said.returncode == 4
        assert "no lb runs with this configuration" in said.stderr


def test_a_control_that_is_killed_while_it_is_replaced() -> None:
    """Its successor has the sockets by then, or not: afterwards one lb serves, and no workers are left over."""
    with Scenario(CONFIG % (2, "10s"), quiet=True) as s, load_on(s) as load:
        before = [s.lb.pid, *s.lb.workers()]
        s.lb.signal(signal.SIGUSR2)
        eventually(lambda: "taking over from the lb before" in s.lb.said())
        s.lb.signal(signal.SIGKILL)
        s.lb.process.wait()
        eventually(lambda: all(map(gone, before)), within=20, because="workers of the one before stay")
        goes_on(load)
        assert control(s) not in before
        assert upgrade(s).returncode == 0


@pytest.mark.parametrize("workers", [(2, 2), (2, 1), (1, 2)])
def test_a_killed_control_is_replaced_without_a_failed_request(workers: tuple[int, int]) -> None:
    with Scenario(CONFIG % (workers[0], "10s"), quiet=True) as s:
        stale = s.directory / "state" / "workers" / "999999999.sock"
        stale.touch()
        with load_on(s) as load:
            orphans = s.lb.workers()
            s.lb.signal(signal.SIGKILL)
            s.lb.process.wait()
            goes_on(load)
            s.write(CONFIG % (workers[1], "10s"))
            first, s.lb = s.lb, Lb(s.file, s.names["admin"])
            try:
                assert not set(s.lb.workers()) & set(orphans)
                goes_on(load)
                eventually(
                    lambda: all(map(gone, orphans)), within=15, because="workers of the one before stay"
                )
                goes_on(load)
            finally:
                first.kill()
        assert not stale.exists()
        with Client(f"unix:{s.directory}/lb.sock") as c:
            assert c.get().status == 200
