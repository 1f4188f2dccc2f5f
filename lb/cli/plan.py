"""`lb plan`: what a new configuration would change, before it is in force.

Lives here: getting both configurations and the log, and printing. Must not live here: the difference
(lb.config.diff), hidden routes (lb.config.shadow), the replay (lb.config.rehearsal).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lb.cli.admin import USAGE, UnansweredError, ask, request
from lb.cli.progress import Bar
from lb.cli.terminal import complain, paint, say
from lb.config import ConfigError, load, loads
from lb.config.diff import Change, changes
from lb.config.loglines import LastLines, kept
from lb.config.rehearsal import Replayed, replay
from lb.config.routeplan import route_plan
from lb.config.shadow import hidden_routes
from lb.config.spec import Spec
from lb.routing.table import build_table

NOTHING, PROBLEMS, CHANGES = 0, 1, 7
STDIN = Path("-")
COLOURS = {"added": "green", "removed": "red"}


def plan(new: Path, against: Path | None, admin: str, log: Path | None, last: int, as_json: bool) -> int:
    """Returns the exit code: 0 nothing changes, 7 something does."""
    try:
        after = load(new)
        before, workers = (load(against), 0) if against is not None else _running(admin)
        replayed, missing = _replayed(before, after, log, last)
    except ConfigError as error:
        complain(str(error))
        return PROBLEMS
    except UnansweredError as error:
        complain(str(error))
        return error.code
    except OSError as error:
        if error.filename is None:  # not of a file that the user named: whoever reads stdout went away
            raise
        complain(f"the access log {error.filename}: {error.strerror}")
        return USAGE
    hidden = _hidden(before)
    found = {
        "changes": [_change(change) for change in changes(before, after, workers)],
        "unreachable": [
            {"route": route, "by": by} for route, by in _hidden(after).items() if route not in hidden
        ],
        "replay": None if replayed is None else _plain(replayed),
    }
    if as_json:
        json.dump(found, sys.stdout, indent=2)
        say()
    else:
        _show(found, missing)
    moved = replayed is not None and replayed.moved
    return CHANGES if found["changes"] or moved else NOTHING


def _running(admin: str) -> tuple[Spec, int]:
    """The configuration in force, and what `workers: auto` means there; 0: it does not say that."""
    with request(admin, "GET", "/api/v1/config") as response:
        spec = loads(response.read().decode(), f"{admin}/api/v1/config")
    auto = spec.workers == "auto"
    return spec, len(ask(admin, "GET", "/api/v1/status")["workers"]) if auto else 0


def _replayed(before: Spec, after: Spec, log: Path | None, last: int) -> tuple[Replayed | None, str]:
    """What the requests of the log do; or None and why there are none. Raises OSError for a log that was
    asked for and cannot be read: the configured one may be on another machine."""
    count: int
    lines: Iterable[bytes]
    path = log or _log_of(before)
    if path is None:
        return None, "name a JSON access log with --log"
    try:
        if path == STDIN:
            count, lines = kept(sys.stdin.buffer, last)
        else:
            tail = LastLines(path, last)
            count, lines = tail.count, tail
    except OSError as error:
        if log is not None:
            raise
        return None, f"the configured access log {path}: {error.strerror}; name one with --log"
    bar = Bar(count)
    try:
        return replay(lines, before, after, bar.tell), ""
    finally:
        bar.end()


def _log_of(spec: Spec) -> Path | None:
    log = spec.access_log
    if log is None or log.format != "json" or not log.path.startswith("/"):
        return None
    return Path(log.path)


def _hidden(spec: Spec) -> dict[str, list[str]]:
    """Routes that cannot win, and those that take their requests."""
    plans = [route_plan(route) for route in spec.routes]
    listeners = [listener.name for listener in spec.listeners]
    found = hidden_routes(build_table(plans).routes, plans, listeners)
    return {plans[one.route].name: [plans[by].name for by in one.by] for one in found}


def _change(change: Change) -> dict[str, Any]:
    return {
        "kind": change.kind,
        "path": change.path,
        "before": change.before,
        "after": change.after,
        "in_force_after": "restart" if change.restart else "reload",
        "line": change.line,
    }


def _plain(found: Replayed) -> dict[str, Any]:
    moved = sum(found.moved.values())
    return {
        "requests": found.requests,
        "change_service": found.service_changed,
        "change_only_route": moved - found.service_changed,
        "by": [
            {
                "requests": count,
                "from": {"route": was[0], "service": was[1]},
                "to": {"route": now[0], "service": now[1]},
                "example": found.example[was, now],
            }
            for (was, now), count in found.moved.most_common()
        ],
        "uncertain": found.uncertain,
        "uncertain_by": [
            {"route": route, "requests": count} for route, count in found.uncertain_by.most_common()
        ],
        "sampled_lines": found.sampled,
        "bad_lines": found.bad,
    }


def _show(found: Mapping[str, Any], missing: str) -> None:
    for change in found["changes"]:
        line = paint(change["line"], COLOURS.get(change["kind"], "bold"))
        say(f"  {line}" + ("  (after a restart of lb)" if change["in_force_after"] == "restart" else ""))
    if not found["changes"]:
        say("  nothing changes in the configuration")
    for one in found["unreachable"]:
        hidden = f"route {one['route']}: can never win any more, hidden by {' and '.join(one['by'])}"
        say(f"  {paint(hidden, 'red')}")
    replayed = found["replay"]
    if replayed is None:
        say(f"no requests were replayed: {missing}")
        return
    say(f"{replayed['change_service']:,} of {replayed['requests']:,} requests change service")
    if replayed["change_only_route"]:
        say(f"{replayed['change_only_route']:,} more match another route to the same service")
    for one in replayed["by"]:
        was, now = (f"{one[key]['route'] or 'no route'} → {one[key]['service']}" for key in ("from", "to"))
        say(f"  {one['requests']:>9,}  {was}  becomes  {now}  such as {one['example']}")
    if replayed["uncertain"]:
        say(f"{replayed['uncertain']:,} depend on headers or cookies, which the log does not have:")
        for one in replayed["uncertain_by"]:
            say(f"  {one['requests']:>9,}  may be for route {one['route']}")
    if replayed["sampled_lines"]:
        say(f"{replayed['sampled_lines']:,} lines stand for others too: the log is a sample")
    if replayed["bad_lines"]:
        say(f"{replayed['bad_lines']:,} lines could not be read")
