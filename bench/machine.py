"""Processes: pinned starts, whole trees, their CPU time and memory, certain ends.

CPU time is read from the process clocks (ns, ended threads included), not from /proc/PID/stat (10 ms ticks).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_PR_SET_PDEATHSIG = 1
_CPUCLOCK_SCHED = 2
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_STOP_SECONDS = 5.0
_PORTS = range(10_000, 32_000)  # below the ephemeral range, so that no outgoing connection takes one
_next_port = _PORTS.start + os.getpid() % 8000


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes. `rss` counts shared pages in every process, `pss` divides them among those that share."""

    rss: int
    pss: int


def _prepare_child(core: int) -> Callable[[], None]:
    libc = ctypes.CDLL(None)

    def prepare() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        os.sched_setaffinity(0, {core})

    return prepare


def start(
    command: Sequence[str],
    core: int,
    *,
    cwd: Path,
    stdin: int | None = subprocess.DEVNULL,
    stdout: int | IO[bytes] = subprocess.DEVNULL,
    stderr: int | IO[bytes] = subprocess.DEVNULL,
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a process on one core, in a session of its own; it does not outlive this one."""
    return subprocess.Popen(
        command,
        cwd=cwd,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        env={**os.environ, **(environment or {})},
        start_new_session=True,
        preexec_fn=_prepare_child(core),  # noqa: PLW1509  (this program has one thread)
    )


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process and its whole tree; SIGTERM first, SIGKILL for what remains."""
    members = {pid: _started(pid) for pid in tree(process.pid)}
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for pid, started in members.items():
        if started and _started(pid) == started:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third on (state), none when the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def _started(pid: int) -> str:
    """When `pid` started, in ticks since boot: a number used again belongs to another process. "" if gone."""
    fields = _stat(pid)
    return fields[19] if fields and fields[0] != "Z" else ""


def _parents() -> dict[int, int]:
    parents: dict[int, int] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            fields = _stat(int(entry))
            if fields:
                parents[int(entry)] = int(fields[1])
    return parents


def tree(root: int) -> list[int]:
    """`root` and all that descend from it, those alive now."""
    parents = _parents()
    members = [root] if root in parents else []
    for member in members:
        members.extend(pid for pid, parent in parents.items() if parent == member)
    return members


@dataclass(frozen=True, slots=True)
class CpuTime:
    """CPU time in ns of each process of a tree, and of the root's ended children (in ticks, as ns)."""

    alive: Mapping[int, int]
    ended: int

    def since(self, earlier: CpuTime) -> int:
        """ns spent after `earlier`. A process that came in between counts whole."""
        spent = sum(ns - earlier.alive.get(pid, 0) for pid, ns in self.alive.items())
        return spent + self.ended - earlier.ended


def cpu_time(root: int) -> CpuTime:
    alive: dict[int, int] = {}
    for pid in tree(root):
        try:
            alive[pid] = time.clock_gettime_ns((~pid << 3) | _CPUCLOCK_SCHED)
        except OSError:  # it ended meanwhile: then it is among the ended
            continue
    fields = _stat(root)
    if not fields:
        raise RuntimeError(f"process {root} ended during the run")
    ended_ticks = int(fields[13]) + int(fields[14])  # cutime, cstime: proc(5) numbers 16 and 17
    return CpuTime(alive, ended_ticks * 1_000_000_000 // _TICKS_PER_SECOND)


def memory(root: int) -> Memory:
    """Memory of a whole tree, added up."""
    rss = pss = 0
    for pid in tree(root):
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        sizes = _rollup_sizes(text.splitlines())
        rss += sizes["Rss"]
        pss += sizes["Pss"]
    return Memory(rss, pss)


def _rollup_sizes(lines: Iterable[str]) -> dict[str, int]:
    sizes = {"Rss": 0, "Pss": 0}
    for line in lines:
        name, _, rest = line.partition(":")
        if name in sizes:
            sizes[name] = int(rest.split()[0]) * 1024
    return sizes


def free_port() -> int:
    """A TCP port that nothing listens on, on any loopback address."""
    global _next_port  # noqa: PLW0603  (ports are handed out once per process)
    while True:
        _next_port = _next_port + 1 if _next_port + 1 in _PORTS else _PORTS.start
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", _next_port))
            except OSError:
                continue
            return _next_port
