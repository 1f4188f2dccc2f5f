"""The endpoints of what happened to requests: the list, and those of one id.

Lives here: the questions. Must not live here: keeping (lb.control.kept), the stream (lb.admin.tail),
sentences for people (lb.cli.why).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
from aiohttp import web

from lb.admin.answers import answer, failure, preferred
from lb.admin.events import STREAM
from lb.admin.happened import shape
from lb.admin.keys import CONTROL
from lb.admin.shapes import Data, moment
from lb.admin.tail import tail
from lb.admin.view import ControlView
from lb.outcomes import blamed
from lb.telemetry import layout
from lb.telemetry.condition import Condition, read_condition
from lb.telemetry.decision import Decision, Kept

LIMIT, MOST = 100, 1000  # requests in an answer: by default, and at most
RATE = 10  # requests a second of a stream by default
PIECE = 500  # that are looked at before the loop gets to other things

_decoder = msgspec.msgpack.Decoder(Decision)


async def requests(request: web.Request) -> web.StreamResponse:
    """?condition=WORDS (lb.telemetry.condition) and ?limit=; of a stream ?rate=."""
    try:
        limit, rate = _number(request, "limit", LIMIT), _number(request, "rate", RATE)
        condition = read_condition(request.query.get("condition", ""))
    except ValueError as error:
        return failure(400, "bad_request", str(error))
    streamed = preferred(request.headers.get("Accept", ""), "application/json", STREAM) == STREAM
    if streamed and request.method == "GET":
        return await tail(request, condition, rate)
    control = request.app[CONTROL]
    kept = control.kept_decisions()
    found: list[Data] = []
    async for encoded in _slowly(kept):
        decision = _decoder.decode(encoded)
        if _means(condition, decision):
            found.append(shape(decision))
            if len(found) == limit:
                break
    dropped = control.cells.total(layout.WORKER_DECISIONS_DROPPED)
    return answer({"requests": found, "kept": len(kept), "dropped": dropped})


def _number(request: web.Request, name: str, default: int) -> int:
    """Raises ValueError with a sentence."""
    found = request.query.get(name, str(default))
    if not (found.isascii() and found.isdigit() and len(found) <= 9 and 1 <= int(found) <= MOST):
        raise ValueError(f"found {name}={found[:40]!r}; expected 1 to {MOST}")
    return int(found)


async def one(request: web.Request) -> web.Response:
    """All of an id, the newest first: a client may send one more than once."""
    wanted = request.match_info["id"]
    control = request.app[CONTROL]
    kept = control.kept_decisions()
    sought = wanted.encode("utf-8", "replace")
    found: list[Data] = []
    async for encoded in _slowly(kept):
        if sought in encoded and (decision := _decoder.decode(encoded)).request_id == wanted:
            found.append(shape(decision))
            if len(found) == MOST:
                break
    if not found:
        return failure(404, "not_found", _absent(control, wanted, kept))
    return answer({"requests": found})


async def _slowly(kept: list[bytes]) -> AsyncIterator[bytes]:
    for number, encoded in enumerate(kept, 1):
        yield encoded
        if number % PIECE == 0:
            await asyncio.sleep(0)


def _means(condition: Condition, one: Decision) -> bool:
    return condition.holds(
        (one.route, one.service, one.server), one.method, one.target, one.client, one.status, one.duration,
        blamed(one.outcome) if one.kept & Kept.FAILED else "",
    )  # fmt: skip


def _absent(control: ControlView, wanted: str, kept: list[bytes]) -> str:
    """Why there may be nothing of an id."""
    said = [f"nothing is kept of a request {wanted[:100]!r}"]
    if control.plan is not None:
        rules = control.plan.decisions
        kinds = ["failed ones"]
        if rules.slow:
            kinds.append(f"those of {rules.slow:g}s or more")
        if rules.sample:
            kinds.append(f"a sample of {rules.sample * 100:g}% of all")
        said.append(f"kept are {', '.join(kinds)} (decisions in the configuration)")
    if kept:
        said.append(f"of those the last {len(kept)}, back to {moment(_decoder.decode(kept[-1]).time)}")
    if dropped := control.cells.total(layout.WORKER_DECISIONS_DROPPED):
        said.append(f"{dropped} were too many at a time")
    if died := sum(worker.restarts for worker in control.workers()):
        said.append(f"what was under way in a worker that died is lost ({died} died)")
    return "; ".join(said)
