"""Routes that can never win.

Lives here: the implication between predicates ("whatever this one holds for, that one holds for too"),
and the search for a route that comes first and holds for all of another. Precedence is that of the
routing table itself (`Route.alternatives`). It errs on one side only: a route may be hidden and not be
found (by several routes together, or by regular expressions that mean the same), but what is reported
is hidden.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import NamedTuple

from lb.plan import MatchPlan, RoutePlan, ValuePlan
from lb.routing.route import ANY, EXACT, PREFIX, REGEX, Alternative, Route

MOST = 32  # alternatives of one host and path that are compared with another; further ones are not

Key = tuple[str, int, bytes]  # host, kind of path, path


class _Entry(NamedTuple):
    rank: tuple[int, ...]
    route: int
    alternative: Alternative


class Hidden(NamedTuple):
    """A route that never wins, and the routes that take its requests (indexes, in file order)."""

    route: int
    by: tuple[int, ...]


def hidden_routes(
    routes: Sequence[Route], plans: Sequence[RoutePlan], listeners: Sequence[str]
) -> list[Hidden]:
    """All routes of which every alternative is covered by an alternative of a route that comes before.
    `listeners` are the names of all listeners."""
    matches = [_Match(plan.match, frozenset(listeners)) for plan in plans]
    entries: dict[Key, list[_Entry]] = {}
    every: list[list[_Entry]] = []
    for index, route in enumerate(routes):
        mine = [_Entry((*a.specificity, index), index, a) for a in route.alternatives()]
        every.append(mine)
        for entry in mine:
            where = entry.alternative
            entries.setdefault((where.host, where.kind, where.path), []).append(entry)
    for same in entries.values():
        same.sort()
        del same[MOST:]
    found = []
    for index, mine in enumerate(every):
        by = [_hiding(entry, entries, matches) for entry in mine]
        if by and None not in by:
            found.append(Hidden(index, tuple(sorted({route for route in by if route is not None}))))
    return found


def _hiding(entry: _Entry, entries: dict[Key, list[_Entry]], matches: list[_Match]) -> int | None:
    for key in _wider(entry.alternative):
        for other in entries.get(key, ()):
            if other.rank >= entry.rank:
                break
            if other.route != entry.route and matches[entry.route].implies(
                matches[other.route], entry.alternative, other.alternative
            ):
                return other.route
    return None


def _wider(alternative: Alternative) -> Iterator[Key]:
    """Where alternatives stand whose host and path may hold for all that `alternative` holds for."""
    host = alternative.host
    hosts = [host]
    suffix = host.removeprefix("*")
    while host and (at := suffix.find(".", 1)) >= 0:
        suffix = suffix[at:]
        hosts.append(f"*{suffix}")
    if host:
        hosts.append("")
    paths: list[tuple[int, bytes]] = [(ANY, b"")]
    if alternative.kind == EXACT:
        paths.append((EXACT, alternative.path))
    if alternative.kind in (EXACT, PREFIX):
        base = alternative.path
        paths.append((PREFIX, base))
        while (at := base.rfind(b"/")) >= 0:
            base = base[:at]
            paths.append((PREFIX, base))
    if alternative.kind in (EXACT, REGEX):
        paths.append((REGEX, b""))
    for name in hosts:
        for kind, path in paths:
            yield name, kind, path


class _Match:
    """The predicates of a route, made ready for comparing."""

    def __init__(self, plan: MatchPlan, listeners: frozenset[str]) -> None:
        self.path_regex = frozenset(plan.path_regex)
        # To ask for all listeners is to ask for none.
        asked = frozenset(plan.listener)
        self.listener = frozenset[str]() if asked >= listeners else asked
        self.method = frozenset(plan.method)
        self.networks: list[IPv4Network | IPv6Network] = [ip_network(block) for block in plan.client_ip]
        self.values = {
            (kind, value.name): value
            for kind, values in (("header", plan.header), ("query", plan.query), ("cookie", plan.cookie))
            for value in values
        }

    def implies(self, other: _Match, mine: Alternative, its: Alternative) -> bool:
        """Whether `other` holds for every request that this route's alternative `mine` holds for."""
        if its.kind == REGEX and not self._regex_path(other, mine):
            return False
        return (
            _within(self.listener, other.listener)
            and _within(self.method, other.method)
            and self._clients(other)
            and all(
                name in self.values and _value_within(self.values[name], value)
                for name, value in other.values.items()
            )
        )

    def _regex_path(self, other: _Match, mine: Alternative) -> bool:
        if mine.kind == REGEX:
            return self.path_regex <= other.path_regex
        path = mine.path.decode("latin-1")
        return any(re.search(pattern, path) for pattern in other.path_regex)

    def _clients(self, other: _Match) -> bool:
        if not other.networks:
            return True
        return bool(self.networks) and all(
            any(_inside(block, wider) for wider in other.networks) for block in self.networks
        )


def _within(asked: frozenset[str], wider: frozenset[str]) -> bool:
    return not wider or (bool(asked) and asked <= wider)


def _inside(block: IPv4Network | IPv6Network, wider: IPv4Network | IPv6Network) -> bool:
    if isinstance(block, IPv4Network):
        return isinstance(wider, IPv4Network) and block.subnet_of(wider)
    return isinstance(wider, IPv6Network) and block.subnet_of(wider)


def _value_within(value: ValuePlan, wider: ValuePlan) -> bool:
    """Whether every request with `value` has `wider`."""
    if wider.present is not None:
        return value.present == wider.present or (wider.present and value.present is None)
    if wider.regex is not None:
        if value.regex is not None:
            return value.regex == wider.regex
        pattern = re.compile(wider.regex)
        return bool(value.exact) and all(
            pattern.search(text.encode().decode("latin-1")) for text in value.exact
        )
    return bool(value.exact) and set(value.exact) <= set(wider.exact)
