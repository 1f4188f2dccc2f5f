"""What an explanation looks like: text for people, and how two differ.

Lives here: lines of `lb explain`. Must not live here: getting answers (lb.cli.explain), finding them
(lb.control.explain).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lb.cli.terminal import paint, say

SHOWN_LOSERS = 20  # routes that do not match; more of them only with --json

# What two answers are compared by: what their configurations decide, not what is under way.
DECIDED = ("route", "action", "status", "to", "service", "split", "mirror", "algorithm", "key")


def differences(running: Mapping[str, Any], candidate: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the candidate decides otherwise than the running one."""
    found = [
        {"field": name, "running": running.get(name), "candidate": candidate.get(name)}
        for name in DECIDED
        if running.get(name) != candidate.get(name)
    ]
    was, now = (
        [server["address"] for server in answer.get("servers", ())] for answer in (running, candidate)
    )
    if set(was) != set(now):
        found.append({"field": "servers", "running": was, "candidate": now})
    plans = [dict(answer.get("retries", {}), order=None) for answer in (running, candidate)]
    found += [
        {"field": f"retries.{name}", "running": plans[0].get(name), "candidate": plans[1].get(name)}
        for name in {**plans[0], **plans[1]}
        if plans[0].get(name) != plans[1].get(name)
    ]
    return found


def show_both(found: Mapping[str, Any]) -> None:
    """The candidate's answer, and where it is another than the running one's."""
    show(found["candidate"])
    say()
    running = found["running"]
    if not found["differs"]:
        say(paint(f"the running generation {running['generation']} decides the same", "green"))
        return
    say(paint(f"differs from the running generation {running['generation']} in", "yellow"))
    for one in found["differs"]:
        say(f"  {one['field']}: {_value(one['running'])} → {_value(one['candidate'])}")


def _value(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(_value, value)) or "none"
    if isinstance(value, Mapping):
        return " ".join(f"{key} {_value(item)}" for key, item in value.items())
    return "none" if value is None or value == "" else str(value)


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
    say("servers" + (f", score: {answer['score']}; the lowest is best" if answer["score"] else ""))
    for server in answer["servers"]:
        mark = "✓" if server["eligible"] else "✗"
        line = f"{mark} {server['address']}  weight {server['weight']:g}, {server['in_flight']} in flight"
        line += "" if server.get("score") is None else f", score {server['score']:g}"
        line += f", latency cost {server['cost'] * 1000:.3g} ms" if "cost" in server else ""
        line += f", {server['waiting']} waiting" if "waiting" in server else ""
        line += f", breaker {server['breaker']}" if "breaker" in server else ""
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
    _retries(answer["retries"])


def _retries(plan: Mapping[str, Any]) -> None:
    if plan["attempts"]:
        after = ", ".join(plan["after"])
        say(f"retries  up to {plan['attempts']}, after {after}; the method {plan['method']}")
        for number, step in enumerate(plan["order"][1:], 2):
            say(f"         try {number}: {step['server']}: {step['reason']}")
        say(
            f"budget   {plan['budget']:.0%} of the requests or {plan['budget_floor']:g} a second; back-off "
            f"{_seconds(plan['backoff'])} to {_seconds(plan['backoff_max'])}"
            f"; body up to {plan['replay']} bytes"
        )
        if plan["hedge"]:
            say(f"hedge    to a second server after {_seconds(plan['hedge'])} without a response")
    else:
        say(f"retries  none; the method {plan['method']}")
    limits = [f"{name} {_seconds(value)}" for name, value in plan["timeouts"].items() if value]
    say(f"time-outs {', '.join(limits) or 'none'}")


def _seconds(value: float) -> str:
    return f"{value:g} s" if value >= 1 or not value else f"{value * 1000:g} ms"


def _session(sticky: Mapping[str, Any]) -> str:
    cookie = f"cookie {sticky['cookie']}"
    if not sticky["sent"]:
        return f"no {cookie} in the request: the response sets it"
    return f"{cookie} names {sticky['server'] or 'no server that is in use: the response sets it anew'}"
