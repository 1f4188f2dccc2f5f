"""Export of spans: batches, trying again, giving up, and never in anybody's way."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from msgspec.structs import replace
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from lb.config.tracing import TracingSpec
from lb.control import tracing as module
from lb.control.tracing import SpanExport
from lb.telemetry.decision import Kept
from tests.telemetry.test_spans import ONE


def partly(why="") -> bytes:
    answer = ExportTraceServiceResponse()
    answer.partial_success.rejected_spans = 1
    answer.partial_success.error_message = why
    return answer.SerializeToString()


def play(answers, script, headers=None):
    """Runs `script(export, got, spec)` against a collector with these answers, the last one for ever: a
    status, None (silence), or the bytes of an answer of status 200, as a tuple in pieces. `got`: spans by
    request."""
    got, left, seen = [], list(answers), []

    async def take(request):
        body = ExportTraceServiceRequest.FromString(await request.read())
        got.append(sum(len(scope.spans) for one in body.resource_spans for scope in one.scope_spans))
        seen.append(request.headers)
        answer = left.pop(0) if len(left) > 1 else left[0]
        if answer is None:
            await asyncio.sleep(60)
        if isinstance(answer, tuple):
            response = web.StreamResponse()
            await response.prepare(request)
            for piece in answer:
                await response.write(piece)
                await asyncio.sleep(0.05)
            return response
        if isinstance(answer, bytes):
            return web.Response(body=answer)
        return web.Response(status=answer)

    async def go():
        app = web.Application()
        app.router.add_post("/v1/traces", take)
        async with asyncio.timeout(60), TestServer(app) as server:
            spec = TracingSpec(endpoint=str(server.make_url("/v1/traces")), headers=headers or {})
            export = SpanExport(first_delay=0.01, every=0.01)
            export.configure(spec)
            task = asyncio.create_task(export.run())
            try:
                await script(export, got, spec)
            finally:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    asyncio.run(go())
    return seen


async def until(condition):
    while not condition():
        await asyncio.sleep(0.005)


def lost(export) -> dict[str, int]:
    return {reason: count for reason, count in export.dropped.items() if count}


def test_what_was_traced_is_sent_in_batches(monkeypatch):
    monkeypatch.setattr(module, "BATCH", 3)

    async def script(export, got, _):
        export.take([ONE] * 7 + [replace(ONE, kept=int(Kept.SLOW)), replace(ONE, span_id="")])
        await export.finish()
        assert got == [6, 6, 2] and (export.exported, lost(export)) == (14, {})

    (first, *_) = play([200], script, {"Authorization": "Bearer x"})
    assert first["Content-Type"] == "application/x-protobuf" and first["Authorization"] == "Bearer x"


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_what_may_go_better_is_sent_again(status):
    async def script(export, got, _):
        export.take([ONE])
        await until(lambda: export.exported)
        assert got == [2, 2, 2] and lost(export) == {}

    play([status, status, 200], script)


@pytest.mark.parametrize("status", [400, 401, 404, 500, 301])
def test_what_is_refused_is_not_sent_again(status, caplog):
    caplog.set_level("INFO")

    async def script(export, got, _):
        export.take([ONE])
        await until(lambda: got)
        await until(lambda: lost(export))
        export.take([ONE])
        await until(lambda: export.exported)
        assert got == [2, 2] and (export.exported, lost(export)) == (2, {"refused": 2})

    play([status, 200], script)
    said = caplog.text
    assert said.count("the collector does not take spans") == 1 and f"it answered {status}" in said
    assert said.count("the collector takes spans again") == 1


def test_what_it_takes_in_part():
    async def script(export, got, _):
        export.take([ONE])
        await until(lambda: export.exported)
        assert (export.exported, lost(export)) == (1, {"refused": 1})

    play([partly(), 200], script)


def test_what_it_says_in_pieces_is_read_to_its_end():
    async def script(export, got, _):
        export.take([ONE])
        await until(lambda: export.exported)
        assert (export.exported, lost(export)) == (1, {"refused": 1})

    said = partly("no room")
    play([(said[:2], said[2:]), 200], script)


def test_an_answer_without_end_is_not_read_to_its_end():
    async def script(export, got, _):
        export.take([ONE])
        await until(lambda: export.exported)
        assert (export.exported, lost(export)) == (2, {})

    play([(b"x" * module._MOST_ANSWER, *[b"x"] * 1000), 200], script)


def test_who_refuses_some_now_and_then_does_not_fill_the_log(monkeypatch, caplog):
    caplog.set_level("INFO")

    async def script(export, got, _):
        for number in range(1, 8):
            export.take([ONE])
            await until(lambda number=number: len(got) >= number and not export._waiting)

    answers = [partly("no room"), 200, partly(), 200, partly(), 200, 200]
    play(answers, script)
    said = caplog.text
    assert said.count("the collector does not take spans: what it refuses is lost") == 1 and "no room" in said
    assert said.count("the collector takes spans again") == 1 and "wait" not in said
    caplog.clear()
    monkeypatch.setattr(module, "QUIET", 0.0)
    play(answers, script)
    assert caplog.text.count("the collector does not take spans") == 3, "a minute later it is said again"


def test_that_spans_wait_is_said_though_some_were_refused_before(caplog):
    async def script(export, got, _):
        export.take([ONE])
        await until(lambda: got)
        export.take([ONE])
        await until(lambda: export.exported > 1)

    play([400, 503, 503, 200], script)
    assert caplog.text.count("what it refuses is lost") == 1
    assert caplog.text.count("exchanges wait, more are lost") == 1


def test_while_it_is_away_the_queue_is_bounded_and_one_line_says_so(monkeypatch, caplog):
    caplog.set_level("INFO")
    monkeypatch.setattr(module, "QUEUE", 5)

    async def script(export, got, spec):
        export.take([ONE] * 8)
        assert lost(export) == {"queue": 6}
        await until(lambda: len(got) >= 3)
        export.take([ONE])
        assert lost(export) == {"queue": 8}

    play([503], script)
    assert caplog.text.count("the collector does not take spans") == 1


def test_another_endpoint_is_asked_at_once():
    async def script(export, got, spec):
        export._first_delay = 60.0
        export.configure(spec.model_copy(update={"endpoint": "http://127.0.0.1:1/v1/traces"}))
        export.take([ONE])
        await until(lambda: export._failing)
        export.configure(spec)
        await until(lambda: export.exported)
        assert got == [2] and lost(export) == {}

    play([200], script)


def test_without_an_endpoint_nothing_waits():
    async def script(export, got, spec):
        export.take([ONE])
        await until(lambda: got)
        export.configure(None)
        export.take([ONE])
        assert lost(export) == {"unsent": 2} and export.exported == 0
        await export.finish()

    play([503], script)


def test_the_end_does_not_wait_for_ever(monkeypatch, caplog):
    caplog.set_level("INFO")
    monkeypatch.setattr(module, "LAST_WORDS", 0.05)

    async def script(export, got, _):
        export.take([ONE])
        await export.finish()
        assert lost(export) == {"unsent": 2}

    play([None], script)
    assert "spans were not sent before the end" in caplog.text
