"""One server process as a test sees it: commands, signals, a new life on the same address."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class Player:
    """`python -m tests.faults.server` in a process of its own. `prefix` runs it elsewhere, in a network
    namespace for one."""

    def __init__(self, address: str, name: str, prefix: tuple[str, ...] = ()) -> None:
        self.address = address
        self.name = name
        self.prefix = prefix
        self.start()

    def start(self) -> None:
        """A new process on the same address."""
        self.process = subprocess.Popen(
            [*self.prefix, sys.executable, "-m", "tests.faults.server", self.address, self.name],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
        )  # fmt: skip
        assert self._line() == "ready\n", f"server {self.name} did not start on {self.address}"

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def does(self, mode: str) -> dict[str, int]:
        """Take up a mode (see tests.faults.server); returns what it counted so far."""
        assert self.process.stdin is not None
        self.process.stdin.write(mode + "\n")
        self.process.stdin.flush()
        counted: dict[str, int] = json.loads(self._line())
        return counted

    def requests(self) -> int:
        """Requests that reached this process, probes apart."""
        return self.does("count")["requests"]

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """SIGSTOP: the kernel still accepts, nobody answers."""
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        if self.process.poll() is None:
            self.go_on()
            self.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()
