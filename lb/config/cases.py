"""The `tests:` of a configuration: requests, and where they must go.

The request is written as a client would send it and read by the codec that reads clients' requests; the
routing table that matches it is the one that workers build. Nothing is decided here.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from lb.config.spec import CaseSpec, Spec
from lb.http1.request import read_request
from lb.message import Client, RequestHead
from lb.outcomes import TABLE, Outcome
from lb.routing.table import Table

MOST_BYTES = 1 << 20
MOST_FIELDS = 1000


def failures(spec: Spec, table: Table) -> list[tuple[int, str]]:
    """The tests that fail: their index, and what happened instead."""
    found = []
    for index, case in enumerate(spec.tests):
        message = _failure(spec, table, case)
        if message is not None:
            found.append((index, message))
    return found


def _failure(spec: Spec, table: Table, case: CaseSpec) -> str | None:
    head = RequestHead()
    raw = _written(case)
    end = read_request(raw, 0, 0, head, MOST_BYTES, MOST_FIELDS)
    if end <= 0:
        why = TABLE[Outcome(-end)].text if end < 0 else "the request is not complete"
        return f'test failed: "{case.request}" is no request that lb accepts: {why}'
    listener = case.listener or spec.listeners[0].name
    index = table.match(head, Client(case.client_ip, listener))
    wanted = case.expect.route
    got = spec.routes[index].name if index >= 0 else None
    if got != wanted:
        return f'test failed: "{case.request}" goes to {_route(got)}; expected {_route(wanted)}'
    if case.expect.service is not None:
        route = spec.routes[index]
        services = [share.service for share in route.split if share.weight > 0]
        services += [] if route.service is None else [route.service]
        if case.expect.service not in services:
            names = f'service "{", ".join(services)}"' if services else "no service"
            return (
                f'test failed: "{case.request}" goes to route "{got}" and {names}; '
                f'expected service "{case.expect.service}"'
            )
    return None


def _route(name: str | None) -> str:
    return "no route (404)" if name is None else f'route "{name}"'


def _written(case: CaseSpec) -> bytes:
    method, url = case.request.split(" ")
    parts = urlsplit(url)
    path = url[url.index("://") + 3 + len(parts.netloc) :].partition("#")[0]
    if not path.startswith("/"):
        path = f"/{path}"
    lines = [f"{method} {path} HTTP/1.1"]
    if "host" not in case.headers:
        lines.append(f"host: {parts.netloc}")
    lines += [f"{name}: {value}" for name, value in case.headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
