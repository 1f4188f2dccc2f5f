"""`lb run` as a real process group, and waiting with deadlines."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[3]


def eventually(what: Callable[[], T], within: float = 10.0, because: str = "") -> T:
    """Ask again and again until the answer is true; fail with the last answer after `within` seconds."""
    until = time.monotonic() + within
    while True:
        value = what()
        if value:
            return value
        if time.monotonic() > until:
            raise AssertionError(f"{because or 'it did not happen'} within {within} s: last {value!r}")
        time.sleep(0.01)


def free_address() -> tuple[str, socket.socket]:
    """A reserved loopback address, for a program that binds it with SO_REUSEADDR or SO_REUSEPORT."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind(("127.0.0.1", 0))
    return f"127.0.0.1:{sock.getsockname()[1]}", sock


def end_orderly() -> None:
    """Make SIGTERM (a run that is cut short) an interrupt: `finally` runs, and no lb is left behind."""
    if (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    ):
        signal.signal(signal.SIGTERM, signal.default_int_handler)


class Lb:
    """One `lb run FILE` in a process group of its own. `start`: words before it, of a program that becomes it;
    `pass_fds`: descriptors that this program gets."""

    def __init__(
        self, config: Path, admin: str, start: Sequence[str] = (), pass_fds: Sequence[int] = ()
    ) -> None:
        end_orderly()
        self.config = config
        self.admin_address = admin
        self.output = config.with_suffix(".output")
        with self.output.open("wb") as out:
            self.process = subprocess.Popen(
                [*start, sys.executable, "-m", "lb", "run", str(config)],
                stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True, cwd=ROOT,
                pass_fds=pass_fds, env={**os.environ, "STATE_DIRECTORY": str(config.parent / "state")},
            )  # fmt: skip
        try:
            eventually(self._ready, within=60)
        except BaseException as problem:
            self.kill()
            raise AssertionError(f"lb did not become ready ({problem}); it said:\n{self.said()}") from None

    def _ready(self) -> bool:
        if self.process.poll() is not None:
            raise AssertionError(f"it ended with {self.process.returncode}")
        try:
            return self.admin("GET", "/readyz")[0] == 200
        except OSError:
            return False

    @property
    def pid(self) -> int:
        return self.process.pid

    def said(self) -> str:
        return self.output.read_text(errors="replace")

    # -- the admin API
    def admin(
        self, method: str, path: str, body: str | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, str]:
        host, port = self.admin_address.rsplit(":", 1)
        connection = http.client.HTTPConnection(host, int(port), timeout=60)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def status(self) -> Any:
        return json.loads(self.admin("GET", "/api/v1/status")[1])

    def metrics(self) -> dict[str, float]:
        """Every sample, by its name with labels as exposed."""
        status, text = self.admin("GET", "/metrics")
        assert status == 200, text
        samples = {}
        for line in text.splitlines():
            if line and not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                samples[name] = float(value)
        return samples

    def metric(self, pattern: str) -> float:
        """The sum of all samples whose name with labels matches the regular expression."""
        return sum(v for k, v in self.metrics().items() if re.match(pattern, k))

    # -- processes
    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def processes(self) -> list[int]:
        """Control and everything below it."""
        found, look = [], [self.pid]
        while look:
            pid = look.pop()
            found.append(pid)
            try:
                for task in Path(f"/proc/{pid}/task").iterdir():
                    look += [int(c) for c in (task / "children").read_text().split()]
            except OSError:
                pass
        return found

    def workers(self) -> list[int]:
        """The pids of the workers, as the admin API gives them."""
        return [w["pid"] for w in self.status()["workers"] if w.get("pid")]

    def rss(self) -> int:
        """Resident bytes of the whole process tree."""
        total = 0
        for pid in self.processes():
            with contextlib.suppress(OSError):
                total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        return total

    def descriptors(self) -> int:
        total = 0
        for pid in self.processes():
            with contextlib.suppress(OSError):
                total += len(os.listdir(f"/proc/{pid}/fd"))
        return total

    def wait(self, timeout: float = 10.0) -> int:
        return self.process.wait(timeout)

    def kill(self) -> None:
        """Ask twice (which ends it at once), then kill the group: nothing survives a test."""
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
            self.signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(2)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait()
