"""An upgrade as the lb that is replaced sees it: start a successor, and wait until it serves or fails.

Lives here: the successor's process. Must not live here: what it is given (lb.control.succession), or what
happens once it serves (lb.control.control).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from lb.worker.door import Upgraded
from lb.worker.journal import Journal

TAKEOVER = "LB_TAKEOVER"  # the environment variable that names the door of the lb to be replaced
TIMEOUT = 60.0  # seconds until a successor has to serve
END_TIMEOUT = 3.0  # seconds that one which is not wanted gets to end its workers
POLL = 0.02  # seconds between looks at it

log = Journal("lb.control")


class Upgrading:
    """Upgrades of one lb, one at a time. `reason`: what a successor said of its failure."""

    def __init__(
        self,
        command: Sequence[str],
        door: Path | None,
        relieved: asyncio.Event,
        failed: Callable[[], None],
    ) -> None:
        """`command` starts a successor; `door`: where it gets the sockets; `relieved`: set once it serves;
        `failed`: called when one that does not has ended."""
        self.reason = ""
        self._command = command
        self._door = door
        self._relieved = relieved
        self._failed = failed
        self._task: asyncio.Task[None] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        return self._task is not None and not self._task.done()

    async def over(self) -> None:
        """Wait while an upgrade is under way: until then nothing that a successor was given may change."""
        while self.running:
            await asyncio.sleep(POLL)

    def start(self, answer: Callable[[Upgraded], None]) -> None:
        """Start a successor; `answer` is told what became of it."""
        refused = self._refused()
        if refused:
            log.error(f"no upgrade: {refused}")
            answer(Upgraded(0, refused))
        else:
            self._task = asyncio.create_task(self._run(answer))

    def _refused(self) -> str:
        if os.getpid() == 1:
            return "this lb is process 1 of its container, which ends with it; replace the container instead"
        if not self._command or self._door is None:
            return "this lb cannot be replaced: it was not started by `lb run`, or has no state directory"
        return "an upgrade is under way already" if self.running else ""

    async def _run(self, answer: Callable[[Upgraded], None]) -> None:
        self.reason = ""
        error = await self._successor()
        if not error:
            answer(Upgraded(self._process.pid if self._process is not None else 0))
            return
        log.error("the upgrade failed; this lb goes on as before", error=error)
        await self._end_successor()
        self._failed()
        answer(Upgraded(0, error))

    async def _successor(self) -> str:
        """Start one; why it does not serve, "" where it does."""
        environment = {**os.environ, TAKEOVER: str(self._door)}
        try:
            # Not asyncio's: its loop would end the process with itself.
            self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, env=environment)  # noqa: S603
        except OSError as error:
            return f"{self._command[0]} cannot be started: {error.strerror or error}"
        log.note("upgrade: a successor starts", pid=self._process.pid)
        end = time.monotonic() + TIMEOUT
        while time.monotonic() < end:
            status = self._process.poll()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._relieved.wait(), POLL)
            if self._relieved.is_set():
                return ""
            if status is not None:  # what it said last has been read since
                said = f": {self.reason}" if self.reason else "; its reason is in the log of lb"
                return f"the successor ended with status {status}{said}"
        return f"the successor did not serve within {TIMEOUT:g}s"

    async def _end_successor(self) -> None:
        if self._process is None:
            return
        end = time.monotonic() + END_TIMEOUT
        self._process.terminate()
        while self._process.poll() is None:
            if time.monotonic() > end:
                self._process.kill()
            await asyncio.sleep(POLL)

    async def close(self) -> None:
        """End a successor that does not serve yet."""
        if not self.running:
            return
        if not self._relieved.is_set():
            await self._end_successor()
        await self.over()
