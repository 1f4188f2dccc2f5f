"""One worker process as control sees it: its start, its channel, its answers, its end.

Lives here: matching answers to questions, and the process. Must not live here: what is asked and when
(lb.control.supervisor).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
import time
from asyncio.subprocess import Process
from collections.abc import Callable, Sequence
from typing import Any

from lb.plan import Plan, StatePlan, Update
from lb.worker.channel import Channel, ChannelClosedError
from lb.worker.messages import (
    Applied,
    Bye,
    Commit,
    Decisions,
    Describe,
    Described,
    Different,
    Message,
    Prepared,
    Ready,
    States,
    Suspect,
    ToControl,
    Tripped,
    pieces,
)


class WorkerFailedError(Exception):
    """The worker ended, or cannot be started."""


class WorkerProcess:
    """`state`: starting, running or stopped. `started` is in unix seconds, `started_clock` monotonic."""

    def __init__(self, number: int, process: Process, sock: socket.socket) -> None:
        self.number = number
        self.process = process
        self.pid = process.pid
        self.state = "starting"
        self.generation = 0
        self.cut = 0  # exchanges that it had to break off when it ended
        self.said_bye = False
        self.suspected: Callable[[Suspect], None] = lambda suspect: None
        self.tripped: Callable[[int, Tripped], None] = lambda worker, tripped: None
        self.differed: Callable[[int, Different], None] = lambda worker, different: None
        self.decided: Callable[[Decisions], None] = lambda decisions: None
        self.started = time.time()
        self.started_clock = time.monotonic()
        self._loop = asyncio.get_running_loop()
        self._asked: dict[object, asyncio.Future[Any]] = {}
        self._gone = ""
        self._questions = 0
        self._exit = self._loop.create_task(process.wait())
        self._channel = Channel(self._loop, sock, ToControl, self._received, self._closed)

    @classmethod
    async def start(cls, command: Sequence[str], cells_fd: int, number: int, count: int) -> WorkerProcess:
        """Start a process. Raises OSError."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            # The modules that control found, a user's algorithms included, a worker finds too.
            environment = {**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
            process = await asyncio.create_subprocess_exec(
                *command,
                f"--channel={theirs.fileno()}", f"--cells={cells_fd}",
                f"--worker={number}", f"--workers={count}",
                stdin=asyncio.subprocess.DEVNULL, pass_fds=(theirs.fileno(), cells_fd), env=environment,
            )  # fmt: skip
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        return cls(number, process, ours)

    # ------------------------------------------------------------------- questions and answers

    def tell(self, message: Message, fd: int = -1) -> None:
        """Send and forget; a worker that is gone is noticed elsewhere."""
        with contextlib.suppress(ChannelClosedError):
            self._channel.send(message, fd)

    async def ready(self, timeout: float) -> None:
        """Wait until the worker runs. Raises WorkerFailedError."""
        try:
            await self._answer(self._expect(Ready), timeout)
        except TimeoutError:
            raise WorkerFailedError(f"worker {self.number} did not start within {timeout:g}s") from None

    async def prepare(self, plan: Plan | Update, timeout: float) -> Prepared:
        """Have it build a plan, or an update of the one it runs. Raises ChannelClosedError,
        WorkerFailedError, TimeoutError."""
        expected = self._expect((Prepared, plan.generation))
        for piece in pieces(plan):
            self._channel.send(piece)
            await self._channel.drained()
        answer: Prepared = await self._answer(expected, timeout)
        return answer

    async def commit(
        self,
        generation: int,
        states: tuple[StatePlan, ...],
        timeout: float,
        of: tuple[str, ...] | None = None,
    ) -> Applied:
        """Have it publish what it built; `states`: all that is known of servers, or of those of the services
        in `of`. Raises ChannelClosedError,
        WorkerFailedError, TimeoutError."""
        expected = self._expect((Applied, generation))
        self._channel.send(States(states, whole=of is None, of=of or ()))
        self._channel.send(Commit(generation))
        answer: Applied = await self._answer(expected, timeout)
        return answer

    async def describe(self, timeout: float) -> dict[str, Any]:
        """What its data plane says about itself. Raises as `prepare` does."""
        self._questions += 1
        expected = self._expect((Described, self._questions))
        self._channel.send(Describe(self._questions))
        answer: Described = await self._answer(expected, timeout)
        return answer.data

    def _expect(self, key: object) -> asyncio.Future[Any]:
        """Before the question is sent: the answer may be quick."""
        future = self._asked[key] = self._loop.create_future()
        future.add_done_callback(lambda _: self._asked.pop(key, None))
        if self._gone:
            future.set_exception(WorkerFailedError(self._gone))
        return future

    @staticmethod
    async def _answer(expected: asyncio.Future[Any], timeout: float) -> Any:
        return await asyncio.wait_for(expected, timeout)

    def _received(self, message: Any, fd: int) -> None:
        match message:
            case Ready():
                self._answered(Ready, message)
            case Prepared(generation=generation):
                self._answered((Prepared, generation), message)
            case Applied(generation=generation):
                self.generation = generation
                self._answered((Applied, generation), message)
            case Described(id=number):
                self._answered((Described, number), message)
            case Suspect():
                self.suspected(message)
            case Tripped():
                self.tripped(self.number, message)
            case Different():
                self.differed(self.number, message)
            case Decisions():
                self.decided(message)
            case Bye(cut=cut):
                self.cut = cut
                self.said_bye = True

    def _answered(self, key: object, message: Message) -> None:
        future = self._asked.get(key)
        if future is not None and not future.done():
            future.set_result(message)

    def _closed(self, reason: str) -> None:
        """The worker closed its end: it was told to, or it is beyond repair and has to be replaced."""
        self._gone = self._gone or f"worker {self.number} is gone: {reason}"
        for future in list(self._asked.values()):
            if not future.done():
                future.set_exception(WorkerFailedError(self._gone))
                future.exception()  # nobody may be waiting any more: that is no error
        if not self.said_bye:
            self.kill()

    # ------------------------------------------------------------------------------------ end

    async def ended(self) -> int:
        """The exit status, negative for a signal, once the process is gone."""
        return await asyncio.shield(self._exit)

    def kill(self) -> None:
        self.state = "stopped"
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()

    def close(self) -> None:
        self.state = "stopped"
        self._channel.close()
        self._closed("its process ended")
