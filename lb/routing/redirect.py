"""Redirects: the Location of a route that sends clients elsewhere.

Lives here: the template of the location and what makes its values harmless. Must not live here: the
rest of the response (lb.proxy).
"""

from __future__ import annotations

import cython

from lb.message import RequestHead
from lb.plan import RedirectPlan
from lb.routing.octets import quoted, single_slash
from lb.routing.template import Template, Variables

ALLOWED = ("path", "query", "host", "scheme", "uri")


@cython.cclass
class Redirect:
    """`status` 3xx; `location` per request. `${query}` is without "?", `${uri}` is path?query. A "?" before a
    final `${query}` goes where the request has none."""

    status: cython.int
    _template: Template
    _variables: Variables
    _local: cython.bint  # the location names no host: it must not begin to through client input
    _asks: cython.bint  # it ends with ?${query}

    def __init__(self, plan: RedirectPlan) -> None:
        """ValueError for an unknown variable, or a status that does not redirect."""
        if plan.status not in (301, 302, 303, 307, 308):
            raise ValueError(f"a redirect has the status 301, 302, 303, 307 or 308, not {plan.status}")
        self.status = plan.status
        to = plan.to
        self._local = to.startswith(("${path}", "${uri}")) or (to[:1] == "/" and to[1:2] not in ("/", "\\"))
        self._asks = to.endswith("?${query}")
        self._template = Template(to, ALLOWED)
        self._template.parts = [
            quoted(part, True) if isinstance(part, bytes) else part for part in self._template.parts
        ]
        if self._template.literal is not None:
            self._template.literal = self._template.parts[0]
        self._variables = Variables()

    @cython.ccall
    def location(self, head: RequestHead, scheme: bytes) -> bytes:
        """The value of Location: bytes that are legal in a URI, no others."""
        values: Variables = self._variables
        location: bytes
        if self._template.literal is None:
            values.host = quoted(head.host, False)
            values.scheme = scheme
            # "OPTIONS *" has no path to go to.
            values.path = b"/" if head.path == b"*" else quoted(head.path, False)
            values.query = b""
            values.uri = values.path
            if head.query is not None:
                values.query = quoted(head.query, False)
                values.uri = b"%b?%b" % (values.path, values.query)
        location = self._template.render(values)
        if self._asks and head.query is None:
            location = location[:-1]
        return single_slash(location) if self._local else location
