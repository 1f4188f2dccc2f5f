"""lb as a service of Consul, against a scripted agent; a real one is in tests/scenarios."""

from __future__ import annotations

import asyncio
import contextlib
import json

from aiohttp import web

from lb.discovery.consul_http import WAIT_REFUSED, ConsulClient
from lb.discovery.consul_register import FIRST_PAUSE, LONGEST_PAUSE, Registration
from lb.discovery.consul_settings import ConsulConnection, ConsulOwn

OWN = ConsulOwn("lb", 8080, "10.0.0.5", ("edge",), 9.0)


async def play(statuses, until, headers=None):
    """Run until so many calls were made: the last may not be answered yet. Gives them, the pauses, the registration."""
    calls, pauses = [], []
    answers = iter(statuses)

    async def answer(request):
        calls.append((request.path, await request.text()))
        return web.Response(status=next(answers, 200), text="words", headers=headers)

    async def sleep(seconds):
        pauses.append(seconds)
        await asyncio.sleep(0)

    app = web.Application()
    app.router.add_put("/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.01)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    address = "http://{}:{}".format(*runner.addresses[0][:2])
    one = Registration(ConsulClient(ConsulConnection((address,))), OWN, sleep)
    task = asyncio.create_task(one.run())
    async with asyncio.timeout(5):
        while len(calls) < until:
            await asyncio.sleep(0.001)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    await one.leave()
    await runner.cleanup()
    return calls, pauses, one


def test_it_registers_once_and_renews_three_times_in_a_ttl():
    calls, pauses, _ = asyncio.run(play([], 3))
    assert [path for path, _ in calls[:3]] == [
        "/v1/agent/service/register",
        "/v1/agent/check/pass/service:lb-10.0.0.5-8080",
        "/v1/agent/check/pass/service:lb-10.0.0.5-8080",
    ]
    said = json.loads(calls[0][1])
    assert said["ID"] == "lb-10.0.0.5-8080" and said["Address"] == "10.0.0.5" and said["Tags"] == ["edge"]
    assert said["Check"]["TTL"] == "9s" and said["Check"]["Status"] == "passing"
    assert said["Check"]["DeregisterCriticalServiceAfter"] == "10m"
    assert set(pauses) == {3.0}
    assert calls[-1][0] == "/v1/agent/service/deregister/lb-10.0.0.5-8080"


def test_an_agent_that_forgot_it_is_told_again_at_once():
    calls, _, one = asyncio.run(play([200, 500], 4))
    assert calls[2][0] == "/v1/agent/service/register"
    assert one.error == ""


def test_an_agent_that_fails_is_asked_ever_less():
    calls, pauses, one = asyncio.run(play([500] * 100, 10))
    assert {path for path, _ in calls[:9]} == {"/v1/agent/service/register"}
    for turn, pause in enumerate(pauses[:8]):
        assert 0.5 <= pause / min(LONGEST_PAUSE, FIRST_PAUSE * 2**turn) <= 1.0
    assert "500" in one.error and not one.registered


def test_an_agent_is_left_alone_for_as_long_as_it_says():
    _, pauses, _ = asyncio.run(play([429] * 100, 4, {"retry-after": "40"}))
    for turn, pause in enumerate(pauses[:3]):
        assert 0.5 <= (pause - 40) / (FIRST_PAUSE * 2**turn) <= 1.0
    _, pauses, one = asyncio.run(play([403] * 100, 4))
    assert WAIT_REFUSED < pauses[0] <= WAIT_REFUSED + FIRST_PAUSE
    assert "403" in one.error
