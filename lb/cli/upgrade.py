"""`lb upgrade`: have the running lb replaced by the version and the configuration on the disk.

Lives here: finding it, and what the user is told. Must not live here: the replacing (lb.control.upgrade).
"""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

from lb.cli.run import CANNOT_RUN, OK, PROBLEMS
from lb.cli.terminal import complain, say
from lb.config import ConfigError
from lb.control.handover import HandoverError, Predecessor, knock
from lb.control.loading import read_valid
from lb.control.statedir import state_dir
from lb.worker.door import CONTROL, Upgraded


def upgrade(config: Path, pid: int) -> int:
    """`pid`: the control process to be told, 0: the one that runs with `config`. Returns the exit code."""
    try:
        reading = read_valid(config)
        if pid:
            os.kill(pid, signal.SIGUSR2)
            say(f"process {pid} was told to start a successor; its log says how that ends")
            return OK
        door = state_dir(reading.spec, config) / CONTROL
        upgraded = asyncio.run(_ask(door))
    except ConfigError as error:
        for problem in error.problems:
            complain(str(problem))
        return PROBLEMS
    except (HandoverError, OSError) as error:
        complain(f"cannot upgrade: {error}")
        return CANNOT_RUN
    if upgraded.error:
        complain(f"the upgrade failed, the lb before goes on: {upgraded.error}")
        return CANNOT_RUN
    say(f"process {upgraded.pid} serves now; the one before drains")
    return OK


async def _ask(door: Path) -> Upgraded:
    sock = knock(door)
    if sock is None:
        raise HandoverError(f"no lb runs with this configuration (nobody answers at {door}); use --pid")
    running = Predecessor(sock)
    try:
        return await running.upgrade()
    finally:
        running.close()
