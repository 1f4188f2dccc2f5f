"""Fixed responses of a route, ready to send.

Lives here: status, field lines and body, made once. Must not live here: framing (Content-Length,
Connection) and the status line, which belong to the connection (lb.proxy).
"""

from __future__ import annotations

import cython

from lb.plan import RespondPlan
from lb.routing.octets import field_line


@cython.cclass
class Respond:
    """`headers` are finished lines, each ended by CRLF, without framing; `body` is UTF-8."""

    status: cython.int
    headers: bytes
    body: bytes

    def __init__(self, plan: RespondPlan) -> None:
        """ValueError for a status outside 200 to 599, a body where the status forbids one (RFC 9110
        15.3.5, 15.4.5), or a header name that is not allowed."""
        if not 200 <= plan.status <= 599:
            raise ValueError(f"a response has a status from 200 to 599, not {plan.status}")
        if plan.body and plan.status in (204, 205, 304):
            raise ValueError(f"a response with status {plan.status} has no body")
        self.status = plan.status
        self.body = plan.body.encode()
        lines = [field_line(name, value.encode()) for name, value in plan.headers]
        if plan.body and not any(name.lower() == "content-type" for name, _ in plan.headers):
            lines.append(b"content-type: text/plain; charset=utf-8\r\n")
        self.headers = b"".join(lines)
