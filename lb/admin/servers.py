"""The endpoints of single servers: what is known of each, in layers, and what operators order.

Lives here: from bodies and paths to orders. Must not live here: keeping orders (lb.control.overrides).

The layers are never mixed: what the file says, what discovery says, what an operator ordered; and apart
from them the effective status that lb makes of all signals.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Annotated

import msgspec
from aiohttp import web

from lb.admin import shapes
from lb.admin.answers import answer, failure
from lb.admin.keys import CONTROL
from lb.admin.view import ControlView
from lb.config.values import duration
from lb.plan import ServerPlan
from lb.telemetry import layout
from lb.telemetry.traffic import CONNECTION_STATES
from lb.upstream.status import Mode, Override

MOST_WEIGHT = 100.0  # times the configured weight

_seconds = duration().check


class OverrideBody(msgspec.Struct, forbid_unknown_fields=True):
    """The body of PUT …/override. `weight`: "50%" or 0.5."""

    mode: Mode = Mode.AUTO
    weight: str | float | None = None
    reason: Annotated[str, msgspec.Meta(max_length=500)] = ""
    author: Annotated[str, msgspec.Meta(max_length=100)] = ""
    for_: str | None = msgspec.field(default=None, name="for")


async def servers(request: web.Request) -> web.Response:
    """All, or those of ?service= and ?address=."""
    control = request.app[CONTROL]
    service, address = request.query.get("service"), request.query.get("address")
    found = [
        _server(control, identity, plan)
        for identity, plan in _known(control).items()
        if service in (None, identity[0]) and address in (None, identity[1])
    ]
    everywhere = None if control.everywhere is None else control.everywhere.standing()
    return answer({"generation": control.generation, "everywhere": everywhere, "servers": found})


async def override(request: web.Request) -> web.Response:
    control, identity = request.app[CONTROL], identity_of(request)
    try:
        wanted = await ordered(request)
    except ValueError as error:
        return failure(400, "bad_request", str(error))
    try:
        control.override(*identity, wanted)
    except LookupError as error:
        return failure(404, "unknown_server", str(error.args[0]))
    return after(control, identity)


async def clear_override(request: web.Request) -> web.Response:
    control, identity = request.app[CONTROL], identity_of(request)
    try:
        control.clear_override(*identity, request.query.get("author", ""))
    except LookupError as error:
        return failure(404, "no_override", str(error.args[0]))
    return after(control, identity)


def identity_of(request: web.Request) -> tuple[str, str]:
    return request.match_info["service"], request.match_info["address"]


async def ordered(request: web.Request) -> Override:
    """What the body orders. Raises ValueError with a sentence for the user."""
    try:
        return _override(msgspec.json.decode(await request.read(), type=OverrideBody), time.time())
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
        example = '{"mode": "drain", "for": "30m", "reason": "deploy", "author": "anna"}'
        raise ValueError(f"the body is not an override such as {example}: {error}") from None


def after(control: ControlView, identity: tuple[str, str]) -> web.Response:
    """The server as it is now."""
    plan = _known(control).get(identity)
    return answer({**_server(control, identity, plan), "saved": control.overrides_saved})


def _override(order: OverrideBody, now: float) -> Override:
    """Raises ValueError with what is wrong."""
    weight = None if order.weight is None else _factor(order.weight)
    if order.mode is Mode.AUTO and weight is None:
        raise ValueError("mode auto without a weight orders nothing; DELETE lifts an override")
    until = 0.0 if order.for_ is None else now + _seconds(order.for_)
    return Override(order.mode, weight, one_line(order.author), one_line(order.reason), now, until)


def _factor(weight: str | float) -> float:
    text = weight.strip() if isinstance(weight, str) else ""
    try:
        factor = float(text.removesuffix("%")) / 100 if text.endswith("%") else float(weight)
    except ValueError:
        factor = -1.0
    if factor == 0:
        raise ValueError("a weight of 0 gives it nothing: drain it")
    if not 0 < factor <= MOST_WEIGHT:  # not a number is neither
        raise ValueError(f'found the weight {weight!r}; expected a share of the configured one such as "50%"')
    return factor


def one_line(text: str) -> str:
    """For logs and terminals: one line, nothing that steers them."""
    return "".join(c if c.isprintable() else " " for c in text).strip()


def _known(control: ControlView) -> dict[tuple[str, str], ServerPlan | None]:
    """Every server of the plan in its order, then those that have an override alone."""
    services = control.plan.services if control.plan is not None else ()
    known: dict[tuple[str, str], ServerPlan | None] = {
        (service.name, server.address): server for service in services for server in service.servers
    }
    everywhere = control.everywhere.all if control.everywhere is not None else {}
    for identity in (*control.overrides, *everywhere):
        known.setdefault(identity, None)
    return known


def _server(control: ControlView, identity: tuple[str, str], plan: ServerPlan | None) -> shapes.Data:
    """`status` and what belongs to it are missing where the plan does not have the server."""
    here = control.overrides.get(identity)
    everywhere = control.everywhere.all.get(identity) if control.everywhere is not None else None
    status = {} if plan is None else dict(control.server_status(*identity))
    layers = status.pop("layers", {"file": None, "discovery": None})
    assert isinstance(layers, Mapping)
    found: shapes.Data = {"service": identity[0], "address": identity[1], **shapes.dated(status)}
    found["layers"] = {
        **layers,
        "override": None if here is None else _shown(here),
        "everywhere": None
        if everywhere is None
        else {**_shown(everywhere.override), "number": everywhere.number},
    }
    block = [0] * layout.SERVER_SIZE if plan is None else control.cells.totals(plan.slot, layout.SERVER_SIZE)
    found["in_flight"] = block[layout.SERVER_IN_FLIGHT]
    found["connections"] = {name: block[at] for name, at in CONNECTION_STATES}
    return found


def _shown(override: Override) -> shapes.Data:
    return {
        "mode": override.mode.value,
        "weight": override.weight,
        "author": override.author,
        "reason": override.reason,
        "since": shapes.moment(override.since),
        "until": shapes.moment(override.until),
    }
