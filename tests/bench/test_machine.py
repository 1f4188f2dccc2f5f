"""Processes of a real tree: their CPU time, their memory, their end."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from bench import machine

# A parent with one child; the child waits for a line, burns CPU, then says so and stays.
CHILD = (
    "input()\nx = 0\nfor i in range(3_000_000): x += i\n"
    "print('done', flush=True)\nimport time\ntime.sleep(60)"
)
PARENT = "import subprocess, sys\nsubprocess.run([sys.executable, '-c', sys.argv[1]])"


@pytest.fixture
def family(tmp_path):
    command = [sys.executable, "-c", PARENT, CHILD]
    core = min(os.sched_getaffinity(0))
    process = machine.start(command, core, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    yield process
    machine.stop(process)
    process.stdin.close()
    process.stdout.close()


def test_a_tree_is_measured_whole_and_ends_whole(family):
    before = machine.cpu_time(family.pid)
    family.stdin.write(b"\n")
    family.stdin.flush()
    assert family.stdout.readline() == b"done\n"
    members = machine.tree(family.pid)
    assert len(members) == 2
    spent = machine.cpu_time(family.pid).since(before)
    parent_alone = time.clock_gettime_ns((~family.pid << 3) | 2)
    assert spent > 20_000_000
    assert spent > parent_alone / 2
    memory = machine.memory(family.pid)
    assert 0 < memory.pss <= memory.rss
    machine.stop(family)
    deadline = time.monotonic() + 5
    while any(_alive(pid) for pid in members):
        assert time.monotonic() < deadline


def test_processes_are_pinned(family):
    assert os.sched_getaffinity(family.pid) == {min(os.sched_getaffinity(0))}


def test_cpu_time_of_a_process_that_came_in_between_counts_whole():
    earlier = machine.CpuTime({1: 100, 2: 50}, ended=10)
    later = machine.CpuTime({1: 130, 3: 7}, ended=15)
    assert later.since(earlier) == 30 + 7 + 5


def test_free_ports_differ():
    assert len({machine.free_port() for _ in range(20)}) == 20


def _alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
