"""What `lb servers` does: showing the servers of a running lb, and ordering something of one.

Lives here: finding the server that is meant, the words for people, the wait for a drain. Must not live here:
what the user types (lb.cli.servers), keeping orders (lb.control.overrides).
"""

from __future__ import annotations

import getpass
import json
import os
import sys
import time
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from lb.cli.admin import TIMEOUT, USAGE, UnansweredError, ask
from lb.cli.terminal import coloured, complain, paint, say

OK, NOT_DONE = 0, 5
PATIENCE = 40.0  # seconds for the answer of the cluster's leader
STEP = 0.25  # seconds between two looks at a server that drains
QUIET = 2  # looks in a row that find nothing left: workers hear of a drain one after the other
COLOURS = {"up": "green", "draining": "yellow", "maintenance": "yellow", "absent": "dim"}

Server = Mapping[str, Any]


class Order(NamedTuple):
    """What the user typed. `mode`, `weight` None: as it is; `for_`, `author` "": none given. `everywhere`: on
    all nodes of the cluster."""

    admin: str
    server: str
    mode: str | None
    weight: str | None
    reason: str
    for_: str
    author: str
    everywhere: bool = False


def show(admin: str, service: str, as_json: bool) -> int:
    """All servers, or those of one service. Returns the exit code."""
    try:
        all_of_them = _asked(admin)
        found = all_of_them["servers"]
        if service and service not in (names := {server["service"] for server in found}):
            raise UnansweredError(USAGE, f"there is no service {service}{_near(service, names)}")
    except UnansweredError as error:
        return _failed(error)
    chosen = [server for server in found if service in ("", server["service"])]
    if as_json:
        json.dump(chosen, sys.stdout, indent=2)
        say()
        return OK
    width = max((len(_name(server)) for server in chosen), default=0)
    for server in chosen:
        _line(server, width)
    if not chosen:
        say("no service has a server")
    _say_sure(all_of_them.get("everywhere"))
    return OK


def give(order: Order) -> int:
    """Order it and say what holds now. Returns the exit code."""
    try:
        _say_held(_put(order), order.everywhere)
    except UnansweredError as error:
        return _failed(error)
    return OK


def lift(order: Order) -> int:
    """Returns the exit code."""
    try:
        server = _find(order.admin, order.server)
        query = f"?{urlencode({'author': order.author or login()})}"
        _say_held(_order("DELETE", order, server, query=query), order.everywhere)
    except UnansweredError as error:
        return _failed(error)
    return OK


def drain(order: Order, wait: bool, timeout: str) -> int:
    """Order it and count down what is left on the server. Returns the exit code."""
    from lb.config.values import duration

    try:
        limit = 0.0 if timeout == "0" else duration().check(timeout)
    except ValueError as error:
        return _failed(UnansweredError(USAGE, f"--timeout: {error}"))
    try:
        server = _put(order)
        _say_held(server, order.everywhere)
        return _watch(order.admin, server, limit) if wait else OK
    except UnansweredError as error:
        return _failed(error)
    except KeyboardInterrupt:
        say("\nno longer waiting; the drain stays in force")
        return NOT_DONE


def login() -> str:
    """Who is at the keyboard, as far as the system knows."""
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (OSError, KeyError):  # a user id without a name
        return f"uid {os.getuid()}"


# ------------------------------------------------------------------------------------ asking


def _asked(admin: str, **which: str) -> Mapping[str, Any]:
    query = f"?{urlencode(which)}" if which else ""
    found: Mapping[str, Any] = ask(admin, "GET", f"/api/v1/servers{query}")
    return found


def _servers(admin: str, **which: str) -> list[Server]:
    found: list[Server] = _asked(admin, **which)["servers"]
    return found


def _find(admin: str, name: str) -> Server:
    """A service's name may have a slash, an address too: the whole is compared."""
    known = {_name(server): server for server in _servers(admin)}
    if name not in known:
        raise UnansweredError(USAGE, f"there is no server {name}{_near(name, known)}")
    return known[name]


def _put(order: Order) -> Server:
    """What is ordered now, beside what was ordered before and is not spoken of."""
    server = _find(order.admin, order.server)
    before = server["layers"].get(_layer(order.everywhere)) or {"mode": "auto", "weight": None}
    body = {
        "mode": before["mode"] if order.mode is None else order.mode,
        "weight": before["weight"] if order.weight is None else order.weight,
        "reason": order.reason,
        "author": order.author or login(),
        "for": order.for_ or None,
    }
    return _order("PUT", order, server, body)


def _order(method: str, order: Order, server: Server, body: object = None, query: str = "") -> Server:
    """The server afterwards. One that holds everywhere takes the place of what was there when we looked, and
    of nothing else."""
    path, headers, patience = _path(server), dict[str, str](), TIMEOUT
    if order.everywhere:
        seen = server["layers"].get("everywhere")
        headers = {"If-Match": f'"{seen["number"] if seen else 0}"'}
        path, patience = f"{path}/everywhere", PATIENCE
        if seen:
            say(f"in place of: {ordered(seen)}")
    found: Server = ask(order.admin, method, path + query, body, headers, patience)
    return found


def _layer(everywhere: bool) -> str:
    return "everywhere" if everywhere else "override"


def _path(server: Server) -> str:
    service, address = quote(server["service"], safe=""), quote(server["address"], safe="")
    return f"/api/v1/services/{service}/servers/{address}/override"


def _watch(admin: str, server: Server, limit: float) -> int:
    name, began, empty, said = _name(server), time.monotonic(), 0, ""
    live = coloured(sys.stdout)
    while empty < QUIET:
        found = _servers(admin, service=server["service"], address=server["address"])
        exchanges, used = _left(found[0]) if found else (0, 0)
        empty = empty + 1 if exchanges == used == 0 else 0
        waited = time.monotonic() - began
        left = f"{_count(exchanges, 'exchange')}, {_count(used, 'connection')} in use"
        if live:
            sys.stdout.write(f"\r\x1b[K{name}: {left} ({waited:.0f}s)")
            sys.stdout.flush()
        elif left != said:
            say(f"{name}: {left}")
            sys.stdout.flush()
            said = left
        if empty < QUIET and limit and waited >= limit:
            say("\n" if live else "")
            complain(f"{name} still has {left} after {waited:.0f}s; the drain stays in force")
            return NOT_DONE
        if empty < QUIET:
            time.sleep(STEP)
    if live:
        sys.stdout.write("\r\x1b[K")
    say(paint(f"{name} is drained", "green"))
    return OK


def _left(server: Server) -> tuple[int, int]:
    """Exchanges and connections in use."""
    return server["in_flight"], server["connections"]["busy"]


# ----------------------------------------------------------------------------------- printing


def _say_held(server: Server, everywhere: bool) -> None:
    layers = server["layers"]
    override, other = layers.get(_layer(everywhere)), layers.get(_layer(not everywhere))
    held = ordered(override) if override else "nothing is ordered; its checks and its weight decide"
    if not override and other:
        held = "nothing more is ordered"
    say(f"{_name(server)}{', everywhere' if everywhere else ''}: {held}")
    if other:
        where = "on this node alone" if everywhere else "everywhere"
        say(f"also ordered {where}: {ordered(other)}; the more cautious one holds")
    if not server["saved"]:
        complain("lb could not save it: it is in force, and lost when lb ends; see lb's log")


def _say_sure(everywhere: Mapping[str, Any] | None) -> None:
    """How old the orders are that hold everywhere, where the engine is away."""
    if everywhere is None or not (everywhere["error"] or everywhere["trouble"]):
        return
    age = "never" if everywhere["age"] is None else f"{everywhere['age']:g}s ago"
    if everywhere["error"]:
        complain(f"what is ordered everywhere was last heard {age}: {everywhere['error']}")
    if everywhere["trouble"]:
        complain(everywhere["trouble"])


def _line(server: Server, width: int) -> None:
    status = server.get("status", "absent")
    layer = server["layers"]["file"]
    parts = [f"{_name(server):<{width}}", paint(f"{status:<11}", COLOURS.get(status, "red"))]
    if layer is not None:
        weight = layer["weight"] * server.get("weight_factor", 1.0)
        kind = " backup" if layer["backup"] else ""
        exchanges, used = _left(server)
        left = f"{_count(exchanges, 'exchange')}, {_count(used, 'connection')} in use"
        parts.append(f"weight {weight:.4g}{kind}, {left}")
    else:
        parts.append("not in the configuration")
    say("  ".join(parts))
    reasons = [reason for reason in server.get("reasons", ()) if reason]
    for layer, where in (("everywhere", " everywhere"), ("override", "")):
        if order := server["layers"].get(layer):
            reasons.insert(0, f"ordered{where}: {ordered(order)}")
    for reason in reasons:
        say(paint(f"{'':<{width}}  {reason}", "dim"))


def ordered(override: Mapping[str, Any]) -> str:
    """An order in words."""
    words = [] if override["mode"] == "auto" else [override["mode"]]
    if override["weight"] is not None:
        words.append(f"weight {override['weight'] * 100:.4g}%")
    said = ", ".join(words)
    if override["author"]:
        said += f" by {override['author']}"
    if override["until"]:
        said += f" until {override['until']}"
    return f"{said}: {override['reason']}" if override["reason"] else said


def _name(server: Server) -> str:
    return f"{server['service']}/{server['address']}"


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _near(wanted: str, names: Any) -> str:
    found = get_close_matches(wanted, list(names), n=1)
    return f"; did you mean {found[0]}?" if found else ""


def _failed(error: UnansweredError) -> int:
    for line in str(error).splitlines():
        complain(line)
    return error.code
