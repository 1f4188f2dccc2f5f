"""A whole session: load after load, and inside each load round after round over all proxies."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bench.figures import equal_rate
from bench.loads import LOADS, Load
from bench.measure import measure
from bench.proxies import PROXIES, Proxy
from bench.traffic import Origins, origins

PACERS = ("lb", "nginx", "haproxy")  # the slowest of these sets the equal rate
PACE_SHARE = 0.6
_CALIBRATION_SECONDS = 1.0


@dataclass(slots=True)
class Session:
    """What to run, and what has been run so far."""

    loads: Sequence[Load]
    programs: dict[str, str]  # proxy name → program; "lb-other" is a second lb
    rounds: int
    seconds: float
    runs: list[dict[str, Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def run(self) -> None:
        """Run everything. After Ctrl-C `runs` holds what was complete until then."""
        with tempfile.TemporaryDirectory(prefix="bench-origins-") as folder, origins(Path(folder)) as servers:
            with _progress(len(self.loads) * self.rounds * len(self.programs)) as say:
                for load in self.loads:
                    rate = self._rate(load, servers)
                    for number in range(self.rounds):
                        for name in self._order(number):
                            say(f"{load.name} · round {number + 1} of {self.rounds} · {name}")
                            self._measure(load, name, servers, number, rate)

    def _order(self, number: int) -> list[str]:
        """The proxies, beginning with another one each round: nobody always follows the same neighbour."""
        names = list(self.programs)
        return names[number % len(names) :] + names[: number % len(names)]

    def _measure(self, load: Load, name: str, servers: Origins, number: int, rate: float) -> None:
        try:
            run = measure(load, _proxy(name), self.programs[name], servers, number, self.seconds, rate)
        except RuntimeError as error:
            self.problems.append(str(error))
            return
        self.runs.append({**run.record(), "proxy": name})

    def _rate(self, load: Load, servers: Origins) -> float:
        """The fixed rate of a paced load; where the load that paces it did not run, it is run briefly."""
        if not load.paced_by:
            return 0.0
        rate = equal_rate(self.runs, load.paced_by, PACERS, PACE_SHARE)
        if rate:
            return rate
        trials = []
        for name in [name for name in self.programs if name in PACERS] or list(self.programs):
            pacer = LOADS[load.paced_by]
            try:
                run = measure(pacer, _proxy(name), self.programs[name], servers, 0, _CALIBRATION_SECONDS, 0.0)
            except RuntimeError as error:
                self.problems.append(str(error))
                continue
            trials.append(run.record())
        return equal_rate(trials, load.paced_by, PACERS, PACE_SHARE)


def _proxy(name: str) -> Proxy:
    return PROXIES["lb" if name == "lb-other" else name]


@contextmanager
def _progress(total: int) -> Iterator[Any]:
    """A function to call before each run: a bar on a terminal, lines elsewhere."""
    if not sys.stderr.isatty():
        started = time.monotonic()

        def say(text: str) -> None:
            print(f"{time.monotonic() - started:7.1f} s  {text}", file=sys.stderr, flush=True)

        yield say
        return
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    # No refreshing thread: it would take time from the core that serves the load.
    with Progress(*columns, console=Console(stderr=True), auto_refresh=False) as bar:
        task = bar.add_task("", total=total)
        begun = 0

        def show(text: str) -> None:
            nonlocal begun
            bar.update(task, completed=begun, description=text, refresh=True)
            begun += 1

        yield show
        bar.update(task, completed=total, description="done", refresh=True)
