"""Routes that ask for the same host and path: which of them, by their other predicates.

Lives here: the candidates of one place in the index in order of rank, those that ask for a named value
(a header, a parameter, a cookie) found by that value. Must not live here: hosts and paths
(lb.routing.places).
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Sequence

import cython

from lb.message import Client, RequestHead
from lb.routing.predicates import Predicate
from lb.routing.values import OnValue

NOTHING = 1 << 62  # a rank behind all others


@cython.cclass
class Candidate:
    """One alternative of a route. `rank` is unique to the route, lower comes first; `checks` are the
    predicates that the index has not answered already."""

    rank: cython.longlong
    checks: list[Predicate]

    def __init__(self, rank: int, checks: list[Predicate]) -> None:
        self.rank = rank
        self.checks = checks


def _add(candidates: list[Candidate], candidate: Candidate) -> None:
    """Keep a list of candidates in order of rank."""
    candidates.insert(bisect(candidates, candidate.rank, key=lambda c: c.rank), candidate)


@cython.cfunc
def _first(
    candidates: list[Candidate], head: RequestHead, client: Client, best: cython.longlong
) -> cython.longlong:
    """The rank of the first candidate that holds, or `best` where none before it does."""
    candidate: Candidate
    check: Predicate
    for candidate in candidates:
        if candidate.rank >= best:
            break
        for check in candidate.checks:
            if not check.holds(head, client):
                break
        else:
            return candidate.rank
    return best


@cython.cclass
class Keyed:
    """Candidates that ask for exact values of one name: found by the request's value, so that a route
    for each of thousands of tenants costs one look-up."""

    of: OnValue
    best: cython.longlong  # the best rank in here
    by_value: dict[bytes, list[Candidate]]

    def __init__(self, of: OnValue) -> None:
        self.of = of
        self.best = NOTHING
        self.by_value = {}


@cython.cclass
class Candidates:
    """All candidates of one place in the index."""

    keyed: list[Keyed]
    others: list[Candidate]  # those that ask for no exact value

    def __init__(self) -> None:
        self.keyed = []
        self.others = []

    def add(self, rank: int, checks: Sequence[Predicate]) -> None:
        for check in checks:
            if isinstance(check, OnValue) and check.exact:
                candidate = Candidate(rank, [each for each in checks if each is not check])
                keyed = self._keyed(check)
                keyed.best = min(keyed.best, rank)
                for value in check.exact:
                    _add(keyed.by_value.setdefault(value, []), candidate)
                return
        _add(self.others, Candidate(rank, list(checks)))

    def _keyed(self, of: OnValue) -> Keyed:
        for keyed in self.keyed:
            if keyed.of.name == of.name:
                return keyed
        self.keyed.append(Keyed(of))
        return self.keyed[-1]

    @cython.ccall
    def first(self, head: RequestHead, client: Client, best: cython.longlong) -> cython.longlong:
        """The best rank of a candidate that holds, or `best` where none is better."""
        keyed: Keyed
        found: object
        for keyed in self.keyed:
            if keyed.best < best:
                found = keyed.by_value.get(keyed.of.value(head))  # type: ignore[call-overload]
                if found is not None:
                    best = _first(found, head, client, best)  # type: ignore[arg-type]
        return _first(self.others, head, client, best)
