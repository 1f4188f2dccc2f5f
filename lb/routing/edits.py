"""Edits of header fields: which lines go, which come.

Lives here: the `request_headers` and `response_headers` of a route, compiled. `set` replaces all lines
of a name, `add` appends one, `remove` drops all. Must not live here: hop-by-hop rules (lb.http1) and
the assembly of heads (lb.proxy).
"""

from __future__ import annotations

import cython

from lb.plan import HeaderEditsPlan
from lb.routing.octets import cleaned, field_line, field_name
from lb.routing.template import Template, Variables

ALLOWED = ("client_ip", "host", "path", "scheme", "request_id")


@cython.cclass
class HeaderEdits:
    """Drop all lines whose name is in `drops` (lower case), then append `lines(…)`; where `constant`
    is not None, append that and spare the variables."""

    drops: frozenset[bytes]
    constant: object  # bytes, or None where a value depends on the request
    _names: list[bytes]  # b"name: "
    _values: list[Template]

    def __init__(self, plan: HeaderEditsPlan) -> None:
        """ValueError for a name or a variable that is not allowed."""
        self.drops = frozenset([field_name(n) for n, _ in plan.set] + [field_name(n) for n in plan.remove])
        self._names = []
        self._values = []
        for name, value in plan.set + plan.add:
            self._names.append(field_name(name) + b": ")
            self._values.append(Template(value, ALLOWED))
        self.constant = None
        if all(value.literal is not None for value in self._values):
            self.constant = b"".join(
                [field_line(name, value.encode()) for name, value in plan.set + plan.add]
            )

    @cython.ccall
    def lines(self, variables: Variables) -> bytes:
        """The lines to append, each ended by CRLF; values without control characters."""
        out: list[bytes]
        value: Template
        at: cython.Py_ssize_t
        if self.constant is not None:
            return self.constant  # type: ignore[return-value]
        out = []
        for at in range(len(self._names)):
            value = self._values[at]
            out.append(self._names[at])
            out.append(cleaned(value.render(variables)).strip(b" \t"))
            out.append(b"\r\n")
        return b"".join(out)
