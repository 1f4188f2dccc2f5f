"""The webhook: every event, posted as JSON to the URL of the configuration, in order, one at a time.

Lives here: the queue, the tries, the count of what was lost. Must not live here: the events themselves
(lb.control.events). It never holds up control: what does not fit into the queue is lost and counted.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from urllib.parse import urlsplit

import aiohttp
import msgspec

from lb.admin.shapes import event as shaped
from lb.control.events import Event
from lb.worker.journal import Journal

QUEUE = 1000  # events that wait
TIMEOUT = 5.0  # seconds for one POST
DELAYS = (0.0, 0.5, 2.0, 8.0)  # seconds before the first try, the second, …; then the event is lost
LAST_WORDS = 1.0  # seconds at the end of lb for what still waits

log = Journal("lb.control")


class Webhook:
    """Takes events with `tell`, which never waits. `lost`: how many were given up."""

    def __init__(self, url: Callable[[], str | None], delays: tuple[float, ...] = DELAYS) -> None:
        """`url`: asked for every event, so that a reload can change it; None: events are forgotten."""
        self.lost = 0
        self._url = url
        self._delays = delays
        self._waiting: deque[Event] = deque()
        self._more = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self._failing = False  # one line in the log at the first loss, one when it works again

    def tell(self, event: Event) -> None:
        """A listener of lb.control.events."""
        if self._url() is None:
            return
        if len(self._waiting) >= QUEUE:
            self._lose("its queue is full")
            return
        self._waiting.append(event)
        self._empty.clear()
        self._more.set()

    async def run(self) -> None:
        """Post what comes, until cancelled."""
        timeout = aiohttp.ClientTimeout(total=TIMEOUT)
        async with aiohttp.ClientSession(timeout=timeout, auto_decompress=False) as session:
            while True:
                await self._more.wait()
                while self._waiting:
                    await self._deliver(session, self._waiting[0])
                    self._waiting.popleft()
                self._more.clear()
                self._empty.set()

    async def finish(self) -> None:
        """Wait a moment until everything was posted."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS):
                await self._empty.wait()

    async def _deliver(self, session: aiohttp.ClientSession, event: Event) -> None:
        body = msgspec.json.encode(shaped(event), enc_hook=str)
        problem = ""
        for delay in self._delays:
            await asyncio.sleep(delay)
            url = self._url()
            if url is None:
                return
            problem, again = await self._post(session, url, body)
            if not problem:
                self._worked()
                return
            if not again:
                break
        self._lose(problem)

    async def _post(self, session: aiohttp.ClientSession, url: str, body: bytes) -> tuple[str, bool]:
        """What went wrong, "" for nothing; and whether it may go better."""
        try:
            async with session.post(
                url, data=body, headers={"Content-Type": "application/json"}, allow_redirects=False
            ) as response:
                if 200 <= response.status < 300:
                    return "", False
                return f"it answered {response.status}", response.status >= 500 or response.status in (
                    408,
                    429,
                )
        except TimeoutError:
            return f"no answer within {TIMEOUT:g}s", True
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return f"it cannot be reached ({type(error).__name__})", True  # their texts repeat the URL

    def _lose(self, problem: str) -> None:
        self.lost += 1
        if not self._failing:
            self._failing = True
            url = self._url() or ""
            log.warning(
                "the webhook does not take events: they are lost to it until it does",
                host=urlsplit(url).netloc.rpartition("@")[2], problem=problem,
            )  # fmt: skip

    def _worked(self) -> None:
        if self._failing:
            self._failing = False
            log.note("the webhook takes events again", lost=self.lost)
