"""Why a request goes where it goes: every route, and what it missed.

Lives here: verdicts made of the same predicate objects that `Table.match` asks, and its result. Must
not live here: text for terminals (lb.cli) and the way on to a server.
"""

from __future__ import annotations

from typing import NamedTuple

from lb.message import Client, RequestHead
from lb.routing.predicates import OnHost, under
from lb.routing.route import EXACT, PREFIX, Alternative, Route
from lb.routing.table import Table


class Miss(NamedTuple):
    """A predicate that does not hold: its key in the file, what it wants, what the request has."""

    predicate: str
    wanted: str
    found: str


class Verdict(NamedTuple):
    """One route. Without `misses` it matches; `won` is true for one of all verdicts at most."""

    route: str
    position: int  # in the file, from 0
    won: bool
    misses: tuple[Miss, ...]


def _concerns(alternative: Alternative, head: RequestHead, client: Client) -> bool:
    """Whether host and path of the request are those of this alternative."""
    if alternative.host and not OnHost((alternative.host,)).holds(head, client):
        return False
    if alternative.kind == EXACT:
        return head.path == alternative.path
    return alternative.kind != PREFIX or under(head.path, alternative.path)


def _precedence(route: Route, head: RequestHead, client: Client) -> tuple[int, ...]:
    """The route's place for this request: that of its best alternative which concerns it, or of its
    best alternative where none does."""
    every = sorted(route.alternatives())
    mine = [a for a in every if _concerns(a, head, client)]
    return (*(mine or every)[0].specificity, route.index)


def explain(table: Table, head: RequestHead, client: Client) -> list[Verdict]:
    """A verdict for every route, in order of precedence for this request: of those without misses the
    first is the winner."""
    winner = table.match(head, client)
    verdicts: list[Verdict] = []
    for route in sorted(table.routes, key=lambda r: _precedence(r, head, client)):
        misses = tuple(
            [
                Miss(predicate.name, predicate.wanted, predicate.found(head, client))
                for predicate in route.predicates
                if not predicate.holds(head, client)
            ]
        )
        verdicts.append(Verdict(route.name, route.index, route.index == winner, misses))
    return verdicts
