"""Nodes as the harness sees them: started by the spawner, given orders, paused, killed, heard."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class Spawner:
    """The process of tests.safety.spawner, or of another `module` that speaks like it."""

    def __init__(self, module="tests.safety.spawner"):
        self.module = module
        self.turn = asyncio.Lock()
        self.process = None

    async def start(self):
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", self.module, cwd=ROOT, stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE, start_new_session=True,
        )  # fmt: skip

    async def spawn(self, given):
        """The number of the process."""
        async with self.turn:
            self.process.stdin.write(json.dumps(given).encode() + b"\n")
            return int(await self.process.stdout.readline())

    async def end(self):
        if self.process is not None and self.process.returncode is None:
            self.process.stdin.close()
            await self.process.wait()


class Node:
    """One node over its restarts. Here there is nothing but control: `only_control` is for a whole lb."""

    def __init__(self, spawner, folder, name, wires, given):
        self.spawner, self.name, self.wires = spawner, name, wires
        self.log = folder / f"{name}.log"
        pipe = folder / f"{name}.orders"
        os.mkfifo(pipe)
        self.pipe = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
        self.pid = 0
        self.lines, self.read = [], 0
        self.given = {
            **given, "node": name, "folder": str(folder / name), "log": str(self.log), "orders": str(pipe),
            "errors": str(folder / f"{name}.err"),
        }  # fmt: skip

    async def start(self):
        with contextlib.suppress(BlockingIOError):
            os.read(self.pipe, 65536)  # orders that the last one did not live to hear
        self.pid = await self.spawner.spawn(self.given)

    def close(self):
        os.close(self.pipe)

    @property
    def state(self):
        """As the kernel says it, T for a stopped one; "" for none."""
        try:
            return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return ""

    @property
    def lives(self):
        return self.pid > 0 and self.state not in ("", "Z")

    def order(self, words):
        if self.lives:
            with contextlib.suppress(BlockingIOError):
                os.write(self.pipe, f"{words}\n".encode())

    async def kill(self, only_control=False):
        self._signal(signal.SIGKILL)
        while self.lives:
            await asyncio.sleep(0.01)

    def pause(self, on, only_control=False):
        self._signal(signal.SIGSTOP if on else signal.SIGCONT)

    def _signal(self, number):
        if self.lives:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def trouble(self, cut=False, deaf=False):
        """From now on; without any it is over. Connections end either way."""
        for wire in self.wires:
            wire.cut, wire.deaf = cut, deaf
            wire.hang_up()

    def late(self, until):
        """What is sent before `until` (time.monotonic()) arrives then."""
        for wire in self.wires:
            wire.late_until = until

    def harmed(self):
        return sum(wire.harmed for wire in self.wires)

    def heard(self):
        """What it wrote down so far."""
        if self.log.exists():
            with open(self.log, "rb") as file:
                file.seek(self.read)
                new = file.read()
            whole = new[: new.rfind(b"\n") + 1]
            self.read += len(whole)
            self.lines += [json.loads(line) for line in whole.splitlines()]
        return self.lines
