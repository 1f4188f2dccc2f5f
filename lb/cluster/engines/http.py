"""JSON over HTTP to one of several servers of an engine, for Consul and etcd.

Lives here: which server is asked, time-outs, TLS, reading what came as JSON. Must not live here: what is
asked, and what an answer means.

A request that changes something is sent once: when its answer got lost, nobody knows whether it happened, and
a second one would find a conflict with the first. Only where nothing was sent the next server is asked.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import aiohttp

from lb.cluster.contract import EngineError

MOST_BYTES = 64 * 2**20  # of one answer
SHOWN = 200  # characters of an answer that an error repeats


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes


class _LostError(aiohttp.ClientError):
    """The connection ended after the request may have been sent."""


async def _once(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """aiohttp sends a PUT again when its connection ends; errors of another kind it lets pass."""
    try:
        return await send(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise _LostError(str(error) or type(error).__name__) from None


class Http:
    """Connections to the servers `urls` of the engine `engine`; none is open before it is used."""

    def __init__(
        self,
        engine: str,
        urls: tuple[str, ...],
        timeout: float,
        tls: ssl.SSLContext | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._engine = engine
        self._urls = urls
        self._first = 0  # the server that answered last
        self._timeout = timeout
        self._tls = tls
        self._headers = headers
        self._open: aiohttp.ClientSession | None = None
        self._closed = False

    async def close(self) -> None:
        self._closed = True
        if self._open is not None:
            await self._open.close()

    @property
    def where(self) -> str:
        """For messages: the engine, and the server that is asked."""
        return f"{self._engine} at {self._urls[self._first]}"

    async def ask(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None,
        wait: float = 0.0, safe: bool = False,
    ) -> Answer:  # fmt: skip
        """The answer, whatever its status. `wait`: seconds that the server may take on purpose. `safe`:
        nothing changes, so that another server may be asked after a failure. Raises EngineError."""
        if self._closed:
            raise EngineError(f"{self.where}: closed")
        data = None if body is None else json.dumps(body).encode()
        failures = []
        first = self._first
        url, where = self._urls[first], self.where
        try:
            async with asyncio.timeout(wait + self._timeout) as limit:
                end = limit.when() or 0.0
                for tried in range(len(self._urls)):
                    url = self._urls[(first + tried) % len(self._urls)]
                    where = f"{self._engine} at {url}"
                    share = (end - asyncio.get_running_loop().time()) / (len(self._urls) - tried)
                    try:
                        async with asyncio.timeout(wait + share if safe else None):
                            answer = await self._send(method, url + path, data, headers or {}, share)
                        if not safe or answer.status < 500:
                            return answer
                        failures.append(f"{where}: status {answer.status}{shown(answer.body)}")
                    except aiohttp.ClientConnectorError as error:
                        failures.append(f"{where}: {error.os_error or 'no connection'}")
                    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                        failures.append(f"{where}: {str(error) or 'no answer in time'}")
                        if not safe and not isinstance(error, aiohttp.ConnectionTimeoutError):
                            self._leave(url)
                            break
                    self._leave(url)
        except TimeoutError:
            failures.append(f"{where}: no answer in {wait + self._timeout:g} s")
            self._leave(url)
        raise EngineError("; ".join(failures))

    def _leave(self, url: str) -> None:
        """Ask the next server from now on; nothing is done where another call left this one already."""
        if self._urls[self._first] == url:
            self._first = (self._first + 1) % len(self._urls)

    async def _send(
        self, method: str, url: str, data: bytes | None, headers: Mapping[str, str], connect: float
    ) -> Answer:
        async with self._session().request(
            method, url, data=data, headers=headers,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=max(0.05, connect)), allow_redirects=False,
        ) as response:  # fmt: skip
            body = bytearray()
            async for piece in response.content.iter_any():
                body += piece
                if len(body) > MOST_BYTES:
                    raise ValueError(f"the answer is longer than {MOST_BYTES} bytes")
            return Answer(response.status, response.headers, bytes(body))

    @asynccontextmanager
    async def lines(
        self, path: str, body: Any, headers: Mapping[str, str]
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """The lines of an answer that goes on. Raises EngineError, and TimeoutError is the caller's."""
        url = self._urls[self._first]
        where = self.where
        try:
            async with self._session().post(
                url + path, data=json.dumps(body).encode(), headers=headers,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._timeout), allow_redirects=False,
            ) as response:  # fmt: skip
                if response.status != 200:
                    raise EngineError(f"{where}: status {response.status}")
                yield aiter(response.content)
        except (aiohttp.ClientError, ValueError) as error:
            self._leave(url)
            raise EngineError(f"{where}: {error or 'the connection ended'}") from None

    def _session(self) -> aiohttp.ClientSession:
        if self._open is None:
            self._open = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=self._tls if self._tls is not None else True),
                headers=self._headers,
                middlewares=(_once,),
            )
        return self._open

    def parsed(self, body: bytes) -> Any:
        """What the JSON `body` says. Raises EngineError where it is none."""
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            raise EngineError(f"{self.where}: the answer is no JSON{shown(body)}") from None


def shown(body: bytes) -> str:
    """The beginning of an answer, for a message."""
    text = body[:SHOWN].decode("utf-8", "replace").strip()
    return f": {text!r}" if text else ""
