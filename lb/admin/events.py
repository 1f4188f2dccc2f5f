"""The endpoint of events: the last ones as a list, or all of them as they come.

Lives here: server-sent events (HTML 9.2) and who is too slow for them. Must not live here: keeping events
(lb.control.events).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
from aiohttp import web

from lb.admin import shapes
from lb.admin.answers import answer, failure, preferred
from lb.admin.keys import CONTROL, STREAMS
from lb.admin.view import Event

MOST_STREAMS = 100  # at a time
WAITING = 256  # events that may wait for one client
KEEP_ALIVE = 15.0  # seconds of silence before a comment is sent
WRITE_TIMEOUT = 10.0  # seconds for a client to take what was sent
LONGEST = 18  # digits of a number of an event; Python refuses to read thousands of them
STREAM = "text/event-stream"
STREAM_HEADERS = {
    "Content-Type": STREAM,
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Accel-Buffering": "no",  # a proxy in front passes each on at once
}


async def events(request: web.Request) -> web.StreamResponse:
    """?after=NUMBER: those with a higher number. A stream without it and without Last-Event-ID begins now."""
    streamed = preferred(request.headers.get("Accept", ""), "application/json", STREAM) == STREAM
    given = request.query.get("after", request.headers.get("Last-Event-ID") if streamed else None)
    if given is not None and not (given.isascii() and given.isdigit() and len(given) <= LONGEST):
        return failure(400, "bad_request", f"found after={given[:40]!r}; expected the number of an event")
    last = request.app[CONTROL].last_events()
    if streamed and request.method == "GET":
        if len(request.app[STREAMS]) >= MOST_STREAMS:
            return failure(503, "too_many_streams", f"{MOST_STREAMS} streams of events are open; end one")
        missed = [] if given is None else _after(last, int(given))
        return await _Stream(request).run(missed)
    return answer({"events": [shapes.event(event) for event in _after(last, int(given or 0))]})


def _after(last: Sequence[Event], number: int) -> list[Event]:
    if last and last[-1].number < number:  # counted by the lb before this one: all of ours are news
        number = 0
    return [event for event in last if event.number > number]


class _Stream:
    """One client that follows. It is dropped where it does not take what it is sent; it comes back with
    Last-Event-ID."""

    def __init__(self, request: web.Request) -> None:
        self._request = request
        self._waiting: asyncio.Queue[bytes] = asyncio.Queue(WAITING)

    async def run(self, missed: Sequence[Event]) -> web.StreamResponse:
        response = web.StreamResponse(headers=STREAM_HEADERS)
        streams = self._request.app[STREAMS]
        unfollow = self._request.app[CONTROL].follow(self._tell)
        streams.add(self.end)
        try:
            await response.prepare(self._request)
            piece = b": lb\n\n" + b"".join(_encoded(event) for event in missed)
            while piece:
                async with asyncio.timeout(WRITE_TIMEOUT):
                    await response.write(piece)
                piece = await self._next()
        except (TimeoutError, ConnectionError):
            self._drop()
        finally:
            unfollow()
            streams.discard(self.end)
        return response

    def end(self) -> None:
        """After what waits, the stream ends."""
        self._put(b"")

    async def _next(self) -> bytes:
        """What to write next; nothing at the end."""
        try:
            async with asyncio.timeout(KEEP_ALIVE):
                return await self._waiting.get()
        except TimeoutError:
            return b":\n\n"

    def _tell(self, event: Event) -> None:
        self._put(_encoded(event))

    def _put(self, piece: bytes) -> None:
        try:
            self._waiting.put_nowait(piece)
        except asyncio.QueueFull:
            self._drop()

    def _drop(self) -> None:
        """Without a word: an orderly end would wait for the client to read."""
        if self._request.transport is not None:
            self._request.transport.abort()


def _encoded(event: Event) -> bytes:
    data = msgspec.json.encode(shapes.event(event), enc_hook=str)
    return b"id: %d\ndata: %b\n\n" % (event.number, data)
