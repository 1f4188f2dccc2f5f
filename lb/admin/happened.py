"""A Decision as JSON-ready data, for the list, one id and the stream of requests."""

from __future__ import annotations

from lb.admin.shapes import Data, moment
from lb.decisions import Select
from lb.outcomes import Outcome
from lb.telemetry.decision import Attempt, Decision, Kept


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
    "bytes_in", "bytes_out", "flag", "generation", "worker", "trace_id", "span_id",
    "parent_id",
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
        "span_id": one.span_id,
    }


def _seconds(value: float) -> float | None:
    return round(value, 6) if value >= 0 else None
