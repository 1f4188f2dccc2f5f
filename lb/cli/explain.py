"""`lb explain`: where a request would go, on a file or on a running lb.

Lives here: getting the answer and printing it. Must not live here: finding it (lb.control.explain).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from lb.cli.admin import USAGE, UnansweredError, ask
from lb.cli.terminal import complain, paint, say

OK, PROBLEMS = 0, 1
SHOWN_LOSERS = 20  # routes that do not match; more of them only with --json


class Wish(NamedTuple):
    """What the user typed. `admin` "": ask the file."""

    config: Path
    admin: str
    method: str
    url: str
    headers: tuple[str, ...]
    client_ip: str
    listener: str
    json: bool


def explain(wish: Wish) -> int:
    """Returns the exit code."""
    try:
        headers = [_header(text) for text in wish.headers]
        answer = _from_admin(wish, headers) if wish.admin else _from_file(wish, headers)
    except UnansweredError as error:
        for line in str(error).splitlines():
            complain(line)
        return error.code
    if wish.json:
        json.dump(answer, sys.stdout, indent=2)
        say()
    else:
        show(answer)
    return OK


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise UnansweredError(USAGE, f'found the header "{text}"; write it like "x-beta: 1"')
    return name.strip().lower(), value.strip()


def _from_file(wish: Wish, headers: list[tuple[str, str]]) -> Mapping[str, Any]:
    from lb.admin.view import Question
    from lb.config import ConfigError, load
    from lb.control.explain import explain as find
    from lb.control.planning import make_plan
    from lb.snapshot import SnapshotError
    from lb.telemetry.cells import Cells
    from lb.telemetry.layout import REGION
    from lb.telemetry.ledger import Ledger

    try:
        plan = make_plan(load(wish.config), 1, Ledger())
        question = Question(wish.method, wish.url, headers, wish.client_ip, wish.listener)
        return find(plan, question, Cells(-1, 0, 1, REGION))
    except (ConfigError, SnapshotError) as error:
        raise UnansweredError(PROBLEMS, str(error)) from None
    except ValueError as error:
        raise UnansweredError(USAGE, str(error)) from None


def _from_admin(wish: Wish, headers: list[tuple[str, str]]) -> Mapping[str, Any]:
    named: dict[str, list[str]] = {}
    for name, value in headers:
        named.setdefault(name, []).append(value)
    question = {
        "method": wish.method,
        "url": wish.url,
        "headers": named,
        "client_ip": wish.client_ip,
        "listener": wish.listener,
    }
    found: Mapping[str, Any] = ask(wish.admin, "POST", "/api/v1/explain", question)
    return found


# ------------------------------------------------------------------------------------- printing


def show(answer: Mapping[str, Any]) -> None:
    """The answer for people."""
    request = answer["request"]
    client = request["client_ip"] or "an unknown client"
    say(paint(f"{request['method']} {request['host']} {request['target']}", "bold"))
    say(f"from {client}, on listener {request['listener']}, generation {answer['generation']}")
    say()
    _routes(answer["routes"])
    if "origin" in answer:
        say(f"made of  {answer['origin']}")
    say()
    action = answer["action"]
    if action == "refuse":
        say(f"answer   {paint(str(answer['status']), 'red')}: {answer['reason']}")
    elif action == "redirect":
        say(f"answer   redirect {answer['status']} to {answer['to']}")
    elif action == "respond":
        say(f"answer   the fixed response, {answer['status']}")
    else:
        _forward(answer)


def _routes(routes: list[Mapping[str, Any]]) -> None:
    say("routes, in order of precedence for this request")
    width = max((len(route["route"]) for route in routes), default=0)
    losers = 0
    for route in routes:
        name = route["route"].ljust(width)
        if route["won"]:
            say(f"  {paint(f'✓ {name}', 'green')}  wins")
        elif not route["misses"]:
            say(f"  · {name}  matches too, but comes after")
        else:
            losers += 1
            if losers <= SHOWN_LOSERS:
                misses = "; ".join(
                    f"{miss['predicate']} wants {miss['wanted']}, found {miss['found']}"
                    for miss in route["misses"]
                )
                say(f"  {paint(f'✗ {name}', 'dim')}  {misses}")
    if losers > SHOWN_LOSERS:
        say(f"  … and {losers - SHOWN_LOSERS} more that do not match (--json has all)")


def _forward(answer: Mapping[str, Any]) -> None:
    for part in answer.get("split", ()):
        mark = ", shown below" if part["service"] == answer["service"] else ""
        say(f"split    {part['share']:.1%} to {part['service']}{mark}")
    if "mirror" in answer:
        mirror = answer["mirror"]
        say(f"mirror   {mirror['share']:.1%} of the requests go to {mirror['service']} too")
    key = f" by {answer['key']}" if answer["key"] else ""
    value = f" = {answer['key_value']!r}" if answer["key_value"] else ""
    say(f"service  {paint(answer['service'], 'bold')}, {answer['algorithm']}{key}{value}")
    say("servers")
    for server in answer["servers"]:
        mark = "✓" if server["eligible"] else "✗"
        line = f"{mark} {server['address']}  weight {server['weight']:g}, {server['in_flight']} in flight"
        line += "" if server["why"] == "eligible" else f", {server['why']}"
        say(f"  {line if server['eligible'] else paint(line, 'dim')}")
    for group in answer.get("groups", ()):
        panic = paint(", panic: all are used", "red") if group["panic"] else ""
        counts = f"{group['usable']} of {group['servers']} usable"
        say(f"group    {group['group']}: {group['share']:.0%} of the requests, {counts}{panic}")
    if "sticky" in answer:
        say(f"sticky   {_session(answer['sticky'])}")
    if answer["pick"] is None:
        say(f"answer   {paint(str(answer['status']), 'red')}: {answer['reason']}")
        return
    say(f"pick     {paint(answer['pick'], 'green')}: {answer['reason']}")
    if answer["note"]:
        say(f"         {answer['note']}")


def _session(sticky: Mapping[str, Any]) -> str:
    cookie = f"cookie {sticky['cookie']}"
    if not sticky["sent"]:
        return f"no {cookie} in the request: the response sets it"
    return f"{cookie} names {sticky['server'] or 'no server that is in use: the response sets it anew'}"
