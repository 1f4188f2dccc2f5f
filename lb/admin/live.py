"""The endpoints of the live view: all that goes on now, as one answer or as a stream, and the last hour.

Lives here: server-sent events of the rows that change, who is too slow for them, questions for history. Must
not live here: measuring (lb.control.live).
"""

from __future__ import annotations

import asyncio
from collections import deque

import msgspec
from aiohttp import web

from lb.admin import shapes
from lb.admin.answers import answer, failure, preferred
from lb.admin.events import KEEP_ALIVE, MOST_STREAMS, STREAM, STREAM_HEADERS, WRITE_TIMEOUT
from lb.admin.keys import CONTROL, STREAMS
from lb.admin.view import Event, Rows

WAITING = 8  # looks that may wait for one client; then it begins anew with the whole
EVENTS_WAITING = 256  # events that may; of more the oldest are left out
MOST_SERIES = 64  # that one question may ask for
SPANS = {"minutes": False, "hour": True}


async def live(request: web.Request) -> web.StreamResponse:
    streamed = preferred(request.headers.get("Accept", ""), "application/json", STREAM) == STREAM
    control = request.app[CONTROL]
    if not streamed or request.method != "GET":
        return answer(control.live.whole())
    streams = request.app[STREAMS]
    if len(streams) >= MOST_STREAMS:
        return failure(503, "too_many_streams", f"{MOST_STREAMS} streams are open; end one")
    return await _Stream(request).run()


async def history(request: web.Request) -> web.Response:
    """?route=, ?service=, ?listener=, ?server=SERVICE/ADDRESS, each as often as wanted; none: all of lb."""
    view = request.app[CONTROL].live
    span = request.query.get("span", "hour")
    if span not in SPANS:
        return failure(400, "bad_request", f"found span={span[:40]!r}; expected hour or minutes")
    wanted: list[tuple[str, ...]] = []
    for kind, name in request.query.items():
        if kind in ("route", "service", "listener"):
            wanted.append((kind, name))
        elif kind == "server":
            wanted.append((kind, *name.split("/", 1)))
        elif kind != "span":
            return failure(
                400, "bad_request", f"{kind[:40]!r} is no listener, route, service, server or span"
            )
    if len(wanted) > MOST_SERIES:
        return failure(400, "bad_request", f"{len(wanted)} series were asked for; at most {MOST_SERIES}")
    found, unknown = [], []
    for identity in wanted or [("total",)]:
        points = view.history(identity, SPANS[span])
        named = {"kind": identity[0], "name": "/".join(identity[1:])}
        if points is None:  # a reload may have taken it away since the client saw it
            unknown.append(named)
        else:
            found.append({**named, **points._asdict()})
    return answer({"span": span, "series": found, "unknown": unknown})


class _Stream:
    """One client that follows: all first, then each second what changed, and events as they come: hundreds at
    a time, where a machine dies. Who reads too slowly misses seconds and gets all again; who reads nothing is
    dropped."""

    def __init__(self, request: web.Request) -> None:
        self._request = request
        self._view = request.app[CONTROL].live
        self._waiting: deque[bytes] = deque()
        self._events: deque[bytes] = deque(maxlen=EVENTS_WAITING)
        self._more = asyncio.Event()
        self._behind = False
        self._over = False

    async def run(self) -> web.StreamResponse:
        response = web.StreamResponse(headers=STREAM_HEADERS)
        control, streams = self._request.app[CONTROL], self._request.app[STREAMS]
        unfollow = (self._view.follow(self._tell), control.follow(self._tell_event))
        streams.add(self.end)
        try:
            await response.prepare(self._request)
            while not self._over:
                async with asyncio.timeout(WRITE_TIMEOUT):
                    await response.write(self._next())
                try:
                    async with asyncio.timeout(KEEP_ALIVE):
                        await self._more.wait()
                except TimeoutError:
                    self._waiting.append(b":\n\n")
        except (TimeoutError, ConnectionError):
            if self._request.transport is not None:
                self._request.transport.abort()
        finally:
            for end in unfollow:
                end()
            streams.discard(self.end)
        return response

    def end(self) -> None:
        self._over = True
        self._more.set()

    def _next(self) -> bytes:
        self._more.clear()
        if self._behind:
            self._behind = False
            self._waiting.clear()
            self._waiting.append(_encoded("whole", self._view.whole()))
        piece = b"".join((*self._waiting, *self._events))
        self._waiting.clear()
        self._events.clear()
        return piece

    def _tell(self, rows: Rows, whole: bool) -> None:
        if len(self._waiting) >= WAITING:
            self._behind = True
        if not self._behind:
            self._waiting.append(_encoded("whole" if whole else "change", rows))
        self._more.set()

    def _tell_event(self, event: Event) -> None:
        self._events.append(_encoded("event", shapes.event(event)))
        self._more.set()


def _encoded(name: str, data: object) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), msgspec.json.encode(data, enc_hook=str))
