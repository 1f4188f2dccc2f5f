"""A whole session: load after load, and inside each load round after round over all proxies."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from bench.figures import equal_rate
from bench.loads import LOADS, Load
from bench.measure import Pace, measure
from bench.proxies import PROXIES
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
        with (
            tempfile.TemporaryDirectory(prefix="bench-origins-") as folder,
            origins(Path(folder)) as servers,
            _progress(len(self.loads) * self.rounds * len(self.programs)) as say,
        ):
            for load in self.loads:
                self._run_load(load, servers, say)

    def _run_load(self, load: Load, servers: Origins, say: Callable[[str], None]) -> None:
        """All rounds of one load. A proxy that fails once is left out of the rounds that follow."""
        pace = Pace(self.seconds, self._rate(load, servers))
        failed: set[str] = set()
        for number in range(self.rounds):
            for name in self._order(number):
                say(f"{load.name} · round {number + 1} of {self.rounds} · {name}")
                if name in failed:
                    continue
                run = self._measure(load, name, servers, pace)
                if run is None:
                    failed.add(name)
                else:
                    self.runs.append({"load": load.name, "proxy": name, "round": number, **run})

    def _order(self, number: int) -> list[str]:
        """The proxies, beginning with another one each round: nobody always follows the same neighbour."""
        names = list(self.programs)
        return names[number % len(names) :] + names[: number % len(names)]

    def _measure(self, load: Load, name: str, servers: Origins, pace: Pace) -> dict[str, Any] | None:
        proxy = PROXIES["lb" if name == "lb-other" else name]
        try:
            return measure(load, proxy, self.programs[name], servers, pace)
        except RuntimeError as error:
            self.problems.append(f"{load.name}, {name}: {error}")
            return None

    def _rate(self, load: Load, servers: Origins) -> float:
        """The fixed rate of a paced load; where the load that paces it did not run, it is run briefly."""
        if not load.paced_by:
            return 0.0
        rate = equal_rate(self.runs, load.paced_by, PACERS, PACE_SHARE)
        if rate:
            return rate
        trials = []
        for name in [name for name in self.programs if name in PACERS] or list(self.programs):
            run = self._measure(LOADS[load.paced_by], name, servers, Pace(_CALIBRATION_SECONDS))
            if run is not None:
                trials.append({"load": load.paced_by, "proxy": name, **run})
        return equal_rate(trials, load.paced_by, PACERS, PACE_SHARE)


@contextmanager
def _progress(total: int) -> Iterator[Callable[[str], None]]:
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
