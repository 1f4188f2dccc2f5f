"""Spans: what a sampled exchange looks like to OpenTelemetry, as OTLP has it.

One span of kind SERVER for the exchange and, below it, one of kind CLIENT for each attempt, with the names of
the semantic conventions for HTTP (stable, 1.23 and later) and `lb.…` for what they have no name for. Lives
here: making OTLP's message of Decisions. Must not live here: which are sampled (lb.proxy.tracing), sending
(lb.control.tracing).
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from lb import __version__
from lb.decisions import Select
from lb.outcomes import TABLE, Outcome
from lb.telemetry.decision import Attempt, Decision

Attributes = Mapping[str, str | int | float | bool | None]  # "" and None: left out

_SERVER, _CLIENT = 2, 3  # Span.SpanKind
_ERROR = 2  # Status.StatusCode
_HAS_REMOTE, _REMOTE = 0x100, 0x200  # SpanFlags: whether the parent is another process's is known; it is
_METHODS = frozenset(
    ("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE")
)
_BY_FLAG = {row.flag: (outcome, row) for outcome, row in TABLE.items()}


def lacking() -> str | None:
    """Why no span can be made here; None: nothing is lacking."""
    try:
        _library()
    except ImportError:
        return "exporting spans needs the package opentelemetry-proto: pip install 'lb[otel]'"
    return None


def _library() -> Any:
    return importlib.import_module("opentelemetry.proto.collector.trace.v1.trace_service_pb2")


def count(decision: Decision) -> int:
    """How many spans there are of it."""
    return 1 + len(decision.attempts)


def encode(decisions: Iterable[Decision], resource: Attributes) -> bytes:
    """An ExportTraceServiceRequest. `resource`: who exports."""
    request = _library().ExportTraceServiceRequest()
    whole = request.resource_spans.add()
    _put(whole.resource.attributes, resource)
    scope = whole.scope_spans.add()
    scope.scope.name, scope.scope.version = "lb", __version__
    for decision in decisions:
        _exchange(scope.spans.add(), decision)
        for number, attempt in enumerate(decision.attempts):
            _attempt(scope.spans.add(), decision, attempt, number)
    return bytes(request.SerializeToString())


def rejected(answer: bytes) -> tuple[int, str]:
    """How many spans a collector took none of, and why, out of its ExportTraceServiceResponse; what is none
    says nothing."""
    response = _library().ExportTraceServiceResponse()
    try:
        response.ParseFromString(answer)
    except Exception:  # DecodeError, whose module the extra brings
        return 0, ""
    partial = response.partial_success
    return max(0, partial.rejected_spans), partial.error_message


def _exchange(span: Any, one: Decision) -> None:
    outcome, row = Outcome(one.outcome), TABLE[Outcome(one.outcome)]
    ours = outcome != Outcome.DONE and row.side != "client"
    path, _, query = one.target.partition("?")
    address, port = _place(one.host)
    _begin(span, one, one.span_id, one.parent_id, _SERVER)
    span.name = " ".join(part for part in (_method(one.method) or "HTTP", one.route) if part)
    span.flags |= _HAS_REMOTE | (_REMOTE if one.parent_id else 0)
    span.start_time_unix_nano = _nanoseconds(one.began)
    span.end_time_unix_nano = _nanoseconds(one.began + one.duration)
    _put(span.attributes, {
        **_asked(one),
        "url.scheme": one.scheme, "url.path": path, "url.query": query,
        "server.address": address, "server.port": port, "client.address": one.client,
        "network.protocol.version": one.protocol.removeprefix("HTTP/"),
        "http.response.status_code": one.status or None,
        "lb.listener": one.listener, "lb.route": one.route, "lb.service": one.service,
        "lb.server": one.server, "lb.flag": one.flag, "lb.reason": _reason(one.reason),
        "lb.request_id": one.request_id, "lb.generation": one.generation,
        "lb.queue.duration": one.queue if one.queue >= 0 else None,
    })  # fmt: skip
    if ours or one.status >= 500:
        _fail(span, outcome.name.lower() if ours else str(one.status), row.text if ours else "")


def _attempt(span: Any, one: Decision, attempt: Attempt, number: int) -> None:
    outcome, row = _BY_FLAG[attempt.flag]
    address, port = _place(attempt.server)
    began = one.began + attempt.began
    _begin(span, one, attempt.span_id, one.span_id, _CLIENT)
    span.name = _method(one.method) or "HTTP"
    span.flags |= _HAS_REMOTE
    span.start_time_unix_nano = _nanoseconds(began)
    span.end_time_unix_nano = _nanoseconds(began + attempt.duration)
    where = one.host if attempt.server.startswith("unix:") else attempt.server
    _put(span.attributes, {
        **_asked(one),
        "url.full": f"http://{where}{one.sent}" if one.sent.startswith("/") else None,
        "server.address": address, "server.port": port, "network.protocol.version": "1.1",
        "http.response.status_code": attempt.status or None,
        "http.request.resend_count": number or None,
        "lb.route": one.route, "lb.service": one.service,
        "lb.flag": attempt.flag, "lb.reason": _reason(attempt.reason), "lb.word": attempt.word,
        "lb.connection.reused": attempt.reused,
        "lb.connect.duration": attempt.connect if attempt.connect >= 0 else None,
    })  # fmt: skip
    if outcome != Outcome.DONE:
        _fail(span, outcome.name.lower(), row.text)
    elif attempt.status >= 400:
        _fail(span, str(attempt.status), "")


def _begin(span: Any, one: Decision, id: str, parent: str, kind: int) -> None:
    span.trace_id, span.span_id = bytes.fromhex(one.trace_id), bytes.fromhex(id)
    span.parent_span_id = bytes.fromhex(parent)
    span.kind, span.flags = kind, int(one.trace_flags, 16)


def _fail(span: Any, kind: str, text: str) -> None:
    span.status.code, span.status.message = _ERROR, text
    _put(span.attributes, {"error.type": kind})


def _method(method: str) -> str:
    """As a span's name has it: of few values."""
    return method if method in _METHODS else ""


def _asked(one: Decision) -> Attributes:
    if not one.method or one.method in _METHODS:
        return {"http.request.method": one.method}
    return {"http.request.method": "_OTHER", "http.request.method_original": one.method}


def _reason(value: int) -> str:
    return Select(value).name.lower() if value else ""


def _place(authority: str) -> tuple[str, int | None]:
    """Address and port of host:port or unix:PATH."""
    if authority.startswith("unix:"):
        return authority.removeprefix("unix:"), None
    try:
        parts = urlsplit(f"//{authority}")
        return parts.hostname or "", parts.port
    except ValueError:  # a client may say anything
        return authority, None


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)


def _put(attributes: Any, found: Attributes) -> None:
    for key, value in found.items():
        if value is None or value == "":
            continue
        one = attributes.add()
        one.key = key
        if isinstance(value, bool):
            one.value.bool_value = value
        elif isinstance(value, int):
            one.value.int_value = value
        elif isinstance(value, float):
            one.value.double_value = value
        else:
            one.value.string_value = value
