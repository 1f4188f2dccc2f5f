"""Events as a list and as a stream."""

import asyncio
import json

import pytest
from aiohttp import ClientSession
from aiohttp.test_utils import TestServer

from lb.admin import events as module
from lb.admin.app import make_app

STREAM = {"Accept": "text/event-stream"}


def emit(control, count=3):
    for number in range(count):
        control.events.emit(
            "server_down", "check", f"number {number + 1}", service="app", server="a:1", n=number
        )


def test_the_list(control, ask):
    emit(control)
    found = ask("GET", "/api/v1/events").json()["events"]
    assert [event["number"] for event in found] == [1, 2, 3]
    assert {**found[0], "at": ""} == {
        "number": 1,
        "at": "",
        "kind": "server_down",
        "reason": "check",
        "service": "app",
        "server": "a:1",
        "text": "number 1",
        "facts": {"n": 0},
    }
    assert found[0]["at"].endswith("Z")
    assert [event["number"] for event in ask("GET", "/api/v1/events?after=2").json()["events"]] == [3]


def test_a_number_of_an_lb_before_this_one_gives_all(control, ask):
    emit(control)
    assert len(ask("GET", "/api/v1/events?after=4").json()["events"]) == 3
    assert ask("GET", "/api/v1/events?after=3").json()["events"] == []


@pytest.mark.parametrize("after", ["x", "-1", "1.5", "²", "", "9" * 5000])
def test_a_number_that_is_none(ask, after):
    assert ask("GET", f"/api/v1/events?after={after}").status == 400


def test_facts_that_json_has_no_words_for_are_told_as_text(control, ask):
    control.events.emit("a", "b", "c", place=object)
    assert "object" in ask("GET", "/api/v1/events").json()["events"][0]["facts"]["place"]


def streaming(control, script):
    """Runs `script(session, url)` against the application; returns what it returns."""

    async def go():
        async with asyncio.timeout(20), TestServer(make_app(control)) as server, ClientSession() as session:
            return await script(session, server)

    return asyncio.run(go())


async def block(response):
    """The next block of a stream, without comments."""
    lines = []
    while True:
        line = (await response.content.readline()).decode()
        assert line, "the stream ended"
        if line == "\n":
            if lines:
                return dict(one.split(": ", 1) for one in lines)
        elif not line.startswith(":"):
            lines.append(line.rstrip("\n"))


@pytest.mark.parametrize(
    ("headers", "query", "numbers"),
    [
        ({}, "", [4]),
        ({"Last-Event-ID": "1"}, "", [2, 3, 4]),
        ({}, "?after=2", [3, 4]),
        ({"Last-Event-ID": "1"}, "?after=2", [3, 4]),
        ({"Last-Event-ID": "99"}, "", [1, 2, 3, 4]),
    ],
)
def test_the_stream_goes_on_where_it_broke(control, headers, query, numbers):
    emit(control)

    async def script(session, server):
        url = server.make_url("/api/v1/events" + query)
        async with session.get(url, headers={**STREAM, **headers}) as response:
            assert response.headers["Content-Type"] == "text/event-stream"
            assert response.headers["Cache-Control"] == "no-store"
            control.events.emit("reload", "success", "line\nand line")
            found = [await block(response) for _ in numbers]
        assert [int(one["id"]) for one in found] == numbers
        assert json.loads(found[-1]["data"])["text"] == "line\nand line"

    streaming(control, script)


def test_comments_keep_a_quiet_stream_alive_and_nobody_is_left_behind(control, monkeypatch):
    monkeypatch.setattr(module, "KEEP_ALIVE", 0.05)

    async def script(session, server):
        async with session.get(server.make_url("/api/v1/events"), headers=STREAM) as response:
            assert [await response.content.readline() for _ in range(6)] == [b": lb\n", b"\n"] + [
                b":\n",
                b"\n",
            ] * 2
        while control.events.listeners:  # the next comment finds that the client is gone
            await asyncio.sleep(0.01)

    streaming(control, script)


def test_only_so_many_streams_at_a_time(control, monkeypatch):
    monkeypatch.setattr(module, "MOST_STREAMS", 1)

    async def script(session, server):
        async with session.get(server.make_url("/api/v1/events"), headers=STREAM) as first:
            assert await first.content.readline() == b": lb\n"
            second = await session.get(server.make_url("/api/v1/events"), headers=STREAM)
            assert second.status == 503
            assert (await second.json())["error"] == "too_many_streams"
        async with session.get(server.make_url("/api/v1/events")) as listed:
            assert listed.status == 200

    streaming(control, script)


def test_the_stream_ends_with_the_application(control):
    async def script(session, server):
        response = await session.get(server.make_url("/api/v1/events"), headers=STREAM)
        await response.content.readline()
        emit(control, 1)
        closing = asyncio.create_task(server.close())
        rest = await response.content.read()
        await closing
        assert b"id: 1\n" in rest

    streaming(control, script)


def test_a_client_that_does_not_read_is_dropped(control, monkeypatch):
    monkeypatch.setattr(module, "WAITING", 8)

    async def script(session, server):
        reader, writer = await asyncio.open_connection(server.host, server.port)
        writer.write(b"GET /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n")
        await reader.readuntil(b": lb\n\n")
        writer.transport.pause_reading()
        for _ in range(1000):
            if not control.events.listeners:
                break
            control.events.emit("a", "b", "x" * 100_000)
            await asyncio.sleep(0)
        assert not control.events.listeners or await _unfollowed(control)
        writer.transport.abort()

    streaming(control, script)


async def _unfollowed(control):
    while control.events.listeners:
        await asyncio.sleep(0.01)
    return True


def test_head_of_the_stream_is_no_stream(control, ask):
    assert ask("HEAD", "/api/v1/events", headers=STREAM).status == 200
    assert not control.events.listeners
