"""The stream of requests as they end, for `lb tail`.

Lives here: server-sent events, and what becomes of requests that a slow client has no room for. Must not live
here: which requests are meant and how many a second (lb.control.tails).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

import msgspec
from aiohttp import web

from lb.admin.answers import failure
from lb.admin.events import STREAM_HEADERS, WRITE_TIMEOUT
from lb.admin.happened import shape
from lb.admin.keys import CONTROL, STREAMS
from lb.telemetry.condition import Condition
from lb.telemetry.decision import Decision

KEEP_ALIVE = 3.0  # seconds of silence before a comment; who is gone is noticed by it, and costs until then
WAITING = 1000  # requests that may wait for one client; more are counted as left out


async def tail(request: web.Request, condition: Condition, rate: int) -> web.StreamResponse:
    """Up to `rate` requests a second on which the condition holds, until the client goes."""
    return await _Stream(request).run(condition, rate)


class _Stream:
    """One client that looks on. Who is slow misses requests, who reads nothing is dropped."""

    def __init__(self, request: web.Request) -> None:
        self._request = request
        self._waiting: deque[bytes] = deque()
        self._left_out = 0
        self._more = asyncio.Event()
        self._over = False

    async def run(self, condition: Condition, rate: int) -> web.StreamResponse:
        close = self._request.app[CONTROL].tail(condition, rate, self._tell)
        if close is None:
            return failure(503, "too_many_streams", "too many look on already; end one")
        response, streams = web.StreamResponse(headers=STREAM_HEADERS), self._request.app[STREAMS]
        streams.add(self.end)
        try:
            await response.prepare(self._request)
            piece = b": lb\n\n"
            while not self._over:
                async with asyncio.timeout(WRITE_TIMEOUT):
                    await response.write(piece)
                piece = await self._next()
        except (TimeoutError, ConnectionError):
            if self._request.transport is not None:
                self._request.transport.abort()
        finally:
            close()
            streams.discard(self.end)
        return response

    def end(self) -> None:
        self._over = True
        self._more.set()

    async def _next(self) -> bytes:
        try:
            async with asyncio.timeout(KEEP_ALIVE):
                await self._more.wait()
        except TimeoutError:
            return b":\n\n"
        self._more.clear()
        if self._left_out:
            self._waiting.append(_encoded("left_out", {"count": self._left_out}))
            self._left_out = 0
        piece = b"".join(self._waiting)
        self._waiting.clear()
        return piece or b":\n\n"

    def _tell(self, decisions: Sequence[Decision], left_out: int) -> None:
        room = max(0, WAITING - len(self._waiting))
        self._waiting.extend(_encoded("request", shape(one)) for one in decisions[:room])
        self._left_out += left_out + max(0, len(decisions) - room)
        self._more.set()


def _encoded(name: str, data: object) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), msgspec.json.encode(data, enc_hook=str))
