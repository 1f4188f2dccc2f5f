"""The locations of one server of nginx as routes.

Lives here: which requests a location gets and what becomes of them. Must not live here: listeners and names
of servers (lb.importing.nginx), the edits of a route (lb.importing.nginxedits).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from lb.importing.nginxedits import edits
from lb.importing.nginxservices import address
from lb.importing.nginxvalues import IN_REDIRECTS, Directive, Settings, has_variable, settings_of, translated
from lb.importing.result import Draft
from lb.importing.values import UnmappableError, regex

# How locations stand to each other, as priorities: in lb, prefixes come before regular expressions.
PLAIN, REGEX, FIRM, EXACT, SERVER, CONDITION = 0, 10, 20, 40, 50, 60

REFUSED, NOWHERE, UNREACHED = {"status": 403}, {"status": 404}, {"status": 502}
GUARDS = (
    "auth_basic",
    "auth_request",
    "auth_jwt",
    "satisfy",
    "internal",
    "secure_link",
    "ssl_verify_client",
    "limit_except",
)
GUARDED = "lb cannot check it, so the route refuses with 403"
CONDITION_HOST = re.compile(r"\$(?:host|http_host)\Z")


class Place(NamedTuple):
    """Where a server is found: `hosts` None: by every host; `base`: what its routes have over other servers'
    of the same listeners, 0 where nothing needs priorities."""

    listeners: Sequence[str]
    hosts: Sequence[str] | None
    base: int
    ranked: bool
    names: Mapping[str, str]


class Location(NamedTuple):
    """One location with what it inherits. `rank`: its place among those of its server."""

    match: dict[str, Any]
    rank: int
    settings: Settings
    own: Settings
    directive: Directive
    title: str


def add_routes(draft: Draft, server: Directive, settings: Settings, place: Place) -> None:
    """The routes of one server at one place."""
    own = settings_of(server.block)
    host = place.hosts[0] if place.hosts else ""
    if "return" in own:
        action = _returned(draft, own["return"][0], place)
        _add(draft, place, host or "all", {"path_prefix": "/"}, SERVER, action)
        return
    for condition in own.get("if", ()):
        _condition(draft, condition, place, host)
    for one in own.get("rewrite", ()):
        _server_rewrite(draft, one, place, host)
    locations = list(_locations(draft, server.block, settings))
    for location in _ranked(draft, locations):
        _route(draft, location, place, host)
    if not any(one.match == {"path_prefix": "/"} for one in locations):
        _add(draft, place, f"{host}/", {"path_prefix": "/"}, PLAIN, {"respond": NOWHERE})


def has_regex(block: Sequence[Directive]) -> bool:
    """Whether any location in it needs a rank of its own."""
    return any(
        one.name == "if" or (one.name == "location" and (len(one.args) > 1 or has_regex(one.block)))
        for one in block
    )


def _locations(
    draft: Draft, block: Sequence[Directive], settings: Settings, outer: str = ""
) -> list[Location]:
    found: list[Location] = []
    for one in block:
        if one.name != "location":
            continue
        kind, path = one.args if len(one.args) == 2 else ("", one.args[0])
        if path.startswith("@"):
            draft.gap(one.place, str(one), "lb has no named locations", "make it a route of its own")
            continue
        try:
            if kind in ("~", "~*") and outer and not path.startswith("^"):
                path = f"^{re.escape(outer)}.*{path}"  # nginx looks for it below the outer location alone
            match, rank = _match(kind, path)
        except UnmappableError as error:
            draft.gap(one.place, str(one), str(error), "its requests go where the other locations send them")
            continue
        if not kind and path not in ("/",):
            slash = "the path without the final slash too" if path.endswith("/") else "whole segments only"
            draft.note(one.place, str(one), f"as path_prefix it takes {slash}")
        elif kind == "^~":
            draft.note(one.place, str(one), "as path_prefix it takes whole segments only")
        inner, own = settings_of(one.block, settings), settings_of(one.block)
        found.append(Location(match, rank, inner, own, one, path))
        found += _locations(draft, one.block, inner, path if kind in ("", "^~") else outer)
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
    action: dict[str, Any]
    if "return" in one.own:
        action = _returned(draft, one.own["return"][0], place)
    elif guard := _guard(draft, one.settings):
        draft.gap(guard.place, str(guard), GUARDED, "ask a server for it, or change the route")
        action = {"respond": REFUSED}
    elif lost := _refusing_condition(one.own):
        draft.gap(lost.place, str(lost), GUARDED, "write it as a match of the route")
        action = {"respond": REFUSED}
    else:
        for condition in one.own.get("if", ()):
            draft.gap(
                condition.place, str(condition), "conditions are routes in lb", "write a route with a match"
            )
        action = _proxied(draft, one, place)
    if action.get("respond") == REFUSED and one.rank == PLAIN and not one.title.endswith("/"):
        why = f"{one.title}… beyond a whole segment is not refused"
        draft.gap(one.directive.place, str(one.directive), why, "add a route with path_regex")
    allowed = _allowed(draft, one.settings) if "respond" not in action and "return" not in one.own else None
    if allowed is None:
        _add(draft, place, title, one.match, one.rank, action)
    else:
        if allowed:
            _add(draft, place, title, {**one.match, "client_ip": allowed}, one.rank, action)
        _add(draft, place, f"{title}:denied", one.match, one.rank, {"respond": REFUSED})


def _guard(draft: Draft, settings: Settings) -> Directive | None:
    for name in GUARDS:
        for one in settings.get(name, ()):
            if one.args != ("off",):
                return one
    return None


def _refusing_condition(own: Settings) -> Directive | None:
    for one in own.get("if", ()):
        if any(inner.name == "return" and inner.args[0][:1] == "4" for inner in one.block):
            return one
    return None


def _allowed(draft: Draft, settings: Settings) -> list[str] | None:
    """The networks that may; None: everybody. nginx takes the first rule that holds."""
    rules = settings.get("access", [])
    if not rules:
        return None
    allowed = [one.args[0] for one in rules if one.name == "allow"]
    denied = [one for one in rules if one.name == "deny"]
    simple = rules[-1].name == "deny" and rules[-1].args == ("all",) and len(denied) == 1
    if simple and not {"all", "unix:"} & set(allowed):
        return allowed
    draft.gap(
        rules[0].place,
        "; ".join(str(one) for one in rules),
        f"only allow … and then deny all maps; {GUARDED}",
        "write it as match.client_ip",
    )
    return []


def _condition(draft: Draft, one: Directive, place: Place, host: str) -> None:
    """`if ($host = NAME) { return … }`, as certbot writes it. Another that refuses closes the server."""
    words = " ".join(one.args).strip("()").split()
    returned = next((inner for inner in one.block if inner.name == "return"), None)
    if (
        len(words) == 3
        and CONDITION_HOST.match(words[0])
        and words[1] == "="
        and returned
        and len(one.block) == 1
    ):
        named = place._replace(hosts=[words[2]])
        if place.hosts is None or words[2] in place.hosts:
            action = _returned(draft, returned, named)
            _add(draft, named, f"{words[2]}:if", {"path_prefix": "/"}, CONDITION, action)
        return
    if _refusing_condition({"if": [one]}):
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


def _returned(draft: Draft, one: Directive, place: Place) -> dict[str, Any]:
    status, rest = (one.args[0], one.args[1:]) if one.args[0].isdigit() else ("302", one.args)
    number, text = int(status), rest[0] if rest else ""
    try:
        if number in (301, 302, 303, 307, 308) and text:
            to = translated(text, IN_REDIRECTS, place.names)
            return {"redirect": {"to": to, "status": number}}
        if not 200 <= number <= 599:
            raise UnmappableError(f"lb answers with 200 to 599, not {number}; here with 403")
        if has_variable(text):
            raise UnmappableError("a body has no variables in lb; it is left out")
        return {"respond": {"status": number, **({"body": text} if text else {})}}
    except UnmappableError as error:
        draft.gap(one.place, str(one), str(error))
        return {"respond": {"status": number if number in range(400, 600) and number != 444 else 403}}


def _proxied(draft: Draft, one: Location, place: Place) -> dict[str, Any]:
    """What is done with a request that goes to servers. proxy_pass is not inherited."""
    passed = one.own.get("proxy_pass", [None])[0]
    if passed is None:
        other = next((found for name in OTHERS for found in one.settings.get(name, ())), None)
        where = other or one.directive
        why = "lb sends requests to HTTP servers only" if other else "it names no servers"
        draft.gap(where.place, str(where), f"{why}; here 404", "put a web server behind lb and name it")
        return {"respond": NOWHERE}
    try:
        service, host, uri = _service_of(draft, passed)
    except UnmappableError as error:
        draft.gap(passed.place, str(passed), f"{error}; here 502", "name the servers in a service")
        return {"respond": UNREACHED}
    rewrite = _rewrite(draft, one, uri, passed)
    return {"service": service, **edits(draft, one.settings, rewrite, host, place.names)}


OTHERS = (
    "fastcgi_pass",
    "uwsgi_pass",
    "scgi_pass",
    "grpc_pass",
    "memcached_pass",
    "try_files",
    "root",
    "alias",
)


def _service_of(draft: Draft, passed: Directive) -> tuple[str, str, str | None]:
    """The service, the Host that nginx sends where nothing else is said, and the URI of proxy_pass."""
    found = re.fullmatch(r"(https?)://(unix:[^:]+|[^/]+):?(/.*)?", passed.args[0])
    if has_variable(passed.args[0]) or not found:
        raise UnmappableError("lb chooses among servers that it knows beforehand")
    if found[1] == "https":
        raise UnmappableError("lb does not speak TLS to servers yet")
    name = found[2].rstrip(":")
    if name in draft.services:
        return name, name, found[3]
    draft.services[name] = {"servers": [address(name)]}
    return name, "server", found[3]


def _rewrite(draft: Draft, one: Location, uri: str | None, passed: Directive) -> dict[str, str]:
    for rule in one.own.get("rewrite", ()):
        target, flag = rule.args[1], rule.args[2] if len(rule.args) > 2 else ""
        if flag == "break" and not has_variable(re.sub(r"\$\d", "", target)) and len(one.own["rewrite"]) == 1:
            to = re.sub(r"\$(\d)", r"\\\1", target.rstrip("?"))
            draft.note(
                rule.place, str(rule), "lb replaces what matched, nginx the whole path: anchor with ^ and $"
            )
            return {"regex": regex(rule.args[0]), "to": to}
        draft.gap(rule.place, str(rule), "only one rewrite … break without variables maps", "write a route")
    if uri is None or uri == one.title:
        return {}
    prefix = one.match.get("path_prefix")
    if "path" in one.match:
        return {"regex": f"^{re.escape(one.title)}$", "to": uri}
    if prefix is None:
        draft.gap(passed.place, str(passed), "a URI needs a prefix that it replaces", "write rewrite.regex")
        return {}
    if one.title.endswith("/") != uri.endswith("/"):
        draft.note(
            passed.place, str(passed), "nginx joins location and URI without or with two slashes, lb with one"
        )
    found = {} if prefix == "/" else {"strip_prefix": prefix}
    return {**found, **({"add_prefix": uri.rstrip("/")} if uri.rstrip("/") else {})}


def _add(
    draft: Draft, place: Place, title: str, match: Mapping[str, Any], rank: int, action: Mapping[str, Any]
) -> None:
    where: dict[str, Any] = {}
    if place.listeners:
        where["listener"] = list(place.listeners)
    if place.hosts:
        where["host"] = list(place.hosts)
    route: dict[str, Any] = {"match": {**where, **match}}
    if place.ranked and place.base + rank:
        route["priority"] = place.base + rank
    draft.add_route(title, {**route, **action})
