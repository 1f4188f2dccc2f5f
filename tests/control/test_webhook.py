"""The webhook: in order, tried again, given up, and never in anybody's way."""

from __future__ import annotations

import asyncio
import contextlib
import json

from aiohttp import web
from aiohttp.test_utils import TestServer

from lb.control import webhook as module
from lb.control.events import Events
from lb.control.webhook import Webhook


def play(answers, script, *, delays=(0.0, 0.0, 0.0), url="{}"):
    """Runs `script(events, webhook, got)` against a server with these answers, the last one for ever."""
    got, left = [], list(answers)

    async def take(request):
        got.append(await request.json())
        status = left.pop(0) if len(left) > 1 else left[0]
        if status is None:
            await asyncio.sleep(60)
        return web.Response(status=status)

    async def go():
        app = web.Application()
        app.router.add_post("/hook", take)
        async with asyncio.timeout(20), TestServer(app) as server:
            where = url.format(server.make_url("/hook"))
            events, webhook = Events(), Webhook(lambda: where or None, delays)
            events.listeners.add(webhook.tell)
            task = asyncio.create_task(webhook.run())
            try:
                await script(events, webhook, got)
            finally:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    asyncio.run(go())


async def until(condition):
    while not condition():
        await asyncio.sleep(0.005)


def test_each_event_is_posted_in_order():
    async def script(events, webhook, got):
        for number in range(20):
            events.emit("server_down", "check", "it is down", service="app", server="a:1", run=number)
        await webhook.finish()
        assert [event["number"] for event in got] == list(range(1, 21))
        assert {**got[3], "at": ""} == {
            "number": 4, "at": "", "kind": "server_down", "reason": "check", "service": "app",
            "server": "a:1", "text": "it is down", "facts": {"run": 3},
        }  # fmt: skip
        assert webhook.lost == 0

    play([204], script)


def test_what_may_go_better_is_tried_again():
    async def script(events, webhook, got):
        events.emit("a", "b", "one")
        events.emit("a", "b", "two")
        await webhook.finish()
        assert [event["text"] for event in got] == ["one", "one", "one", "two"]
        assert webhook.lost == 0

    play([503, 429, 200], script)


def test_what_stays_wrong_is_given_up_and_said_once(caplog):
    caplog.set_level("INFO")

    async def script(events, webhook, got):
        for text in ("one", "two"):
            events.emit("a", "b", text)
        await webhook.finish()
        assert (len(got), webhook.lost) == (6, 2)
        assert json.dumps(got).count("one") == 3

    play([500], script)
    assert caplog.text.count("does not take events") == 1
    assert "it answered 500" in caplog.text


def test_what_is_refused_is_not_tried_again_and_its_return_is_said(caplog):
    caplog.set_level("INFO")

    async def script(events, webhook, got):
        for text in ("one", "two"):
            events.emit("a", "b", text)
        await webhook.finish()
        assert ([event["text"] for event in got], webhook.lost) == (["one", "two"], 1)

    play([400, 200], script)
    assert "takes events again lost=1" in caplog.text


def test_a_queue_that_is_full_loses_and_holds_nobody_up(monkeypatch):
    monkeypatch.setattr(module, "QUEUE", 3)

    async def script(events, webhook, got):
        events.emit("a", "b", "0")
        await until(lambda: got)  # which hangs
        for number in range(1, 10):
            events.emit("a", "b", str(number))
        assert webhook.lost == 7

    play([None], script)


def test_a_server_that_hangs_is_left_after_the_time_out(monkeypatch, caplog):
    monkeypatch.setattr(module, "TIMEOUT", 0.5)  # each try is heard before it is given up

    async def script(events, webhook, got):
        events.emit("a", "b", "c")
        await until(lambda: webhook.lost)
        assert len(got) == 3

    play([None], script)
    assert "no answer within" in caplog.text


def test_nobody_there_and_no_secret_in_the_log(caplog):
    async def script(events, webhook, got):
        events.emit("a", "b", "c")
        await until(lambda: webhook.lost)

    play([200], script, url="http://127.0.0.1:9/token-of-mine")
    assert "host=127.0.0.1:9" in caplog.text
    assert "token-of-mine" not in caplog.text


def test_without_a_url_nothing_waits():
    async def script(events, webhook, got):
        events.emit("a", "b", "c")
        await webhook.finish()
        await asyncio.sleep(0)
        assert (got, webhook.lost) == ([], 0)

    play([200], script, url="")
