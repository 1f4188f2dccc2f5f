"""The locations of one server of nginx as routes.

Lives here: which requests a location gets and what becomes of them. Must not live here: listeners and names
of servers (lb.importing.nginx), the edits of a route (lb.importing.nginxedits).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Any, NamedTuple

from lb.importing.nginxactions import NOWHERE, REFUSED, proxied, returned
from lb.importing.nginxguards import admitted, disguises, refuses
from lb.importing.nginxvalues import IN_REDIRECTS, Directive, Settings, settings_of, translated
from lb.importing.result import Draft
from lb.importing.values import UnmappableError, regex

# How locations stand to each other, as priorities: in lb, prefixes come before regular expressions.
PLAIN, REGEX, FIRM, EXACT, SERVER, CONDITION = 0, 10, 20, 40, 50, 60

CONDITION_HOST = re.compile(r"\$(?:host|http_host)\Z")


# What holds in a location, and what it says itself.
Layer = tuple[Settings, Settings]


class Place(NamedTuple):
    """Where a server is found: `hosts` None: by every host; `base`: what its routes have over other servers'
    of the same listeners."""

    listeners: Sequence[str]
    hosts: Sequence[str] | None
    base: int
    names: Mapping[str, str]


class Location(NamedTuple):
    """One location with what it inherits. `rank`: its place among those of its server; `named`: the named
    locations of that server."""

    match: dict[str, Any]
    rank: int
    settings: Settings
    own: Settings
    directive: Directive
    title: str
    named: Mapping[str, Layer]


def add_routes(draft: Draft, server: Directive, settings: Settings, place: Place) -> None:
    """The routes of one server at one place."""
    own = settings_of(server.block)
    host = place.hosts[0] if place.hosts else ""
    for one in takewhile(lambda one: one.name != "return", server.block):
        if one.name == "if":
            one.used = True
            _condition(draft, one, place, host)
        elif one.name == "rewrite":
            one.used = True
            _server_rewrite(draft, one, place, host)
    if "return" in own:
        action = returned(draft, settings, own, place.names)
        _add(draft, place, host or "all", {"path_prefix": "/"}, PLAIN, action)
        return
    named = {
        one.args[0]: (settings_of(one.block, settings), settings_of(one.block))
        for one in server.block
        if one.name == "location" and one.args[0].startswith("@")
    }
    locations = _locations(draft, server.block, settings, named)
    for location in _ranked(draft, locations):
        _route(draft, location, place, host)
    if not any(one.match == {"path_prefix": "/"} for one in locations):
        tries = Settings({"try_files": own.get("try_files", [])})
        directive = Directive("location", ("/",), server.file, server.line)
        rest = Location({"path_prefix": "/"}, PLAIN, settings, tries, directive, "/", named)
        if _tried(rest):
            _route(draft, rest, place, host)
        else:
            _add(draft, place, f"{host}/", {"path_prefix": "/"}, PLAIN, {"respond": NOWHERE})


def _tried(one: Location) -> Layer | None:
    """The named location that its `try_files` ends with."""
    return next((one.named.get(tries.args[-1]) for tries in one.own.get("try_files", ())), None)


def _locations(
    draft: Draft, block: Sequence[Directive], settings: Settings, named: Mapping[str, Layer], outer: str = ""
) -> list[Location]:
    found: list[Location] = []
    for one in block:
        if one.name != "location":
            continue
        kind, path = one.args if len(one.args) == 2 else ("", one.args[0])
        if path.startswith("@"):
            continue  # try_files asks for it, or nothing comes of what is in it
        try:
            if kind in ("~", "~*") and outer and not path.startswith("^"):
                path = f"^{re.escape(outer)}.*{path}"  # nginx looks for it below the outer location alone
            match, rank = _match(kind, path)
        except UnmappableError as error:
            draft.gap(one.place, str(one), str(error), "its requests go where the other locations send them")
            continue
        inner, own = settings_of(one.block, settings), settings_of(one.block)
        if kind in ("", "^~") and not path.endswith("/"):
            draft.note(one.place, str(one), "as path_prefix it takes whole segments only")
        elif kind in ("", "^~") and path != "/" and "proxy_pass" not in own:
            draft.note(one.place, str(one), "as path_prefix it takes the path without the final slash too")
        found.append(Location(match, rank, inner, own, one, path, named))
        found += _locations(draft, one.block, inner, named, path if kind in ("", "^~") else outer)
    return found


def _match(kind: str, path: str) -> tuple[dict[str, Any], int]:
    if kind == "=":
        return {"path": path}, EXACT
    if kind in ("~", "~*"):
        return {"path_regex": regex(path, kind == "~*")}, REGEX
    return {"path_prefix": path.rstrip("/") or "/"}, FIRM if kind == "^~" else PLAIN


def _ranked(draft: Draft, locations: Sequence[Location]) -> list[Location]:
    """A prefix below one of ^~ wins by its length, as in nginx; two prefixes that differ by a final slash are
    an exact path and a prefix."""
    firm = [one.match["path_prefix"] for one in locations if one.rank == FIRM]
    slashed = {one.title.rstrip("/") for one in locations if one.title.endswith("/") and one.title != "/"}
    found = []
    for one in locations:
        if one.rank == PLAIN:
            if one.title in slashed:
                one = one._replace(match={"path": one.title}, rank=EXACT)
            elif any(one.match["path_prefix"].startswith(f"{path.rstrip('/')}/") for path in firm):
                one = one._replace(rank=FIRM)
                draft.note(
                    one.directive.place,
                    str(one.directive),
                    "lies below one of ^~: here it too precedes ~ and ~*",
                )
        found.append(one)
    return found


def _route(draft: Draft, one: Location, place: Place, host: str) -> None:
    title = f"{host}{one.title}" if one.title.startswith("/") else f"{host}:{one.title}"
    layers = [(one.settings, one.own)]
    if "return" not in one.own and (tried := _tried(one)):
        layers.append(tried)
    admits = admitted(draft, layers)
    action = {"respond": REFUSED} if admits == {} else _sent(draft, one, layers, place)
    if action == {"respond": REFUSED}:
        for _, own in layers:
            for name in own:
                own.found(name)  # it has no servers to ask in any way
    if admits:
        _add(draft, place, title, {**one.match, **admits}, one.rank, action)
        title, action = f"{title}:denied", {"respond": REFUSED}
    _add(draft, place, title, one.match, one.rank, action)
    if action.get("respond", {}).get("status") in (403, 404):
        _closed(draft, one, place, title)


def _sent(draft: Draft, one: Location, layers: Sequence[Layer], place: Place) -> dict[str, Any]:
    for _, own in layers:
        for condition in own.found("if"):
            why = "conditions are routes in lb"
            draft.gap(condition.place, str(condition), why, "write a route with a match")
    settings, own = layers[-1]
    if len(layers) > 1:
        tries = one.own.found("try_files")[0]
        why = f"lb serves no files; here all requests go to {tries.args[-1]}"
        draft.gap(tries.place, str(tries), why, "put a web server behind lb for the files")
    if "return" in own:
        return returned(draft, settings, own, place.names, one.title if "path" in one.match else "")
    if "proxy_pass" in one.own and one.rank in (PLAIN, FIRM) and one.title.endswith("/") and one.title != "/":
        host = place.hosts[0] if place.hosts else ""
        to = {"to": f"{one.title}?${{query}}", "status": 301}
        title = f"{host}{one.title.rstrip('/')}"
        _add(draft, place, title, {"path": one.title.rstrip("/")}, EXACT, {"redirect": to})
    return proxied(draft, one.directive, own, settings, one.match, place.names)


def _closed(draft: Draft, one: Location, place: Place, title: str) -> None:
    """What nginx refuses must not get through in other words: lb compares paths as they came."""
    where, said = one.directive.place, str(one.directive)
    whole = one.title.endswith("/") or "path" in one.match
    if "path_regex" in one.match:
        why = "it is not refused where the path comes with escapes (/%61 for /a)"
        draft.gap(where, said, why, "have servers refuse it too")
        return
    if found := disguises(one.match, whole):
        _add(draft, place, f"{title}:disguised", {"path_regex": found}, CONDITION, {"respond": REFUSED})
    if not whole:
        why = f"{one.title}… beyond a whole segment is not refused"
        draft.gap(where, said, why, "add a route with path_regex")


def _condition(draft: Draft, one: Directive, place: Place, host: str) -> None:
    """`if ($host = NAME) { return … }`, as certbot writes it. Another that refuses closes the server."""
    words = " ".join(one.args).strip("()").split()
    if (
        len(words) == 3
        and CONDITION_HOST.match(words[0])
        and words[1] == "="
        and [inner.name for inner in one.block] == ["return"]
    ):
        named = place._replace(hosts=[words[2]])
        if place.hosts is None or words[2] in place.hosts:
            action = returned(draft, Settings(), settings_of(one.block), named.names)
            _add(draft, named, f"{words[2]}:if", {"path_prefix": "/"}, CONDITION, action)
        return
    if refuses(one):
        draft.gap(one.place, str(one), "lb cannot check it, so the server refuses with 403", "write a route")
        _add(draft, place, f"{host}:if", {"path_prefix": "/"}, CONDITION, {"respond": REFUSED})
    else:
        draft.gap(one.place, str(one), "conditions are routes in lb", "write a route with a match")


def _server_rewrite(draft: Draft, one: Directive, place: Place, host: str) -> None:
    target, flag = one.args[1], one.args[2] if len(one.args) > 2 else ""
    outside = flag in ("permanent", "redirect") or target.startswith("http")
    try:
        if not outside or re.search(r"\$\d", target):
            raise UnmappableError(
                "lb rewrites in the route that it chose, and redirects to no groups of a match"
            )
        to = translated(target, IN_REDIRECTS, place.names).rstrip("?")
        action = {"redirect": {"to": to, "status": 301 if flag == "permanent" else 302}}
        _add(draft, place, f"{host}:{one.args[0]}", {"path_regex": regex(one.args[0])}, SERVER, action)
    except UnmappableError as error:
        draft.gap(one.place, str(one), str(error), "write routes with rewrite or redirect")


def _add(
    draft: Draft, place: Place, title: str, match: Mapping[str, Any], rank: int, action: Mapping[str, Any]
) -> None:
    where: dict[str, Any] = {}
    if place.listeners:
        where["listener"] = list(place.listeners)
    if place.hosts:
        where["host"] = list(place.hosts)
    route: dict[str, Any] = {"match": {**where, **match}}
    if place.base + rank:
        route["priority"] = place.base + rank
    draft.add_route(title, {**route, **action})
