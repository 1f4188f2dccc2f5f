"""The HTTP probe: one HTTP/1.1 request on a connection of its own, the answer read as strictly as a client's.

Lives here: the request, reading up to a bound, the judgement. Must not live here: parsing (lb.http1). It
follows no redirects: a server that sends its clients elsewhere has not said that it works. A protocol of
our own, not a client library: hundreds of these run every second.
"""

from __future__ import annotations

import asyncio
import re
from functools import lru_cache
from typing import cast

from lb import __version__
from lb.health.attempt import Attempt, Outcome
from lb.health.connect import connect, shown_place
from lb.health.faults import fault, shown
from lb.health.plan import HttpProbe
from lb.http1.body import CHUNKED, CLOSE, LENGTH, NONE, BodyReader
from lb.http1.response import BAD, MORE, read_response
from lb.message import ResponseHead

MOST_BODY = 64 * 1024  # bytes of an answer that are looked at; what follows is not waited for
MOST_HEAD = 32 * 1024
MOST_FIELDS = 256
MOST_INTERIM = 10  # 1xx answers before the one that counts


async def probe(attempt: Attempt, settings: HttpProbe) -> Outcome:
    """Raises as `connect` does."""
    done: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
    transport, _ = await connect(
        attempt, lambda: Asking(attempt, settings, done), settings.port, settings.tls, "http/1.1"
    )
    try:
        return await done
    except BaseException:
        transport.abort()
        raise


def request(settings: HttpProbe, address: str) -> bytes:
    """The request as it is sent. A header of the settings takes the place of ours of the same name."""
    lines = {
        "host": settings.host or shown_place(address, settings.port),
        "user-agent": f"lb/{__version__} (health check)",
        "accept": "*/*",
        "accept-encoding": "identity",
        "connection": "close",
    }
    if settings.method not in ("GET", "HEAD", "OPTIONS"):
        lines["content-length"] = "0"
    lines |= {name.lower(): value for name, value in settings.headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"{settings.method} {settings.path} HTTP/1.1\r\n{head}\r\n".encode()


class Asking(asyncio.Protocol):
    """The connection of one probe; `done` gets the outcome, once."""

    __slots__ = ("_at", "_attempt", "_body", "_content", "_done", "_head", "_interim", "_raw", "_settings",
                 "_transport")  # fmt: skip

    def __init__(self, attempt: Attempt, settings: HttpProbe, done: asyncio.Future[Outcome]) -> None:
        self._attempt = attempt
        self._settings = settings
        self._done = done
        self._head = ResponseHead()
        self._body: BodyReader | None = None
        self._raw = b""
        self._at = 0  # where in _raw the head begins that is being read
        self._interim = 0
        self._content = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none of its subclasses
        self._attempt.awaits = "answer"
        self._transport.write(request(self._settings, self._attempt.plan.address))

    def data_received(self, data: bytes) -> None:
        if self._done.done():
            return
        if self._body is None:
            self._read_head(data)
        else:
            self._read_body(data, 0)

    def eof_received(self) -> None:
        if self._done.done():
            return
        if self._body is not None and self._body.kind == CLOSE:
            self._body.done = True
            self._judge()
        elif not self._raw:
            self._finish(False, "the server closed the connection without an answer")
        else:
            self._finish(False, "the server closed the connection in the middle of its answer")

    def connection_lost(self, error: Exception | None) -> None:
        if error is not None:
            self._finish(False, fault(error))
        else:
            self.eof_received()

    def _read_head(self, data: bytes) -> None:
        scanned = len(self._raw)
        self._raw += data
        while True:
            end = read_response(self._raw, self._at, scanned, self._head, MOST_HEAD, MOST_FIELDS)
            if end == MORE:
                return
            if end == BAD:
                self._finish(False, f"the answer is not HTTP/1: {shown(self._raw[self._at :])}")
                return
            if self._head.status >= 200 or self._head.status == 101:
                break
            self._interim += 1
            if self._interim > MOST_INTERIM:
                self._finish(False, f"more than {MOST_INTERIM} interim answers (1xx)")
                return
            self._at = scanned = end
        status = self._head.status
        if not any(least <= status <= most for least, most in self._settings.status):
            self._finish(False, f"HTTP {status}, expected {ranges(self._settings.status)}")
            return
        self._attempt.awaits = "end of the answer"
        self._body = BodyReader()
        self._body.begin(self._framing(), self._head.content_length)
        if self._body.done:
            self._judge()
        else:
            self._read_body(self._raw, end)

    def _framing(self) -> int:
        head = self._head
        if self._settings.method == "HEAD" or head.status in (101, 204, 304):
            return NONE
        if head.chunked:
            return CHUNKED
        return LENGTH if head.content_length >= 0 else CLOSE

    def _read_body(self, data: bytes, at: int) -> None:
        body = self._body
        assert body is not None
        if body.read(data, at) < 0:
            self._finish(False, f"HTTP {self._head.status}, but its chunks are malformed")
            return
        self._content += body.piece
        if body.done or body.total >= MOST_BODY:
            self._judge()

    def _judge(self) -> None:
        settings = self._settings
        status = self._head.status
        if settings.body is not None or settings.regex is not None:
            content = bytes(self._content[:MOST_BODY])
            where = "the answer" if len(self._content) < MOST_BODY else f"its first {MOST_BODY} bytes"
            if settings.body is not None and settings.body.encode() not in content:
                self._finish(False, f"HTTP {status}, but {settings.body!r} is not in {where}")
                return
            if settings.regex is not None and not found(settings.regex, content):
                self._finish(False, f"HTTP {status}, but nothing in {where} matches {settings.regex!r}")
                return
        self._finish(True, f"HTTP {status}")

    def _finish(self, ok: bool, why: str) -> None:
        if not self._done.done():
            self._done.set_result(Outcome(ok, why))
            self._transport.close()


def ranges(status: tuple[tuple[int, int], ...]) -> str:
    """As in the configuration: "200-399, 404"."""
    return ", ".join(f"{least}" if least == most else f"{least}-{most}" for least, most in status)


def found(regex: str, content: bytes) -> bool:
    return _compiled(regex).search(content.decode("utf-8", "replace")) is not None


@lru_cache(maxsize=256)
def _compiled(regex: str) -> re.Pattern[str]:
    return re.compile(regex)
