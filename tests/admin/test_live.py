"""The live view as an answer, as a stream, and its last hour."""

from __future__ import annotations

import asyncio
import json

import pytest
from aiohttp import ClientSession
from aiohttp.test_utils import TestServer

from lb.admin import live as module
from lb.admin.app import make_app
from lb.telemetry import layout
from lb.telemetry.buckets import cell_of

STREAM = {"Accept": "text/event-stream"}


def serve(control, requests, errors=0):
    """Let this many requests end on route api and the first server."""
    cells, plan = control.cells, control.plan
    route, server = plan.routes[0].services[0].slot, plan.services[0].servers[0].slot
    for slot, classes, buckets in (
        (route, layout.ROUTE_CLASS, layout.ROUTE_DURATION_CELLS),
        (server, layout.SERVER_CLASS, layout.SERVER_DURATION_CELLS),
    ):
        cells.add(slot + classes + 2, requests - errors)
        cells.add(slot + classes + 5, errors)
        cells.add(slot + buckets + cell_of(1500), requests)


def test_the_whole(control, ask):
    control.live.take(1)
    serve(control, 10, 2)
    control.live.take(2)
    found = ask("GET", "/api/v1/live").json()
    assert (found["tick"], found["generation"]) == (2, 7)
    for row in (found["total"], found["routes"][0], found["services"][0], found["servers"][0]):
        assert (row["rate"], row["errors"], row["p50"]) == (10.0, 2.0, 0.00175), row
    assert found["servers"][0]["status"] == "up"
    assert found["servers"][1]["rate"] == 0
    assert [row["does"] for row in found["routes"]] == ["forward", "redirect 308"]


def test_history(control, ask):
    control.live.take(1)
    serve(control, 10)
    control.live.take(2)
    query = "span=minutes&service=app&server=app/127.0.0.1:9001&route=api&listener=web"
    found = ask("GET", f"/api/v1/live/history?{query}").json()["series"]
    assert [one["name"] for one in found] == ["app", "app/127.0.0.1:9001", "api", "web"]
    assert [one["rate"][-1] for one in found] == [10.0, 10.0, 10.0, 0.0]
    assert len(ask("GET", "/api/v1/live/history").json()["series"][0]["rate"]) == 360


def test_history_of_what_is_gone_is_no_error_for_the_rest(control, ask):
    control.live.take(1)
    found = ask("GET", "/api/v1/live/history?service=gone&service=app&server=app").json()
    assert [one["name"] for one in found["series"]] == ["app"]
    assert found["unknown"] == [{"kind": "service", "name": "gone"}, {"kind": "server", "name": "app"}]


@pytest.mark.parametrize(
    ("query", "status"),
    [("span=year", 400), ("x=1", 400), ("route=a&" * 65, 400)],
)
def test_bad_questions(control, ask, query, status):
    control.live.take(1)
    assert ask("GET", f"/api/v1/live/history?{query}").status == status


async def piece(response):
    name = (await response.content.readline()).decode().removeprefix("event: ").strip()
    data = json.loads((await response.content.readline()).removeprefix(b"data: "))
    assert await response.content.readline() == b"\n"
    return name, data


def streaming(control, script):
    async def go():
        async with asyncio.timeout(20), TestServer(make_app(control)) as server, ClientSession() as session:
            response = await session.get(server.make_url("/api/v1/live"), headers=STREAM)
            await script(response, server)

    control.live.take(1)
    asyncio.run(go())


def test_the_stream_has_all_then_what_changed_then_events(control):
    async def script(response, server):
        name, data = await piece(response)
        assert (name, len(data["servers"])) == ("whole", 2)
        serve(control, 10)
        control.live.take(2)
        name, data = await piece(response)
        assert name == "change"
        assert [row["address"] for row in data["servers"]] == ["127.0.0.1:9001"]
        assert [row["name"] for row in data["routes"]] == ["api"]
        control.events.emit("reload", "success", "line\nand line")
        name, data = await piece(response)
        assert (name, data["text"]) == ("event", "line\nand line")

    streaming(control, script)


def test_no_event_is_lost_where_many_come_at_once(control):
    async def script(response, server):
        await piece(response)
        for number in range(100):  # without a moment to write: a machine with 100 servers died
            control.events.emit("server_down", "check", f"event {number}")
        found = [await piece(response) for _ in range(100)]
        assert [(name, data["text"]) for name, data in found] == [
            ("event", f"event {number}") for number in range(100)
        ]

    streaming(control, script)


def test_who_does_not_read_is_dropped(control, monkeypatch):
    monkeypatch.setattr(module, "WRITE_TIMEOUT", 0.05)
    monkeypatch.setattr(module, "_encoded", lambda name, data: b"x" * (16 << 20))

    async def script(response, server):
        async with asyncio.timeout(10):
            while control.events.listeners:
                await asyncio.sleep(0.01)

    streaming(control, script)


def test_who_reads_slowly_gets_all_again(control, monkeypatch):
    monkeypatch.setattr(module, "WAITING", 2)

    async def script(response, server):
        await piece(response)
        for tick in range(2, 8):  # without a moment to write
            serve(control, 10)
            control.live.take(tick)
        name, data = await piece(response)
        assert (name, data["tick"]) == ("whole", 7)

    streaming(control, script)


def test_the_stream_ends_with_the_application_and_leaves_nobody_behind(control):
    async def script(response, server):
        await piece(response)
        assert control.events.listeners
        await server.close()
        await response.content.read()
        assert not control.events.listeners

    streaming(control, script)
