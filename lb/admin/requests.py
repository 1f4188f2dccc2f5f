"""The endpoints of what happened to requests: the list, and those of one id.

Lives here: the questions, and a Decision as JSON-ready data. Must not live here: keeping (lb.control.kept),
sentences for people (lb.cli.why).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
from aiohttp import web

from lb.admin.answers import answer, failure
from lb.admin.keys import CONTROL
from lb.admin.shapes import Data, moment
from lb.admin.view import ControlView
from lb.decisions import Select
from lb.outcomes import Outcome
from lb.telemetry import layout
from lb.telemetry.condition import Condition, read_condition
from lb.telemetry.decision import Attempt, Decision, Kept

LIMIT, MOST = 100, 1000  # requests in an answer: by default, and at most
PIECE = 500  # that are looked at before the loop gets to other things

_decoder = msgspec.msgpack.Decoder(Decision)


async def requests(request: web.Request) -> web.Response:
    """?condition=WORDS (lb.telemetry.condition) and ?limit=."""
    limit = request.query.get("limit", str(LIMIT))
    if not (limit.isascii() and limit.isdigit() and len(limit) <= 9 and 1 <= int(limit) <= MOST):
        return failure(400, "bad_request", f"found limit={limit[:40]!r}; expected 1 to {MOST}")
    try:
        condition = read_condition(request.query.get("condition", ""))
    except ValueError as error:
        return failure(400, "bad_request", str(error))
    control = request.app[CONTROL]
    kept = control.kept_decisions()
    found: list[Data] = []
    async for encoded in _slowly(kept):
        decision = _decoder.decode(encoded)
        if _means(condition, decision):
            found.append(shape(decision))
            if len(found) == int(limit):
                break
    dropped = control.cells.total(layout.WORKER_DECISIONS_DROPPED)
    return answer({"requests": found, "kept": len(kept), "dropped": dropped})


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
        bool(one.kept & Kept.FAILED),
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


def shape(one: Decision) -> Data:
    """Seconds; null: unknown, or it did not happen."""
    return {
        "request_id": one.request_id,
        "time": moment(one.time),
        "began": moment(one.began),
        "kept": [kind.name.lower() for kind in Kept if one.kept & kind and kind.name],
        **{name: getattr(one, name) for name in _AS_IT_IS},
        **{name: _seconds(getattr(one, name)) for name in ("duration", "ttfb", "connect", "queue")},
        "outcome": Outcome(one.outcome).name.lower(),
        "reason": Select(one.reason).name.lower() if one.reason else "",
        "attempts": [_attempt(attempt) for attempt in one.attempts],
    }


_AS_IT_IS = (
    "client", "listener", "route", "service", "server", "method", "host", "target", "protocol", "status",
    "bytes_in", "bytes_out", "flag", "generation", "worker", "trace_id",
)  # fmt: skip


def _attempt(one: Attempt) -> Data:
    return {
        "server": one.server,
        "began": _seconds(one.began),
        "duration": _seconds(one.duration),
        "status": one.status,
        "flag": one.flag,
        "reason": Select(one.reason).name.lower() if one.reason else "",
        "word": one.word,
        "reused": one.reused,
        "connect": _seconds(one.connect),
    }


def _seconds(value: float) -> float | None:
    return round(value, 6) if value >= 0 else None
