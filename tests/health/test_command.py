"""The command probe: what it is told, how it ends, and what is left of it when it is cut off."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest

from lb.health.plan import CommandProbe
from tests.health.servers import gone, play, probed, sockets


def shell(script: str, timeout: float = 5.0, address: str = "127.0.0.1:80", port: int | None = None):
    async def test():
        before = sockets()
        outcome = await probed(address, CommandProbe(("/bin/sh", "-c", script), port), timeout)
        await gone(before)
        return outcome

    return play(test())


def test_zero_is_up():
    assert shell("exit 0") == (True, "exit status 0", None)
    assert shell("exit 3") == (False, "exit status 3", None)
    assert shell("kill -9 $$") == (False, "killed by SIGKILL", None)


def test_its_first_line_tells_why():
    assert shell("echo; echo 'disk full' >&2; echo more; exit 1").why == "exit status 1: disk full"
    assert shell("printf 'a\\033[2Jb'").why == "exit status 0: a [2Jb"


def test_its_environment_is_ours_alone(monkeypatch):
    monkeypatch.setenv("SECRET", "s3cr3t")
    names = 'echo "$LB_SERVICE $LB_ADDRESS $LB_HOST $LB_PORT <$SECRET>"'
    assert shell(names).why == "exit status 0: app 127.0.0.1:80 127.0.0.1 80 <>"
    assert shell(names, address="[::1]:80", port=90).why == "exit status 0: app [::1]:80 ::1 90 <>"
    assert shell(names, address="unix:/run/x").why == "exit status 0: app unix:/run/x /run/x  <>"


def test_it_may_write_much():
    assert shell("head -c 1000000 /dev/zero | tr '\\0' x").ok


def test_a_command_that_is_not_there():
    async def test():
        before = sockets()
        outcome = await probed("a:1", CommandProbe(("/nowhere/check",)))
        assert not outcome.ok
        assert "no such file or directory" in outcome.why
        await gone(before)

    play(test())


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("how", ["timed out", "cancelled"])
def test_it_is_killed_with_its_children(tmp_path, eventually, how):
    script = f"trap '' TERM; sleep 60 & echo $! > {tmp_path}/pids.new; echo $$ >> {tmp_path}/pids.new; " \
             f"mv {tmp_path}/pids.new {tmp_path}/pids; wait"  # fmt: skip

    async def test():
        before = sockets()
        probe = CommandProbe(("/bin/sh", "-c", script))
        task = asyncio.create_task(probed("a:1", probe, timeout=3.0 if how == "timed out" else 60))
        while not (tmp_path / "pids").exists():
            await asyncio.sleep(0.01)
        if how == "cancelled":
            task.cancel()
        await asyncio.wait([task])
        if how == "timed out":
            assert task.result() == (False, "no end of the command within 3s", None)
        else:
            assert task.cancelled()
        await gone(before)

    play(test())
    pids = [int(line) for line in (tmp_path / "pids").read_text().split()]
    assert len(pids) == 2
    eventually(lambda: not any(alive(pid) for pid in pids))


def test_who_stays_behind_is_not_waited_for():
    began = time.monotonic()
    assert shell("sleep 3 & exit 0").ok
    assert time.monotonic() - began < 2


def test_it_has_none_of_our_sockets():
    """uvloop closes nothing for a child: it relies on descriptors being made as Python makes them."""
    with socket.create_server(("127.0.0.1", 0)):
        assert shell("ls -l /proc/self/fd | grep -c socket").why == "exit status 1: 0"
