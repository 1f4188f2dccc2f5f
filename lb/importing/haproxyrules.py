"""Rules with conditions as routes: the first that holds decides, as in HAProxy.

Lives here: what `if` and `unless` mean in terms of a route's match, and rules in order as matches in order.
Must not live here: what a rule does (lb.importing.haproxyactions), single ACLs (lb.importing.haproxyacls).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from lb.importing.haproxyacls import Acls
from lb.importing.values import UnmappableError

Match = dict[str, Any]
MOST = 500  # routes of one frontend; past that the conditions multiply


class Choice(NamedTuple):
    """Requests of one kind, and what becomes of them: the keys of a route beside match."""

    match: Match
    action: Mapping[str, Any]
    title: str


class Condition(NamedTuple):
    """Holds where one of `holds` matches and none of `fails` does."""

    holds: Sequence[Match]
    fails: Sequence[Match]


ALWAYS = [Condition([{}], [])]


def conditions(words: Sequence[str], acls: Acls) -> list[Condition]:
    """Of the words from `if` or `unless` on, none: alternatives in order. Raises UnmappableError."""
    if not words:
        return ALWAYS
    if words[0] not in ("if", "unless") or len(words) < 2:
        raise UnmappableError(f"{' '.join(words)} is no condition that lb knows")
    found = [_all_of(part, acls) for part in alternatives_of(words[1:])]
    if words[0] == "if":
        return found
    if any(one.fails for one in found) and found != [Condition([{}], found[0].fails)]:
        raise UnmappableError("unless with a negation among other conditions is too much for one match")
    if found[0].fails:
        return [Condition(found[0].fails, [])]
    return [Condition([{}], [match for one in found for match in one.holds])]


def put_before(rules: Iterable[Condition], chosen: Sequence[Choice], rest: Sequence[Choice]) -> list[Choice]:
    """What is decided where a rule stands before `rest`: requests of its conditions are `chosen`'s. Raises
    UnmappableError."""
    found = list(rest)
    for one in reversed(list(rules)):
        exempt = _narrowed(one.fails, found)
        _bound(exempt)
        with suppress(UnmappableError):  # without it there are more routes than needed, which decide the same
            exempt = _narrowed(one.holds, exempt)
        found = exempt + _narrowed(one.holds, chosen) + found
        _bound(found)
    return found


def _bound(made: Sequence[object]) -> None:
    if len(made) > MOST:
        raise UnmappableError(f"it would take more than {MOST} routes")


def _narrowed(matches: Iterable[Match], choices: Sequence[Choice]) -> list[Choice]:
    """`choices` for the requests of one of `matches`."""
    return [
        choice._replace(match=narrowed)
        for match in matches
        for choice in choices
        for narrowed in [both(match, choice.match)]
        if narrowed is not None
    ]


def reachable(choices: Iterable[Choice], where: Match) -> list[Choice]:
    """Those within `where` that no single one before them covers."""
    found: list[Choice] = []
    for choice in _narrowed([where], list(choices)):
        if not any(_covers(before.match, choice.match) for before in found):
            found.append(choice)
    return found


def _covers(wide: Match, narrow: Match) -> bool:
    for key, values in wide.items():
        given = narrow.get(key)
        if given is None:
            return False
        if isinstance(values, dict):
            if any(given.get(name) != value for name, value in values.items()):
                return False
        elif not all(any(one == other or _within(key, one, other) for other in values) for one in given):
            return False
    return True


def both(one: Match, other: Match) -> Match | None:
    """The match of requests that both match; None: there are none. Raises UnmappableError where a route
    cannot say it."""
    found = dict(one)
    for key, value in other.items():
        if key in ("header", "cookie", "query"):
            mine = found.get(key, {})
            if any(mine[name] != wanted for name, wanted in value.items() if name in mine):
                raise UnmappableError(f"two conditions on one {key} are too much for one match")
            found[key] = {**mine, **value}
        elif key not in found or found[key] == value:
            found[key] = value
        else:
            common = _common(key, found[key], value)
            if not common:
                return None
            found[key] = common
    return _one_path(found)


def _one_path(match: Match) -> Match | None:
    kinds = [key for key in ("path", "path_prefix", "path_regex") if key in match]
    if kinds == ["path", "path_prefix"]:
        held = [
            path for path in match["path"] if any(_below(path, prefix) for prefix in match["path_prefix"])
        ]
        rest = {key: value for key, value in match.items() if key != "path_prefix"}
        return {**rest, "path": held} if held else None
    if len(kinds) > 1:
        raise UnmappableError("a match has either paths, prefixes or regular expressions")
    return match


def _common(key: str, one: Sequence[str], other: Sequence[str]) -> list[str]:
    found = []
    for first in one:
        for second in other:
            if first == second or _within(key, first, second):
                found.append(first)
            elif _within(key, second, first):
                found.append(second)
            elif key == "path_regex":
                raise UnmappableError("two regular expressions on the path are too much for one match")
    return list(dict.fromkeys(found))


def _within(key: str, one: str, other: str) -> bool:
    """Whether all that matches `one` matches `other`."""
    if key == "host":
        return other.startswith("*.") and one.endswith(other[1:])
    if key == "path_prefix":
        return _below(one, other)
    if key == "client_ip":
        inner, outer = ipaddress.ip_network(one, strict=False), ipaddress.ip_network(other, strict=False)
        return inner.version == outer.version and inner.subnet_of(outer)  # type: ignore[arg-type]
    return False


def _below(path: str, prefix: str) -> bool:
    return prefix == "/" or path == prefix or path.startswith(f"{prefix}/")


def alternatives_of(words: Sequence[str]) -> list[list[str]]:
    """The parts of a condition, one of which must hold."""
    found: list[list[str]] = [[]]
    for word in words:
        if word in ("or", "||"):
            found.append([])
        else:
            found[-1].append(word)
    return found


def _all_of(words: Sequence[str], acls: Acls) -> Condition:
    holds: list[Match] = [{}]
    fails: list[Match] = []
    at = 0
    while at < len(words):
        word = words[at]
        negated = word.startswith("!")
        word = word.removeprefix("!")
        if not word:  # a "!" that stands alone
            at += 1
            negated, word = True, words[at]
        if word == "{":
            end = words.index("}", at) if "}" in words[at:] else len(words)
            alternatives = acls.anonymous(words[at + 1 : end])
            at = end + 1
        else:
            alternatives = acls.named(word)
            at += 1
        if negated:
            fails += alternatives
        else:
            holds = [
                made
                for one in holds
                for other in alternatives
                for made in [both(one, other)]
                if made is not None
            ]
            _bound(holds)
    return Condition(holds, fails)
