"""`lb plan`: what a new configuration would change, before it is in force.

Lives here: getting both configurations and printing. Must not live here: the difference (lb.config.diff),
hidden routes (lb.config.shadow), the replay (lb.config.rehearsal).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lb.cli.admin import USAGE, UnansweredError, request
from lb.cli.terminal import complain, paint, say
from lb.config import ConfigError, diff, load, loads
from lb.config.rehearsal import Replayed, last_lines, replay
from lb.config.routeplan import route_plan
from lb.config.shadow import hidden_routes
from lb.config.spec import Spec
from lb.routing.table import build_table

NOTHING, PROBLEMS, CHANGES = 0, 1, 7


def plan(new: Path, against: Path | None, admin: str, log: Path | None, last: int, as_json: bool) -> int:
    """Returns the exit code: 0 nothing changes, 7 something does."""
    try:
        after = load(new)
        before = load(against) if against is not None else _running(admin)
        path = log or _log_of(before)
        replayed = replay(last_lines(path, last), before, after) if path is not None else None
    except ConfigError as error:
        complain(str(error))
        return PROBLEMS
    except UnansweredError as error:
        complain(str(error))
        return error.code
    except OSError as error:
        complain(f"the access log cannot be read: {error}")
        return USAGE
    found = {
        "changes": diff(before, after),
        "unreachable": sorted(_hidden(after) - _hidden(before)),
        "replay": None if replayed is None else _plain(replayed),
    }
    if as_json:
        json.dump(found, sys.stdout, indent=2)
        say()
    else:
        _show(found)
    moved = replayed is not None and replayed.moved
    return CHANGES if found["changes"] or moved else NOTHING


def _running(admin: str) -> Spec:
    with request(admin, "GET", "/api/v1/config") as response:
        return loads(response.read().decode(), f"{admin}/api/v1/config")


def _log_of(spec: Spec) -> Path | None:
    log = spec.access_log
    if log is None or log.format != "json" or not log.path.startswith("/"):
        return None
    return Path(log.path)


def _hidden(spec: Spec) -> set[str]:
    plans = [route_plan(route) for route in spec.routes]
    listeners = [listener.name for listener in spec.listeners]
    return {plans[one.route].name for one in hidden_routes(build_table(plans).routes, plans, listeners)}


def _plain(found: Replayed) -> dict[str, Any]:
    return {
        "requests": found.requests,
        "bad_lines": found.bad,
        "uncertain": found.uncertain,
        "moved": sum(found.moved.values()),
        "by": [
            {
                "requests": count,
                "from": {"route": was[0], "service": was[1]},
                "to": {"route": now[0], "service": now[1]},
                "example": found.example[was, now],
            }
            for (was, now), count in found.moved.most_common()
        ],
    }


def _show(found: Mapping[str, Any]) -> None:
    for line in found["changes"] or ["nothing changes in the configuration"]:
        colour = "green" if line.endswith("added") else "red" if line.endswith("removed") else "bold"
        say(f"  {paint(line, colour)}")
    for name in found["unreachable"]:
        say(f"  {paint(f'route {name}: can never win any more', 'red')}")
    replayed = found["replay"]
    if replayed is None:
        say("no requests were replayed: name a JSON access log with --log")
        return
    say(f"{replayed['moved']:,} of {replayed['requests']:,} requests change route or service")
    for one in replayed["by"]:
        was, now = (f"{one[key]['route'] or 'no route'} → {one[key]['service']}" for key in ("from", "to"))
        say(f"  {one['requests']:>9,}  {was}  becomes  {now}  such as {one['example']}")
    if replayed["uncertain"]:
        say(f"{replayed['uncertain']:,} depend on headers or cookies, which the log does not have")
    if replayed["bad_lines"]:
        say(f"{replayed['bad_lines']:,} lines could not be read")
