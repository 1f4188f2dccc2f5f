"""Routes and requests for the tests of this room, in a word each. Requests go through the real codec."""

from __future__ import annotations

from typing import Any

from lb.http1.fields import read_fields
from lb.http1.request import read_request
from lb.message import Client, RequestHead
from lb.plan import MatchPlan, RoutePlan, ValuePlan, WeightedService

APP = (WeightedService("app", 1),)
LOCAL = Client("127.0.0.1", "web")


def request(
    target: str = "/", host: str = "example.com", method: str = "GET", lines: str = ""
) -> RequestHead:
    """A request; `lines` are more field lines, "name: value" separated by newlines."""
    more = "".join(f"{line}\r\n" for line in lines.splitlines())
    raw = f"{method} {target} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n".encode()
    head = RequestHead()
    assert read_request(raw, 0, 0, head, 1 << 20, 1000) == len(raw), f"the codec refuses {raw!r}"
    return head


def bare(
    host: bytes, path: bytes, query: bytes | None = None, method: bytes = b"GET", lines: bytes = b""
) -> RequestHead:
    """A head with any path at all, also one that the codec refuses; `lines` are whole field lines."""
    head = RequestHead()
    head.host = head.authority = host
    head.path = path
    head.query = query
    head.target = path if query is None else path + b"?" + query
    head.method = method
    head.raw = lines + b"\r\n"
    head.end = len(head.raw)
    assert read_fields(head.raw, 0, head.end, head, 1000) == head.end, f"the codec refuses {lines!r}"
    return head


def route(name: str = "r", priority: int = 0, **match: Any) -> RoutePlan:
    return RoutePlan(name, MatchPlan(**match), priority=priority, services=APP)


def one(name: str, *exact: str) -> tuple[ValuePlan, ...]:
    return (ValuePlan(name, exact=exact),)
