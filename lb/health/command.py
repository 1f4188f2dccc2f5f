"""The command probe: a program that ends with 0 where the server is up.

Lives here: starting it, its environment, its first line of output, its end. It gets PATH and four names of
ours, not lb's environment: secrets may be in that.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from asyncio.subprocess import DEVNULL, Process

from lb.health.attempt import Attempt, Outcome
from lb.health.connect import place
from lb.health.plan import CheckPlan, CommandProbe

MOST_OUTPUT = 4096  # bytes that are kept; the rest is read and dropped, so that the command does not block
MOST_SHOWN = 200  # characters of its first line


async def probe(attempt: Attempt, settings: CommandProbe) -> Outcome:
    """Raises OSError where the command cannot be started. Cancelled, it kills the process group."""
    attempt.awaits = "end of the command"
    reading, writing = os.pipe()
    output = Output(reading)
    try:
        try:
            process = await asyncio.create_subprocess_exec(
                *settings.argv, stdin=DEVNULL, stdout=writing, stderr=writing,
                env=environment(attempt.plan, settings.port), start_new_session=True,
            )  # fmt: skip
        finally:
            os.close(writing)
        try:
            code = await process.wait()
        except BaseException:
            _kill(process)
            await process.wait()
            raise
        said = output.first_line()
    finally:
        output.close()
    how = f"exit status {code}" if code >= 0 else f"killed by {_signal(-code)}"
    return Outcome(code == 0, f"{how}: {said}" if said else how)


def environment(plan: CheckPlan, port: int | None) -> dict[str, str]:
    """LB_HOST of a Unix socket is its path, LB_PORT then empty."""
    where = place(plan.address, port)
    host, number = (where, "") if isinstance(where, str) else (where[0], str(where[1]))
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LB_SERVICE": plan.service,
        "LB_ADDRESS": plan.address,
        "LB_HOST": host,
        "LB_PORT": number,
    }


class Output:
    """What a command writes, read as it comes. A pipe of our own: whoever holds its other end open after
    the command has ended is not waited for."""

    def __init__(self, reading: int) -> None:
        os.set_blocking(reading, False)
        self._reading = reading
        self._kept = b""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(reading, self._read)

    def first_line(self) -> str:
        """The first line that has something in it, printable."""
        self._read()
        lines = self._kept.decode("utf-8", "replace").split("\n")
        line = next((line.strip() for line in lines if line.strip()), "")
        return "".join(c if c.isprintable() else " " for c in line)[:MOST_SHOWN]

    def close(self) -> None:
        self._loop.remove_reader(self._reading)
        os.close(self._reading)

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError):
            received = os.read(self._reading, 65536)
            self._kept += received[: MOST_OUTPUT - len(self._kept)]
            if not received:
                self._loop.remove_reader(self._reading)


def _kill(process: Process) -> None:
    # Not yet reaped, or its number, and that of its group, could belong to somebody else.
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
