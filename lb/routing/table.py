"""All routes of a generation, indexed: which route gets a request.

Lives here: precedence (docs/routing.md) as one number a candidate, the index by host, and `match`. Must
not live here: what a predicate is (lb.routing.predicates), why a route lost (lb.routing.explain).
"""

from __future__ import annotations

from collections.abc import Generator, Sequence

import cython

from lb.message import Client, RequestHead
from lb.plan import RoutePlan
from lb.routing.candidates import NOTHING
from lb.routing.places import Place
from lb.routing.predicates import OnPathRegex
from lb.routing.route import Alternative, Route

_NOTHING: cython.longlong = NOTHING
SLICE = 100  # units of work between two yields; a unit is a few tens of µs
REGEX_WORK = 20  # units to compile one regular expression


@cython.cclass
class Table:
    """Immutable once built. `routes` are in the order of the file."""

    routes: list[Route]
    hosts: dict[bytes, Place]
    wildcards: dict[bytes, Place]  # by suffix, ".example.com"
    longest: cython.Py_ssize_t  # of the suffixes, in bytes
    anywhere: Place

    def __init__(self, routes: list[Route]) -> None:
        self.routes = routes
        self.hosts = {}
        self.wildcards = {}
        self.longest = 0
        self.anywhere = Place()

    @cython.ccall
    def match(self, head: RequestHead, client: Client) -> cython.Py_ssize_t:
        """The index of the route that wins, in the order of the file; -1 where none matches."""
        best: cython.longlong = _NOTHING
        host: bytes = head.host
        place: Place | None = self.hosts.get(host)
        at: cython.Py_ssize_t
        size: cython.Py_ssize_t
        if place is not None:
            best = place.search(head, client, best)
        if self.wildcards:
            size = len(host)
            # One label or more in front of the suffix; the longest suffix first.
            at = max(1, size - self.longest)
            while at < size:
                if host[at] == 46:  # "."
                    place = self.wildcards.get(host[at:])
                    if place is not None:
                        best = place.search(head, client, best)
                at += 1
        best = self.anywhere.search(head, client, best)
        return -1 if best == _NOTHING else best % len(self.routes)

    def place(self, host: str) -> Place:
        """Where the candidates of a host of a plan belong; made when missing."""
        if not host:
            return self.anywhere
        if host.startswith("*."):
            suffix = host[1:].encode()
            self.longest = max(self.longest, len(suffix))
            return self.wildcards.setdefault(suffix, Place())
        return self.hosts.setdefault(host.encode(), Place())

    def insert(self, route: Route, alternative: Alternative, rank: int) -> None:
        # The index answers for host and path, but for a regular expression, which is asked like the others.
        asked = [p for p in route.predicates if isinstance(p, OnPathRegex)] + route.others
        self.place(alternative.host).add(alternative.kind, alternative.path, rank, asked)


def build_table(routes: Sequence[RoutePlan]) -> Table:
    """Compile all routes at once. RouteError names the first route that cannot be compiled."""
    steps = build_steps(routes)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            table: Table = end.value
            return table


def build_steps(routes: Sequence[RoutePlan]) -> Generator[None, None, Table]:
    """The same in slices: yields after about 100 routes (a few milliseconds), so that a loop which
    drives it never stalls. The table is the generator's return value."""
    compiled: list[Route] = []
    alternatives: list[list[Alternative]] = []
    keys: set[tuple[int, ...]] = set()
    work = 0
    for index, plan in enumerate(routes):
        route = Route(plan, index)
        compiled.append(route)
        alternatives.append(route.alternatives())
        keys.update([a.specificity for a in alternatives[index]])
        work += 1 + len(alternatives[index]) + REGEX_WORK * route.regexes
        if work >= SLICE:
            work = 0
            yield
    # Routes of equal specificity are told apart by their order in the file, so only the different
    # specificities are sorted: a few, however many the routes.
    order = {key: place * len(compiled) for place, key in enumerate(sorted(keys))}
    table = Table(compiled)
    for route in compiled:
        for alternative in alternatives[route.index]:
            table.insert(route, alternative, order[alternative.specificity] + route.index)
        work += 1 + len(alternatives[route.index])
        if work >= SLICE:
            work = 0
            yield
    return table
