"""`lb simulate`: a load against several algorithms, in simulated time.

Lives here: reading what the user asks for, running it, the progress. Must not live here: the simulation
(lb.simulate) and the tables (lb.cli.simulated).
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import msgspec

from lb.cli.admin import USAGE
from lb.cli.progress import Bar
from lb.cli.simulated import notes, show, together
from lb.cli.terminal import complain
from lb.config import ConfigError, load
from lb.config.loglines import LastLines
from lb.control.planning import make_plan
from lb.plan import ServicePlan
from lb.simulate.figures import Figures, figures, over_time
from lb.simulate.load import LoadError, drawn
from lb.simulate.picture import BUCKETS, Panel, picture
from lb.simulate.recorded import Reading, recorded
from lb.simulate.replay import Condition, algorithm_for, plan_of, replay, usual_slots
from lb.snapshot import SnapshotError
from lb.telemetry.ledger import Ledger

OK, PROBLEMS = 0, 1
DURATION = re.compile(r"(\d+(?:\.\d+)?)(us|ms|s|m)")
UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}
RATE, SECONDS, SERVICE_TIME, CLIENTS = 1000.0, 30.0, "10ms", 1000


class Wish(NamedTuple):
    """What the user typed. `log`: then the load is the log's, and nothing of what is drawn, `rate` to
    `clients`, is given (None, False). `slots` 0: as many as usual."""

    config: Path
    service: str
    algorithms: str
    rate: float | None
    seconds: float | None
    service_time: str | None
    constant: bool
    clients: int | None
    slots: int
    slow: tuple[str, ...]
    fail: tuple[str, ...]
    log: Path | None
    last: int
    picture: Path | None
    seed: int
    json: bool


class UsageError(ValueError):
    """The question makes no sense; the message says what to write."""


def simulate(wish: Wish) -> int:
    """Returns the exit code."""
    try:
        return _simulate(wish)
    except ConfigError as error:
        complain(str(error))
        return PROBLEMS
    except (LoadError, SnapshotError, UsageError) as error:
        complain(str(error))
    except OSError as error:
        if error.filename is None:  # not of a file that the user named: whoever reads stdout went away
            raise
        complain(f"{error.filename}: {error.strerror}")
    return USAGE


def _simulate(wish: Wish) -> int:
    try:
        plan = plan_of(make_plan(load(wish.config), 1, Ledger()), wish.service)
    except ConfigError:
        raise
    except ValueError as error:
        raise UsageError(str(error)) from None
    if wish.picture is not None and wish.picture.suffix != ".svg":
        raise UsageError(f"--picture: found {wish.picture}; the picture is SVG: write a name such as out.svg")
    algorithms = [algorithm_for(plan, name) for name in _names(wish.algorithms)]
    conditions = _conditions(plan, wish)
    reading = _load(wish, plan.name)
    requests = reading.load
    slots = wish.slots or usual_slots(requests, plan.servers)
    found: list[Figures] = []
    panels: list[Panel] = []
    began = perf_counter()
    bar = Bar(len(requests) * len(algorithms))
    for algorithm in algorithms:
        run = replay(plan, algorithm, requests, slots, conditions, wish.seed, bar.tell)
        bar.base += len(requests)
        found.append(figures(run, requests.seconds_long))
        if wish.picture is not None:
            over = over_time(run, requests.seconds_long, BUCKETS)
            panels.append(Panel(algorithm.name, over, together(found[-1])))
    bar.end()
    took = perf_counter() - began
    answer: dict[str, Any] = {
        "service": plan.name,
        "requests": len(requests),
        "seconds": requests.seconds_long,
        "rate": requests.rate(),
        "service_seconds": requests.mean(),
        "slots": slots,
        "seed": wish.seed,
        "conditions": {
            address: {"slow": one.slow, "fails": None if math.isinf(one.fails) else one.fails}
            for address, one in conditions.items()
        },
        "log": None if wish.log is None else _about(reading),
        "algorithms": msgspec.to_builtins(found),
    }
    untaken: OSError | None = None
    if wish.picture is not None:
        drawing = picture(plan.name, panels, requests.seconds_long, notes(answer))
        try:
            wish.picture.write_text(drawing, encoding="utf-8")
        except OSError as error:  # told after the tables, which it must not cost
            untaken = error
    if wish.json:
        json.dump(answer, sys.stdout, indent=2)
        sys.stdout.write("\n")
    else:
        show(answer)
    speed = bar.whole / max(took, 1e-9)
    sys.stderr.write(f"simulated {bar.whole:,} requests in {took:.1f} s: {speed:,.0f} a second\n")
    if untaken is not None:
        raise untaken
    return OK


def _about(reading: Reading) -> dict[str, int]:
    return {"bad_lines": reading.bad, "other_services": reading.others, "sampled_lines": reading.sampled}


def _load(wish: Wish, service: str) -> Reading:
    if wish.log is None:
        mean = _duration(wish.service_time or SERVICE_TIME, "--service-time")
        if not mean:
            raise UsageError("--service-time: found 0; write a time such as 10ms")
        rate, seconds = wish.rate or RATE, wish.seconds or SECONDS
        return Reading(
            drawn(rate, seconds, mean, wish.seed, constant=wish.constant, clients=wish.clients or CLIENTS)
        )
    given = {
        "--rate": wish.rate,
        "--seconds": wish.seconds,
        "--service-time": wish.service_time,
        "--constant": wish.constant,
        "--clients": wish.clients,
    }
    if many := [name for name, value in given.items() if value]:
        raise UsageError(f"with --log the load is that of the log: leave out {' and '.join(many)}")
    return recorded(LastLines(wish.log, wish.last), service)


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    if not all(names) or len(set(names)) < len(names):
        raise UsageError(f'--algorithm: found "{text}"; write different names with commas between them')
    return names


def _conditions(plan: ServicePlan, wish: Wish) -> dict[str, Condition]:
    found: dict[str, Condition] = {}
    for address, value in _pairs(plan, wish.slow, "--slow", "=", "10.0.0.1:8080=5x"):
        factor = re.fullmatch(r"(\d+(?:\.\d+)?)x", value)
        if factor is None or not 0 < float(factor[1]) <= 1e6:
            raise UsageError(f'--slow: found "{value}"; write how many times as long, such as 5x')
        found[address] = Condition(slow=float(factor[1]))
    for address, value in _pairs(plan, wish.fail, "--fail", "@", "10.0.0.1:8080@10s"):
        moment = _duration(value, "--fail")
        found[address] = found.get(address, Condition())._replace(fails=moment)
    return found


def _pairs(
    plan: ServicePlan, texts: Iterable[str], option: str, sign: str, example: str
) -> Iterable[tuple[str, str]]:
    known = [server.address for server in plan.servers]
    for text in texts:
        address, found, value = text.rpartition(sign)
        if not found:
            raise UsageError(f'{option}: found "{text}"; write it like {example}')
        if address not in known:
            raise UsageError(f"{option}: {plan.name} has no server {address}; there are: {', '.join(known)}")
        yield address, value


def _duration(text: str, option: str) -> float:
    """Seconds."""
    found = DURATION.fullmatch(text)
    seconds = float(found[1]) * UNITS[found[2]] if found else math.inf
    if seconds > 86_400:
        raise UsageError(f'{option}: found "{text}"; write a time such as 10ms or 1.5s, a day at most')
    return seconds
