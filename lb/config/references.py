"""Checks between sections: names that are used and not defined, defined twice, addresses used twice.

They read what the operator wrote, not the models: a route with a mistake elsewhere is checked too, and a
service with a mistake is still a service that routes may name.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lb.config.addresses import bind_address
from lb.config.merge import NAMED, Loc, Merged
from lb.config.problems import nearest, one_of
from lb.config.spec import AdminSpec

Names = dict[str, Loc]


def check(merged: Merged) -> None:
    """Adds the problems between pieces."""
    known = {
        "listener": _defined(merged, "listeners", "listener"),
        "route": _defined(merged, "routes", "route"),
        "service": {str(loc[1]): loc for loc, _ in merged.items(NAMED)},
    }
    for loc, kind, name in _references(merged):
        if name not in known[kind]:
            merged.problem(loc, _absent(kind, name, known[kind]))
    _binds(merged)


def _references(merged: Merged) -> Iterator[tuple[Loc, str, str]]:
    """Every name of something else: where it is, what it is a name of, the name."""
    for loc, route in merged.items("routes"):
        yield from _names(route, loc, "service", "service")
        for index, share in enumerate(_list(_get(route, "split"))):
            yield from _names(share, (*loc, "split", index), "service", "service")
        yield from _names(_get(route, "mirror"), (*loc, "mirror"), "service", "service")
        yield from _names(_get(route, "match"), (*loc, "match"), "listener", "listener")
    for loc, case in merged.items("tests"):
        yield from _names(case, loc, "listener", "listener")
        for kind in ("route", "service"):
            yield from _names(_get(case, "expect"), (*loc, "expect"), kind, kind)


def _get(value: object, key: str) -> Any:
    return value.get(key) if isinstance(value, dict) else None


def _list(value: object) -> list[Any] | tuple[Any, ...]:
    return value if isinstance(value, list | tuple) else ()


def _names(value: object, loc: Loc, key: str, kind: str) -> Iterator[tuple[Loc, str, str]]:
    found = _get(value, key)
    if isinstance(found, str):
        yield (*loc, key), kind, found
    for index, name in enumerate(_list(found)):
        if isinstance(name, str):
            yield (*loc, key, index), kind, name


def _absent(kind: str, name: str, known: Names) -> str:
    if not known:
        return f'there is no {kind} "{name}"; no {kind} is defined'
    return f'there is no {kind} "{name}"; there are: {one_of(known)}{nearest(name, known)}'


def _defined(merged: Merged, section: str, word: str) -> Names:
    """The names of a section; one that is there twice is a problem."""
    found: Names = {}
    for loc, value in merged.items(section):
        name = merged.name(loc)
        if name is None and section == "listeners":
            name = next((address for _, address in _addresses(loc, value)), None)
        if name is not None and found.setdefault(name, loc) != loc:
            near = merged.near((*found[name], "name"))
            merged.problem((*loc, "name"), f'the {word} "{name}" is defined twice: the first is in {near}')
    return found


def _addresses(loc: Loc, listener: object) -> Iterator[tuple[Loc, str]]:
    if isinstance(listener, str):
        yield loc, listener
    bind = _get(listener, "bind")
    for index, address in enumerate([bind] if isinstance(bind, str) else _list(bind)):
        if isinstance(address, str):
            yield (*loc, "bind", index), address


def _binds(merged: Merged) -> None:
    """An address is bound once (port 0 is another port each time)."""
    first: Names = {}
    for loc, listener in merged.items("listeners"):
        for spot, written in _addresses(loc, listener):
            address = _normal(written)
            if address is not None and first.setdefault(address, spot) != spot:
                merged.problem(
                    spot, f"{address} is bound twice: the first is in {merged.near(first[address])}"
                )
    admin = merged.pieces.get(("admin",), {"bind": AdminSpec().bind})
    taken = _normal(_get(admin, "bind"))
    if taken is None or taken not in first:
        return
    if ("admin",) in merged.pieces:
        merged.problem(
            ("admin", "bind"), f"{taken} is bound by a listener already, in {merged.near(first[taken])}"
        )
    else:
        merged.problem(first[taken], f"{taken} is where the admin API answers; move it: admin: {{bind: …}}")


def _normal(address: object) -> str | None:
    """An address to compare, or None where it is none, or always another one."""
    try:
        found = bind_address(address) if isinstance(address, str) else ":0"
    except ValueError:
        return None
    return None if found.endswith(":0") else found
