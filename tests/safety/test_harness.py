"""The harness itself: what it counts, and that nothing of it outlives it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.cluster.real import _program
from tests.safety.harness import Fault, Run
from tests.safety.spawning import ROOT


class Leading:
    """A node that leads, whose next publication is struck where it `is_met`."""

    name, lives, wires = "lb-1", True, ()

    def __init__(self, is_met):
        self.is_met, self.lines = is_met, [{"what": "elected", "epoch": 1, "at": 0.0}]

    def heard(self):
        return self.lines

    def order(self, words):
        if self.is_met and words.startswith("in-commit"):
            self.lines.append({"what": "did", "fault": "stop-in-commit", "at": time.monotonic()})

    def pause(self, on): ...


@pytest.mark.parametrize("is_met", [False, True])
def test_a_fault_that_never_struck_did_not_outlast_a_lease(is_met):
    run = Run(SimpleNamespace(engine="local", ttl=0.05), seed=1)
    run.folder.rmdir()
    run.nodes = [Leading(is_met)]
    asyncio.run(run.disturb(Fault("stop-in-commit", True, 0, 1.5, 0.1, 30, 0.0)))
    assert run.outlasted == ({"stop-in-commit": 1} if is_met else {})


def below(pid):
    """All processes that came of it, itself not among them."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += [int(child), *below(int(child))]
    return found


@pytest.mark.parametrize(
    ("arguments", "count"),
    [
        # the spawner, three nodes; a Redis; with the whole lb a keeper, and each has a worker
        (("--engine", "redis"), 5),
        (("--engine", "redis", "--whole"), 8),
    ],
)
def test_nothing_outlives_a_harness_that_is_killed(arguments, count, eventually):
    try:
        _program("redis-server")
    except FileNotFoundError as missing:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"redis: {missing}")
    command = [sys.executable, "-m", "tests.safety", "--runs", "1", *arguments]
    with tempfile.TemporaryDirectory(prefix="lb-") as folder:  # short: lb has sockets in it
        harness = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "TMPDIR": folder})
        found, held = [], []

        def started():
            with contextlib.suppress(FileNotFoundError):  # one ended while it was looked at
                found[:] = below(harness.pid)
            return len(found) >= count

        try:
            eventually(started, timeout=100)
            for pid in found:
                with contextlib.suppress(ProcessLookupError):
                    held.append(os.pidfd_open(pid))
            assert len(held) >= count - 1
            harness.kill()
            harness.wait()
            eventually(lambda: len(select.select(held, (), (), 0)[0]) == len(held), timeout=10)
        finally:
            harness.kill()
            harness.wait()
            for one in held:
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(one, signal.SIGKILL)
                os.close(one)
