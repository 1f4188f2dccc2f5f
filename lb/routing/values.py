"""Predicates on named values: a header, a query parameter, a cookie.

Lives here: how a value is compared (exact alternatives, a regular expression, presence), the same for
all three. Must not live here: how a value is found (lb.message, lb.fields).
"""

from __future__ import annotations

import cython

from lb.fields import cookie, query
from lb.message import Client, RequestHead
from lb.plan import ValuePlan
from lb.routing.predicates import Predicate, compiled_regex


@cython.cclass
class OnValue(Predicate):
    """Base: a subclass says where the value is. Exact values compare as UTF-8 bytes; a regular
    expression searches the bytes decoded as Latin-1."""

    key: bytes
    exact: frozenset[bytes]
    regex: object
    presence: cython.int  # 1: must be there, 0: must not, -1: not asked

    def __init__(self, kind: str, plan: ValuePlan) -> None:
        self.key = plan.name.encode()
        self.exact = frozenset([v.encode() for v in plan.exact])
        self.regex = None if plan.regex is None else compiled_regex(plan.regex)
        self.presence = -1 if plan.present is None else int(plan.present)
        if plan.present is not None:
            wanted = "present" if plan.present else "absent"
        elif plan.regex is not None:
            wanted = f"matches {plan.regex}"
        else:
            wanted = " | ".join(plan.exact)
        Predicate.__init__(self, f"{kind} {plan.name}", wanted)

    @cython.ccall
    def value(self, head: RequestHead) -> object:
        """The value (bytes) in the request, or None."""
        raise NotImplementedError(f"{type(self).__name__} must define value(head)")

    @cython.ccall
    def holds(self, head: RequestHead, client: Client) -> cython.bint:
        value: object = self.value(head)
        if self.presence >= 0:
            return (value is not None) == (self.presence == 1)
        if value is None:
            return False
        if self.regex is not None:
            return self.regex.search(value.decode("latin-1")) is not None  # type: ignore[attr-defined]
        return value in self.exact

    @cython.ccall
    def found(self, head: RequestHead, client: Client) -> str:
        value: object = self.value(head)
        return "(absent)" if value is None else value.decode("utf-8", "backslashreplace")  # type: ignore[attr-defined]


@cython.cclass
class OnHeader(OnValue):
    """Several lines of one name count as one value, joined by ", " (RFC 9110 5.3)."""

    def __init__(self, plan: ValuePlan) -> None:
        OnValue.__init__(self, "header", plan)

    @cython.ccall
    def value(self, head: RequestHead) -> object:
        return head.header(self.key)


@cython.cclass
class OnQuery(OnValue):
    """The first parameter of the name counts."""

    def __init__(self, plan: ValuePlan) -> None:
        OnValue.__init__(self, "query", plan)

    @cython.ccall
    def value(self, head: RequestHead) -> object:
        return query(head, self.key)


@cython.cclass
class OnCookie(OnValue):
    """The first cookie of the name counts."""

    def __init__(self, plan: ValuePlan) -> None:
        OnValue.__init__(self, "cookie", plan)

    @cython.ccall
    def value(self, head: RequestHead) -> object:
        return cookie(head, self.key)
