"""What becomes of the requests of a location of nginx: an answer of its own, a redirect, servers.

Lives here: return, proxy_pass and what it asks for, rewrite. Must not live here: which requests those are
(lb.importing.nginxroutes), the edits of a route (lb.importing.nginxedits).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from lb.importing.nginxedits import edits, fixed_headers
from lb.importing.nginxservices import address
from lb.importing.nginxvalues import IN_REDIRECTS, Directive, Settings, has_variable, translated
from lb.importing.result import Draft
from lb.importing.values import UnmappableError, regex

REFUSED, NOWHERE, UNREACHED = {"status": 403}, {"status": 404}, {"status": 502}
OTHERS = (
    *("fastcgi_pass", "uwsgi_pass", "scgi_pass", "grpc_pass", "memcached_pass", "try_files", "root", "alias"),
)
# What nginx says of an answer's type where no `types` is read.
TYPES = {"html": "text/html", "gif": "image/gif", "jpg": "image/jpeg"}


def returned(
    draft: Draft, settings: Settings, own: Settings, names: Mapping[str, str], path: str = ""
) -> dict[str, Any]:
    """Of `return` in `own`; `path`: the one path that it is for, where there is one."""
    one = own.found("return")[0]
    action = _returned(draft, one, names)
    if "body" in action.get("respond", ()):
        action["respond"]["headers"] = {"content-type": _type(settings, path)}
    status = next(iter(action.values()))["status"]
    headers = fixed_headers(draft, settings, status)
    own_type = headers.get("set", {}).pop("content-type", "")
    if own_type and "headers" in action.get("respond", ()):
        action["respond"]["headers"]["content-type"] = own_type
    return {**action, **({"response_headers": headers} if any(headers.values()) else {})}


def _returned(draft: Draft, one: Directive, names: Mapping[str, str]) -> dict[str, Any]:
    status, rest = (one.args[0], one.args[1:]) if one.args[0].isdigit() else ("302", one.args)
    number, text = int(status), rest[0] if rest else ""
    try:
        if number in (301, 302, 303, 307, 308) and text:
            return {"redirect": {"to": translated(text, IN_REDIRECTS, names), "status": number}}
        if not 200 <= number <= 599:
            raise UnmappableError(f"lb answers with 200 to 599, not {number}; here with 403")
        if has_variable(text):
            raise UnmappableError("a body has no variables in lb; it is left out")
        return {"respond": {"status": number, **({"body": text} if text else {})}}
    except UnmappableError as error:
        draft.gap(one.place, str(one), str(error))
        return {"respond": {"status": number if number in range(200, 600) and number != 444 else 403}}


def _type(settings: Settings, path: str) -> str:
    ending = path.rpartition("/")[2].rpartition(".")[2].lower() if "." in path else ""
    blocks = settings.found("types")
    types = (
        {end: one.name for block in blocks for one in block.block for end in one.args} if blocks else TYPES
    )
    default = [one.args[0] for one in settings.found("default_type")]
    return types.get(ending) or (default[-1] if default else "text/plain")


def proxied(
    draft: Draft,
    where: Directive,
    own: Settings,
    settings: Settings,
    match: Mapping[str, Any],
    names: Mapping[str, str],
) -> dict[str, Any]:
    """What is done with a request of the location `where`. proxy_pass is not inherited."""
    title = where.args[-1]
    passed = next(iter(own.found("proxy_pass")), None)
    if passed is None:
        other = next((found for name in OTHERS for found in settings.found(name)), None)
        lost = other or where
        why = "lb sends requests to HTTP servers only" if other else "it names no servers"
        draft.gap(lost.place, str(lost), f"{why}; here 404", "put a web server behind lb and name it")
        return {"respond": NOWHERE}
    try:
        service, host, uri = _service_of(draft, passed)
    except UnmappableError as error:
        draft.gap(passed.place, str(passed), f"{error}; here 502", "name the servers in a service")
        return {"respond": UNREACHED}
    rewrite = _rewrite(draft, own.found("rewrite"), title, match, uri, passed)
    return {"service": service, **edits(draft, settings, rewrite, host, names)}


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


def _rewrite(
    draft: Draft,
    rules: Sequence[Directive],
    title: str,
    match: Mapping[str, Any],
    uri: str | None,
    passed: Directive,
) -> dict[str, str]:
    for rule in rules:
        target, flag = rule.args[1], rule.args[2] if len(rule.args) > 2 else ""
        if flag == "break" and not has_variable(re.sub(r"\$\d", "", target)) and len(rules) == 1:
            to = re.sub(r"\$(\d)", r"\\\1", target.rstrip("?"))
            if not (rule.args[0].startswith("^") and rule.args[0].endswith("$")):
                why = "lb replaces what matched, nginx the whole path: anchor with ^ and $"
                draft.note(rule.place, str(rule), why)
            return {"regex": regex(rule.args[0]), "to": to}
        draft.gap(rule.place, str(rule), "only one rewrite … break without variables maps", "write a route")
    if uri is None or uri == title:
        return {}
    prefix = match.get("path_prefix")
    if "path" in match:
        return {"regex": f"^{re.escape(title)}$", "to": uri}
    if prefix is None:
        draft.gap(passed.place, str(passed), "a URI needs a prefix that it replaces", "write rewrite.regex")
        return {}
    if title.endswith("/") != uri.endswith("/"):
        draft.note(
            passed.place, str(passed), "nginx joins location and URI without or with two slashes, lb with one"
        )
    found = {} if prefix == "/" else {"strip_prefix": prefix}
    return {**found, **({"add_prefix": uri.rstrip("/")} if uri.rstrip("/") else {})}
