"""Asking one of several servers over HTTP: what is asked again, and what must not be."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest

from lb.cluster.contract import EngineError
from lb.cluster.engines.http import Http
from tests.cluster.http_server import Served

GOOD = (200, {}, b"{}")
KEPT = []  # ports where nobody listens, nor anybody else can


def closed_port():
    one = socket.socket()
    one.bind(("127.0.0.1", 0))
    KEPT.append(one)
    return one.getsockname()[1]


def with_servers(answers, test, timeout=1.0):
    """Runs `test(http, *served)` with one server for each of `answers`; None: nobody listens there."""

    async def whole():
        served = [Served(answer) for answer in answers if answer is not None]
        for one in served:
            await one.__aenter__()
        left = iter(served)
        urls = tuple(
            f"http://127.0.0.1:{closed_port() if answer is None else next(left).port}" for answer in answers
        )
        http = Http("consul", urls, timeout)
        try:
            await test(http, *served)
        finally:
            await http.close()
            for one in served:
                await one.__aexit__()

    asyncio.run(whole())


def test_a_change_is_sent_once_when_the_connection_ends():
    """aiohttp by itself sends a PUT a second time."""

    async def test(http, first, second):
        for _ in range(3):
            first.asked.clear()
            second.asked.clear()
            with pytest.raises(EngineError, match="consul at"):
                await http.ask("PUT", "/x", {})
            assert len(first.asked + second.asked) == 1

    with_servers([lambda _: None, lambda _: None], test)


def test_a_change_goes_to_the_next_where_nobody_listens():
    async def test(http, second):
        assert (await http.ask("PUT", "/x", {})).status == 200
        assert (await http.ask("PUT", "/x", {})).status == 200
        assert second.asked == ["PUT /x"] * 2

    with_servers([None, lambda _: GOOD], test)


def test_an_answer_to_a_change_is_an_answer_whatever_it_says():
    async def test(http, first, second):
        assert (await http.ask("PUT", "/x", {})).status == 500
        assert (first.asked, second.asked) == (["PUT /x"], [])

    with_servers([lambda _: (500, {}, b"No cluster leader"), lambda _: GOOD], test)


@pytest.mark.parametrize("bad", [lambda _: None, lambda _: (500, {}, b"No cluster leader"), None])
def test_a_question_is_asked_again_elsewhere(bad):
    async def test(http, *served):
        assert (await http.ask("GET", "/x", safe=True)).status == 200
        asked = len(served[0].asked)
        assert (await http.ask("GET", "/x", safe=True)).status == 200
        if bad is not None:
            assert len(served[0].asked) == asked, "the one that failed is asked first again"

    with_servers([bad, lambda _: GOOD], test)


def test_a_silent_server_costs_its_share_of_the_time():
    async def test(http, second):
        silent = await asyncio.start_server(lambda *_: asyncio.sleep(10), "127.0.0.1", 0)
        http._urls = (f"http://127.0.0.1:{silent.sockets[0].getsockname()[1]}", *http._urls)
        begun = time.monotonic()
        assert (await http.ask("GET", "/x", safe=True)).status == 200
        assert time.monotonic() - begun < 1.0
        silent.close()

    with_servers([lambda _: GOOD], test)


def test_two_calls_that_one_server_fails_leave_it_once():
    """Else the second one would ask the server that failed again, and not the one that lives."""
    both, waiting = asyncio.Event(), []

    async def hang(reader, writer):
        waiting.append(writer)
        if len(waiting) == 2:
            both.set()
        await both.wait()
        writer.close()

    async def test(http, second, third):
        failing = await asyncio.start_server(hang, "127.0.0.1", 0)
        http._urls = (f"http://127.0.0.1:{failing.sockets[0].getsockname()[1]}", *http._urls)
        calls = [asyncio.create_task(http.ask("GET", f"/{at}", safe=True)) for at in range(2)]
        assert {(await call).status for call in calls} == {200}
        assert (sorted(second.asked), third.asked, http._first) == (["GET /0", "GET /1"], [], 1)
        failing.close()

    with_servers([lambda _: GOOD, lambda _: GOOD], test)


def test_all_fail_and_each_is_named():
    async def test(http):
        with pytest.raises(EngineError) as error:
            await http.ask("GET", "/x", safe=True)
        assert all(url in str(error.value) for url in http._urls)

    with_servers([None, None], test)


def test_no_redirect_is_followed_and_no_endless_answer_read(monkeypatch):
    monkeypatch.setattr("lb.cluster.engines.http.MOST_BYTES", 1000)
    answers = iter([(302, {"location": "http://127.0.0.1:1/"}, b""), (200, {}, b"x" * 1001)])

    async def test(http, served):
        assert (await http.ask("GET", "/x")).status == 302
        with pytest.raises(EngineError, match="longer than"):
            await http.ask("GET", "/x")
        assert len(served.asked) == 2

    with_servers([lambda _: next(answers)], test)
