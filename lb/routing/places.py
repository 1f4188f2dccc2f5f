"""The index below one host: exact paths, prefixes by segment, regular expressions, and the rest.

Lives here: Segment (the tree of prefixes) and Place (what all candidates of one host, wildcard or of no
host share). Must not live here: hosts, and how ranks come about (lb.routing.table); the choice among
routes that ask for the same host and path (lb.routing.candidates).
"""

from __future__ import annotations

from collections.abc import Sequence

import cython

from lb.message import Client, RequestHead
from lb.routing.candidates import NOTHING, Candidates
from lb.routing.predicates import Predicate
from lb.routing.route import EXACT, PREFIX, REGEX

SLASH: cython.int = 47


@cython.cclass
class Segment:
    """One segment in the tree of prefixes. The way down costs one look-up for each segment that some
    prefix shares with the path, so a hostile path (8 KiB of slashes) ends where the prefixes end."""

    above: Segment | None
    below: dict[bytes, Segment]
    longest: cython.Py_ssize_t  # of the segments below, in bytes: no longer one is ever cut out
    candidates: Candidates | None

    def __init__(self, above: Segment | None) -> None:
        self.above = above
        self.below = {}
        self.longest = 0
        self.candidates = None

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
    exact: dict[bytes, Candidates]
    prefixes: Segment | None
    regexes: Candidates | None
    rest: Candidates | None  # without a predicate on the path

    def __init__(self) -> None:
        self.best = NOTHING
        self.exact = {}
        self.prefixes = self.regexes = self.rest = None

    def add(self, kind: int, path: bytes, rank: int, checks: Sequence[Predicate]) -> None:
        """`kind` and `path` as in lb.routing.route.Alternative."""
        self.best = min(self.best, rank)
        if kind == EXACT:
            found = self.exact.setdefault(path, Candidates())
        elif kind == PREFIX:
            self.prefixes = self.prefixes or Segment(None)
            segment = self.prefixes.grow(path)
            found = segment.candidates = segment.candidates or Candidates()
        elif kind == REGEX:
            found = self.regexes = self.regexes or Candidates()
        else:
            found = self.rest = self.rest or Candidates()
        found.add(rank, checks)

    @cython.ccall
    def search(self, head: RequestHead, client: Client, best: cython.longlong) -> cython.longlong:
        """The best rank of a candidate that holds, or `best` where none is better. Looks in order of
        precedence, so that, priorities aside, the first find ends it."""
        path: bytes = head.path
        here: Segment | None
        found: Candidates | None
        if self.best >= best:
            return best
        if self.exact:
            found = self.exact.get(path)
            if found is not None:
                best = found.first(head, client, best)
        if self.prefixes is not None and path.startswith(b"/"):
            here = self.prefixes.deepest(path)
            while here is not None:
                if here.candidates is not None:
                    best = here.candidates.first(head, client, best)
                here = here.above
        if self.regexes is not None:
            best = self.regexes.first(head, client, best)
        if self.rest is not None:
            best = self.rest.first(head, client, best)
        return best
