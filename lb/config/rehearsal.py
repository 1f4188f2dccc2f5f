"""Requests of an access log against two configurations: which go elsewhere.

Lives here: reading JSON lines, and asking two routing tables the same. The table is the one that workers
build, the head is read by the codec that reads clients' requests. Must not live here: text for people
(lb.cli).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from random import Random

import msgspec

from lb.config.loglines import MOST_LINE
from lb.config.routeplan import route_plan
from lb.config.spec import Spec
from lb.http1.request import read_request
from lb.message import Client, RequestHead
from lb.routing.table import Table, build_table

_MOST_FIELDS = 10
_TELL = 1000  # lines between two words of progress


class Line(msgspec.Struct):
    """What a JSON line of the access log says of a request."""

    method: str
    host: str
    target: str
    listener: str = ""
    client: str = ""
    sample: float | None = None


Where = tuple[str, str]  # route, and its service or what it answers


@dataclass
class Replayed:
    """`moved`: by where requests went and where they go, how many; `example` of each. `uncertain`: those for
    which a route that asks for a header or cookie comes into question, which the log does not have; and
    by the names of such routes. `sampled`: lines that stand for others too, which are not counted."""

    requests: int = 0
    bad: int = 0
    sampled: int = 0
    uncertain: int = 0
    uncertain_by: Counter[str] = field(default_factory=Counter)
    moved: Counter[tuple[Where, Where]] = field(default_factory=Counter)
    example: dict[tuple[Where, Where], str] = field(default_factory=dict)

    @property
    def service_changed(self) -> int:
        """Requests that another service, or another answer of lb itself, is for; the other ones that moved
        only match another route."""
        return sum(count for (was, now), count in self.moved.items() if was[1] != now[1])


class Ways:
    """Where the requests of a log go by one Spec."""

    def __init__(self, spec: Spec) -> None:
        self.plans = [route_plan(route) for route in spec.routes]
        self.table: Table = build_table(self.plans)
        self.asking = [
            (plan.name, route)
            for route, plan in zip(self.table.routes, self.plans, strict=True)
            if plan.match.header or plan.match.cookie
        ]

    def where(self, head: RequestHead, client: Client, number: float) -> Where:
        """`number`: 0 ≤ number < 1, which part of a split is meant."""
        at = self.table.match(head, client)
        if at < 0:
            return "", "404"
        route, plan = self.table.routes[at], self.plans[at]
        if route.split is not None:
            return plan.name, plan.services[route.split.choose(number)].service
        if plan.redirect is not None:
            return plan.name, f"redirect {plan.redirect.status} to {plan.redirect.to}"
        return plan.name, "fixed response" if plan.respond is None else f"response {plan.respond.status}"

    def uncertain(self, head: RequestHead, client: Client) -> list[str]:
        """The routes that ask for a header or cookie and hold in all else."""
        return [
            name
            for name, route in self.asking
            if all(
                p.name.startswith(("header ", "cookie ")) or p.holds(head, client) for p in route.predicates
            )
        ]


def replay(
    lines: Iterable[bytes], old: Spec, new: Spec, tell: Callable[[int], None] = lambda done: None
) -> Replayed:
    """Each line against both. A split draws the same number in both. `tell` hears how many are done."""
    before, after = Ways(old), Ways(new)
    found = Replayed()
    decoder = msgspec.json.Decoder(Line)
    head = RequestHead()
    rng = Random(0)
    for done, text in enumerate(lines):
        if done % _TELL == 0:
            tell(done)
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
        found.sampled += line.sample is not None
        if unsure := {*before.uncertain(head, client), *after.uncertain(head, client)}:
            found.uncertain += 1
            found.uncertain_by.update(unsure)
    return found


def _raw(line: Line) -> bytes:
    return f"{line.method} {line.target} HTTP/1.1\r\nhost: {line.host}\r\n\r\n".encode(errors="replace")
