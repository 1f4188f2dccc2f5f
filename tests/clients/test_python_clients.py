"""aiohttp, httpx, requests and websockets through lb."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import AsyncIterator, Iterator

import aiohttp
import httpx
import pytest
import requests
import websockets
from websockets.asyncio.client import connect
from websockets.sync.client import connect as connect_sync

from .site import LARGE

DIGEST = hashlib.sha256(LARGE).hexdigest()


def pieces() -> Iterator[bytes]:
    for at in range(0, len(LARGE), 100_000):
        yield LARGE[at : at + 100_000]


async def pieces_async() -> AsyncIterator[bytes]:
    for piece in pieces():
        yield piece


# -- requests
def test_requests(url: str) -> None:
    with requests.Session() as session:
        session.trust_env = False
        for n in range(20):
            assert session.get(f"{url}/text/{n}").text == f"text {n}"
        assert session.post(f"{url}/digest", data=LARGE).text == DIGEST
        assert session.post(f"{url}/digest", data=pieces()).text == DIGEST  # chunked
        assert session.get(f"{url}/large").content == LARGE
        assert session.head(f"{url}/say").status_code == 200
        assert session.options(f"{url}/say").json()["method"] == "OPTIONS"
        assert (
            session.get(f"{url}/say", headers={"X-A": "b"}, cookies={"c": "d"}).json()["headers"]["Cookie"]
            == "c=d"
        )


def test_requests_in_threads(url: str) -> None:
    results: list[str] = []

    def run() -> None:
        with requests.Session() as session:
            session.trust_env = False
            results.extend(session.get(f"{url}/text/{n}").text for n in range(25))

    threads = [threading.Thread(target=run) for _ in range(16)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    assert sorted(results) == sorted([f"text {n}" for n in range(25)] * 16)


# -- httpx
def test_httpx(url: str) -> None:
    with httpx.Client(trust_env=False) as client:
        for n in range(20):
            assert client.get(f"{url}/text/{n}").text == f"text {n}"
        assert client.post(f"{url}/digest", content=LARGE).text == DIGEST
        assert client.post(f"{url}/digest", content=pieces()).text == DIGEST
        with client.stream("GET", f"{url}/large") as response:
            assert hashlib.sha256(b"".join(response.iter_bytes())).hexdigest() == DIGEST


def test_httpx_async(url: str) -> None:
    async def run() -> None:
        async with httpx.AsyncClient(trust_env=False) as client:
            answers = await asyncio.gather(*(client.get(f"{url}/text/{n}") for n in range(100)))
            assert [a.text for a in answers] == [f"text {n}" for n in range(100)]
            assert (await client.post(f"{url}/digest", content=pieces_async())).text == DIGEST

    asyncio.run(run())


# -- aiohttp
def test_aiohttp(url: str) -> None:
    async def run() -> None:
        async with aiohttp.ClientSession() as session:

            async def text(n: int) -> str:
                async with session.get(f"{url}/text/{n}") as response:
                    return await response.text()

            assert await asyncio.gather(*(text(n) for n in range(300))) == [f"text {n}" for n in range(300)]
            async with session.post(f"{url}/digest", data=LARGE, expect100=True) as response:
                assert await response.text() == DIGEST
            async with session.post(f"{url}/digest", data=pieces_async()) as response:
                assert await response.text() == DIGEST
            async with session.get(f"{url}/events") as response:
                for n in range(3):
                    assert await response.content.readuntil(b"\n\n") == b"data: %d\n\n" % n

    asyncio.run(run())


def test_a_client_that_cancels_leaves_nothing_behind(url: str) -> None:
    async def run() -> None:
        async with aiohttp.ClientSession() as session:
            for _ in range(20):
                with pytest.raises(asyncio.TimeoutError):
                    async with session.get(
                        f"{url}/events", timeout=aiohttp.ClientTimeout(total=0.05)
                    ) as response:
                        await response.read()
            async with session.get(f"{url}/text/1") as response:
                assert await response.text() == "text 1"

    asyncio.run(run())


def test_aiohttp_websocket(url: str) -> None:
    async def run() -> None:
        async with aiohttp.ClientSession() as session, session.ws_connect(f"{url}/ws") as socket:
            for n in range(100):
                await socket.send_str(f"m{n}")
                assert await socket.receive_str() == f"m{n}"

    asyncio.run(run())


# -- websockets
def test_websockets(url: str) -> None:
    with connect_sync(url.replace("http", "ws") + "/ws", proxy=None, max_size=None) as socket:
        for n in range(50):
            socket.send(f"m{n}")
            assert socket.recv(10) == f"m{n}"
        socket.send(LARGE)
        assert socket.recv(30) == LARGE
        socket.ping().wait(5)


def test_many_websockets_at_once(url: str) -> None:
    async def one(n: int) -> None:
        async with connect(url.replace("http", "ws") + "/ws", proxy=None) as socket:
            for i in range(20):
                await socket.send(f"{n}-{i}")
                assert await socket.recv() == f"{n}-{i}"

    async def run() -> None:
        await asyncio.gather(*(one(n) for n in range(100)))

    asyncio.run(run())


def test_a_websocket_that_is_refused(url: str) -> None:
    with pytest.raises(websockets.InvalidStatus) as problem:
        connect_sync(url.replace("http", "ws") + "/say", proxy=None)
    assert problem.value.response.status_code == 200
