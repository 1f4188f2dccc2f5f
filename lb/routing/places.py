"""The index below one host: exact paths, prefixes by segment, regular expressions, and the rest.

Lives here: Candidate (one alternative of a route with its rank), Segment (the tree of prefixes) and
Place (what all candidates of one host, wildcard or of no host share). Must not live here: hosts, and
how ranks come about (lb.routing.table).
"""

from __future__ import annotations

from bisect import bisect

import cython

from lb.message import Client, RequestHead
from lb.routing.predicates import Predicate

SLASH: cython.int = 47


@cython.cclass
class Candidate:
    """One alternative of a route. `rank` is unique, 0 the first in precedence; `checks` are the
    predicates that the index has not answered already."""

    rank: cython.longlong
    checks: list[Predicate]

    def __init__(self, rank: int, checks: list[Predicate]) -> None:
        self.rank = rank
        self.checks = checks


def add(candidates: list[Candidate], candidate: Candidate) -> None:
    """Keep a list of candidates in order of rank."""
    at = bisect(candidates, candidate.rank, key=lambda c: c.rank)
    candidates.insert(at, candidate)


@cython.ccall
def first(
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
class Segment:
    """One segment in the tree of prefixes. The way down costs one look-up for each segment that some
    prefix shares with the path, so a hostile path (8 KiB of slashes) ends where the prefixes end."""

    above: Segment | None
    below: dict[bytes, Segment]
    longest: cython.Py_ssize_t  # of the segments below, in bytes: no longer one is ever cut out
    candidates: list[Candidate]

    def __init__(self, above: Segment | None) -> None:
        self.above = above
        self.below = {}
        self.longest = 0
        self.candidates = []

    def grow(self, base: bytes) -> Segment:
        """The segment that stands for a prefix's base (lb.routing.predicates.prefix_base)."""
        here: Segment = self
        for part in base.split(b"/")[1:]:
            step = here.below.get(part)
            if step is None:
                step = Segment(here)
                here.below[part] = step
                here.longest = max(here.longest, len(part))
            here = step
        return here

    @cython.ccall
    def deepest(self, path: bytes) -> Segment:
        """The last segment on the path's way through the tree; `path` begins with "/"."""
        here: Segment = self
        step: Segment | None
        size: cython.Py_ssize_t = len(path)
        at: cython.Py_ssize_t = 1
        end: cython.Py_ssize_t
        stop: cython.Py_ssize_t
        while here.below:
            end = at
            stop = min(size, at + here.longest + 1)
            while end < stop and path[end] != SLASH:
                end += 1
            if end - at > here.longest:
                break
            step = here.below.get(path[at:end])
            if step is None:
                break
            here = step
            if end >= size:
                break
            at = end + 1
        return here


@cython.cclass
class Place:
    """All candidates of one host name, one wildcard, or of no host."""

    best: cython.longlong  # the best rank in here
    exact: dict[bytes, list[Candidate]]
    prefixes: Segment
    regexes: list[Candidate]
    rest: list[Candidate]  # without a predicate on the path

    def __init__(self) -> None:
        self.best = 1 << 62
        self.exact = {}
        self.prefixes = Segment(None)
        self.regexes = []
        self.rest = []

    @cython.ccall
    def search(self, head: RequestHead, client: Client, best: cython.longlong) -> cython.longlong:
        """The best rank of a candidate that holds, or `best` where none is better. Looks in order of
        precedence, so that all but priorities end it at the first find."""
        path: bytes = head.path
        here: Segment | None
        found: object
        if self.best >= best:
            return best
        if self.exact:
            found = self.exact.get(path)
            if found is not None:
                best = first(found, head, client, best)
        if path.startswith(b"/"):
            here = self.prefixes.deepest(path)
            while here is not None:
                if here.candidates:
                    best = first(here.candidates, head, client, best)
                here = here.above
        if self.regexes:
            best = first(self.regexes, head, client, best)
        if self.rest:
            best = first(self.rest, head, client, best)
        return best
