"""`lb run`: control, from a configuration to its last log line.

Lives here: what can go wrong before lb serves, as exit codes. Must not live here: control itself.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import uvloop

from lb import build
from lb.cli.terminal import complain
from lb.config import ConfigError
from lb.control.control import Control
from lb.control.listeners import BindError
from lb.control.loading import read_valid
from lb.control.supervisor import PlanRefusedError
from lb.control.worker_process import WorkerFailedError
from lb.worker import journal

OK, PROBLEMS, CANNOT_BIND, CANNOT_RUN = 0, 1, 3, 4


def run(config: Path) -> int:
    """Returns the exit code."""
    journal.start()
    # As we were started ourselves, so that what is on the disk by then runs.
    return guarded(config, lambda control: control.run(), [sys.executable, *sys.orig_argv[1:]])


def guarded(
    config: Path, life: Callable[[Control], Coroutine[Any, Any, None]], successor: Sequence[str] = ()
) -> int:
    """Load `config`, let a Control live as `life` says, and tell the user where that fails. `successor`: the
    command that starts an lb to replace this one."""
    try:
        build.check()
        control = Control(config, read_valid(config), successor=successor)
        uvloop.run(life(control))
    except ConfigError as error:
        for problem in error.problems:
            complain(str(problem))
        return PROBLEMS
    except PlanRefusedError as error:
        complain(f"{config}: {error}")
        return PROBLEMS
    except BindError as error:
        complain(str(error))
        return CANNOT_BIND
    except (build.StaleBuildError, WorkerFailedError, OSError) as error:
        complain(f"lb cannot run: {error}")
        return CANNOT_RUN
    return OK
