"""One compiled route: its predicates, and what it does with a request that it wins.

Lives here: the order in which predicates are asked, and the (host, path) alternatives with their
specificity. Must not live here: the index over all routes (lb.routing.table).
"""

from __future__ import annotations

from typing import NamedTuple

import cython

from lb.plan import RoutePlan
from lb.routing.edits import HeaderEdits
from lb.routing.predicates import (
    OnClient,
    OnHost,
    OnListener,
    OnMethod,
    OnPath,
    OnPathRegex,
    OnPrefix,
    Predicate,
    prefix_base,
)
from lb.routing.redirect import Redirect
from lb.routing.respond import Respond
from lb.routing.rewrites import Rewrite
from lb.routing.split import Split
from lb.routing.values import OnCookie, OnHeader, OnQuery

# Kinds of a path alternative, in order of precedence
EXACT = 0
PREFIX = 1
REGEX = 2
ANY = 3


class RouteError(ValueError):
    """A route that cannot be compiled; the text names the route and what is wrong with it."""


class Alternative(NamedTuple):
    """One (host, path) pair of a route. `specificity` sorts the more specific first; the order in the
    file is not part of it. `host` is "" and `path` b"" where the route does not ask; `path` is the base
    of a prefix."""

    specificity: tuple[int, ...]
    host: str
    kind: int
    path: bytes


@cython.cclass
class Route:
    """`index` is the place in the file. Of `split`, `redirect` and `respond` exactly one is
    present. `rewrite`, `request_edits` and `response_edits` are None where the route has none.
    """

    plan: RoutePlan
    name: str
    index: cython.Py_ssize_t
    predicates: list[Predicate]  # all of them, in the order of the configuration reference
    others: list[Predicate]  # those that are neither host nor path
    regexes: cython.Py_ssize_t  # how many were compiled: what a route costs to build
    split: Split | None
    redirect: Redirect | None
    respond: Respond | None
    rewrite: Rewrite | None
    request_edits: HeaderEdits | None
    response_edits: HeaderEdits | None

    def __init__(self, plan: RoutePlan, index: int) -> None:
        """RouteError where a regular expression, a template or a header of the plan is not valid."""
        self.plan = plan
        self.name = plan.name
        self.index = index
        try:
            self._predicates(plan)
            self.split = Split(plan.services) if plan.services else None
            self.redirect = None if plan.redirect is None else Redirect(plan.redirect)
            self.respond = None if plan.respond is None else Respond(plan.respond)
            self.rewrite = None if plan.rewrite is None else Rewrite(plan.rewrite)
            edits = plan.request_headers
            self.request_edits = None if edits is None else HeaderEdits(edits)
            edits = plan.response_headers
            self.response_edits = None if edits is None else HeaderEdits(edits)
        except ValueError as problem:
            raise RouteError(f"route {plan.name!r}: {problem}") from None

    def _predicates(self, plan: RoutePlan) -> None:
        match = plan.match
        if bool(match.path) + bool(match.path_prefix) + bool(match.path_regex) > 1:
            raise ValueError("only one of path, path_prefix and path_regex can be asked for")
        where: list[Predicate] = []
        if match.host:
            where.append(OnHost(match.host))
        if match.path:
            where.append(OnPath(match.path))
        if match.path_prefix:
            where.append(OnPrefix(match.path_prefix))
        if match.path_regex:
            where.append(OnPathRegex(match.path_regex))
        # The cheap ones first: the order cannot change the result, only what it costs.
        others: list[Predicate] = []
        if match.listener:
            others.append(OnListener(match.listener))
        if match.method:
            others.append(OnMethod(match.method))
        if match.client_ip:
            others.append(OnClient(match.client_ip))
        others.extend([OnHeader(value) for value in match.header])
        others.extend([OnQuery(value) for value in match.query])
        others.extend([OnCookie(value) for value in match.cookie])
        self.others = others
        self.predicates = where + others
        values = match.header + match.query + match.cookie
        self.regexes = len(match.path_regex) + sum([v.regex is not None for v in values])
        self.regexes += plan.rewrite is not None and plan.rewrite.regex is not None

    def alternatives(self) -> list[Alternative]:
        """Every (host, path) pair, each with its own specificity. All regular expressions of a route
        are one alternative: none is more specific than another."""
        plan = self.plan
        match = plan.match
        paths: list[tuple[int, bytes]]
        if match.path:
            paths = [(EXACT, p.encode()) for p in match.path]
        elif match.path_prefix:
            paths = [(PREFIX, prefix_base(p)) for p in match.path_prefix]
        else:
            paths = [(REGEX if match.path_regex else ANY, b"")]
        found: list[Alternative] = []
        for host in match.host or ("",):
            # exact, then the longest wildcard, then none
            if not host:
                rank = (2, 0)
            elif host.startswith("*."):
                rank = (1, -len(host))
            else:
                rank = (0, 0)
            for kind, path in paths:
                length = len(path) if kind == PREFIX else 0
                specificity = (-plan.priority, *rank, kind, -length, -len(self.others))
                found.append(Alternative(specificity, host, kind, path))
        return found
