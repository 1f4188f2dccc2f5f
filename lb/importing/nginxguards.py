"""What closes a location of nginx to some: allow and deny, limit_except, and what lb cannot check.

Lives here: who may, and the same place in other words. Must not live here: the routes of those who may
(lb.importing.nginxroutes).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from lb.importing.nginxvalues import Directive, Settings
from lb.importing.result import Draft

# What nothing of lb stands for: the route refuses.
UNCHECKED = (
    "auth_basic",
    "auth_request",
    "auth_jwt",
    "satisfy",
    "internal",
    "secure_link",
    "ssl_verify_client",
)
GUARDED = "lb cannot check it, so the route refuses with 403"


def admitted(draft: Draft, layers: Iterable[tuple[Settings, Settings]]) -> dict[str, Any] | None:
    """The match of those who may; None: everybody; {}: nobody. `layers`: the locations that a request comes
    through, each as what holds in it and what it says itself."""
    match: dict[str, Any] = {}
    for settings, own in layers:
        found = _admitted(draft, settings, own)
        if found == {}:
            return {}
        for key, value in (found or {}).items():
            if match.setdefault(key, value) != value:
                said = own["limit_except"] if key == "method" else settings["access"]
                _refuse(
                    draft, said, f"two locations ask for it, each in its own way; {GUARDED}", f"match.{key}"
                )
                return {}
    return match or None


def _unchecked(settings: Settings) -> Directive | None:
    """What guards there and does not map."""
    for name in UNCHECKED:
        for one in settings.get(name, ()):
            if one.args not in (("off",), ("all",)):
                one.used = True
                return one
    return None


def refuses(condition: Directive) -> bool:
    return any(inner.name == "return" and inner.args[0][:1] == "4" for inner in condition.block)


def _admitted(draft: Draft, settings: Settings, own: Settings) -> dict[str, Any] | None:
    guard = next(filter(refuses, own.found("if")), None)
    if guard is None and "return" in own:  # which nginx does before it asks who may
        return None
    if guard := guard or _unchecked(settings):
        draft.gap(guard.place, str(guard), GUARDED, "ask a server for it, or change the route")
        return {}
    match: dict[str, Any] = {}
    for one in own.found("limit_except"):
        if [(inner.name, inner.args) for inner in one.block] != [("deny", ("all",))]:
            _refuse(draft, [one], f"only deny all in it maps; {GUARDED}", "match.method")
            return {}
        methods = [name.upper() for name in one.args]
        match["method"] = [*methods, "HEAD"] if "GET" in methods and "HEAD" not in methods else methods
    networks = _networks(draft, settings)
    if networks is not None:
        match["client_ip"] = networks
    return {} if networks == [] else match or None


def _networks(draft: Draft, settings: Settings) -> list[str] | None:
    """The networks that may; None: all. nginx takes the first rule that holds."""
    rules = settings.found("access")
    if not rules or (rules[0].name, rules[0].args) == ("allow", ("all",)):
        return None
    allowed = [one.args[0] for one in rules if one.name == "allow"]
    denied = [one for one in rules if one.name == "deny"]
    simple = rules[-1].name == "deny" and rules[-1].args == ("all",) and len(denied) == 1
    if simple and not {"all", "unix:"} & set(allowed):
        return allowed
    _refuse(draft, rules, f"only allow … and then deny all maps; {GUARDED}", "match.client_ip")
    return []


def _refuse(draft: Draft, rules: Sequence[Directive], why: str, instead: str) -> None:
    draft.gap(rules[0].place, "; ".join(map(str, rules)), why, f"write it as {instead}")


def disguises(match: dict[str, Any], whole: bool) -> str:
    """What finds the path or prefix of `match` written with escapes or several slashes, which nginx undoes
    before it compares and lb does not. "": there is no such text. `whole`: a prefix of whole segments."""
    text = match.get("path") or match.get("path_prefix", "/")
    if text == "/":
        return ""
    fuzzy = "".join("(/|%2[fF])+" if char == "/" else f"({_plain(char)}|{_escaped(char)})" for char in text)
    end, plain = ("(/|%2[fF]|$)", "(/|$)") if whole else ("", "(?!%2[fF])")
    if "path" in match:
        end = plain = "$"
    return f"^(?!{re.escape(text)}{plain}){fuzzy}{end}"


def _plain(char: str) -> str:
    return re.escape(char)


def _escaped(char: str) -> str:
    digits = "".join(f"%{byte:02x}" for byte in char.encode())
    return "".join(f"[{one}{one.upper()}]" if one.isalpha() else one for one in digits)
