"""Requests of an access log against two configurations: which go elsewhere.

Lives here: reading JSON lines, and asking two routing tables the same. The table is the one that workers
build, the head is read by the codec that reads clients' requests. Must not live here: text for people
(lb.cli).
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import msgspec

from lb.config.routeplan import route_plan
from lb.config.spec import Spec
from lb.http1.request import read_request
from lb.message import Client, RequestHead
from lb.routing.table import Table, build_table

MOST_LINE = 64 * 1024  # bytes; a longer line is a bad one
_MOST_FIELDS = 10


class Line(msgspec.Struct):
    """What a JSON line of the access log says of a request."""

    method: str
    host: str
    target: str
    listener: str = ""
    client: str = ""


Where = tuple[str, str]  # route, and its service or what it answers


@dataclass
class Replayed:
    """`moved`: by where requests went and where they go, how many; `example` of each. `uncertain`: requests
    for which a route that asks for a header or cookie comes into question: the log has neither."""

    requests: int = 0
    bad: int = 0
    uncertain: int = 0
    moved: Counter[tuple[Where, Where]] = field(default_factory=Counter)
    example: dict[tuple[Where, Where], str] = field(default_factory=dict)


class Ways:
    """Where the requests of a log go by one Spec."""

    def __init__(self, spec: Spec) -> None:
        self.plans = [route_plan(route) for route in spec.routes]
        self.table: Table = build_table(self.plans)
        self.unknown = [bool(plan.match.header or plan.match.cookie) for plan in self.plans]
        self.asking = [
            route for route, unknown in zip(self.table.routes, self.unknown, strict=True) if unknown
        ]

    def where(self, head: RequestHead, client: Client, number: float) -> Where:
        """`number`: 0 ≤ number < 1, which part of a split is meant."""
        at = self.table.match(head, client)
        if at < 0:
            return "", "404"
        route, plan = self.table.routes[at], self.plans[at]
        if route.split is not None:
            return plan.name, plan.services[route.split.choose(number)].service
        return plan.name, "redirect" if plan.redirect is not None else "fixed response"

    def uncertain(self, head: RequestHead, client: Client) -> bool:
        """Whether a route that asks for a header or cookie holds in all else."""
        return any(
            all(p.name.startswith(("header ", "cookie ")) or p.holds(head, client) for p in route.predicates)
            for route in self.asking
        )


def last_lines(path: Path, most: int) -> Iterator[bytes]:
    """The last `most` lines of a log. Raises OSError."""
    with path.open("rb") as file:
        yield from deque(file, most)


def replay(lines: Iterable[bytes], old: Spec, new: Spec) -> Replayed:
    """Each line against both. A split draws the same number in both."""
    before, after = Ways(old), Ways(new)
    found = Replayed()
    decoder = msgspec.json.Decoder(Line)
    head = RequestHead()
    rng = Random(0)
    for text in lines:
        try:
            line = decoder.decode(text) if len(text) <= MOST_LINE else None
        except msgspec.MsgspecError:
            line = None
        raw = b"" if line is None else _raw(line)
        if line is None or read_request(raw, 0, 0, head, 2 * MOST_LINE, _MOST_FIELDS) != len(raw):
            found.bad += 1
            continue
        client = Client(line.client, line.listener)
        number = rng.random()
        found.requests += 1
        pair = before.where(head, client, number), after.where(head, client, number)
        if pair[0] != pair[1]:
            found.moved[pair] += 1
            found.example.setdefault(pair, f"{line.method} {line.host}{line.target}")
        found.uncertain += before.uncertain(head, client) or after.uncertain(head, client)
    return found


def _raw(line: Line) -> bytes:
    return f"{line.method} {line.target} HTTP/1.1\r\nhost: {line.host}\r\n\r\n".encode(errors="replace")
