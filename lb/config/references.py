"""Checks between sections: names that are used and not defined, defined twice, addresses used twice."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lb.config.merge import NAMED, Loc, Merged
from lb.config.problems import nearest, one_of


def check(merged: Merged, values: dict[Loc, Any]) -> None:
    """Adds the problems between the valid pieces. Names count as defined even where the piece that
    defines them is broken: its own problems are enough."""
    _twice(merged, "listeners", "listener")
    _twice(merged, "routes", "route")
    _binds(merged, values)
    services = [str(loc[1]) for loc, _ in merged.items(NAMED)]
    listeners = _names(merged, values, "listeners")
    routes = _names(merged, values, "routes")
    for loc, value in values.items():
        if len(loc) != 2:
            continue
        if loc[0] == "routes":
            if value.service is not None:
                _known(merged, (*loc, "service"), "service", value.service, services)
            for index, share in enumerate(value.split):
                _known(merged, (*loc, "split", index, "service"), "service", share.service, services)
            for index, name in enumerate(value.match.listener or ()):
                _known(merged, (*loc, "match", "listener", index), "listener", name, listeners)
        elif loc[0] == "tests":
            if value.listener is not None:
                _known(merged, (*loc, "listener"), "listener", value.listener, listeners)
            if value.expect.route is not None:
                _known(merged, (*loc, "expect", "route"), "route", value.expect.route, routes)
            if value.expect.service is not None:
                _known(merged, (*loc, "expect", "service"), "service", value.expect.service, services)


def _names(merged: Merged, values: dict[Loc, Any], kind: str) -> list[str]:
    found = []
    for loc, _ in merged.items(kind):
        name = values[loc].name if loc in values else merged.name(loc)
        if name is not None:
            found.append(name)
    return found


def _known(merged: Merged, loc: Loc, kind: str, name: str, names: Iterable[str]) -> None:
    known = list(names)
    if name in known:
        return
    if not known:
        merged.problem(loc, f'there is no {kind} "{name}"; no {kind} is defined')
        return
    suggestion = nearest(name, known)
    listing = "" if suggestion and len(known) > 8 else f"; there are: {one_of(known)}"
    merged.problem(loc, f'there is no {kind} "{name}"{listing}{suggestion}')


def _twice(merged: Merged, kind: str, word: str) -> None:
    first: dict[str, Loc] = {}
    for loc, _ in merged.items(kind):
        name = merged.name(loc)
        if name is not None and first.setdefault(name, loc) != loc:
            near = merged.near((*first[name], "name"))
            merged.problem((*loc, "name"), f'the {word} "{name}" is defined twice: the first is in {near}')


def _binds(merged: Merged, values: dict[Loc, Any]) -> None:
    """An address is bound once (port 0 is a different port each time)."""
    first: dict[str, Loc] = {}
    for loc, _ in merged.items("listeners"):
        if loc not in values:
            continue
        for index, address in enumerate(values[loc].bind):
            spot = (*loc, "bind", index)
            if not address.endswith(":0") and first.setdefault(address, spot) != spot:
                merged.problem(
                    spot, f"{address} is bound twice: the first is in {merged.near(first[address])}"
                )
    admin = values.get(("admin",))
    if admin is not None and admin.bind in first:
        near = merged.near(first[admin.bind])
        merged.problem(("admin", "bind"), f"{admin.bind} is bound by a listener already, in {near}")
