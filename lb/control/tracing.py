"""Export: the spans of sampled exchanges on their way to an OpenTelemetry collector.

OTLP over HTTP, protobuf. Lives here: the queue, batches, trying again, the count of what was lost. Must not
live here: what a span says (lb.telemetry.spans). It never holds up control: messages are made in a thread,
and what does not fit into the queue is lost and counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
import uuid
from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple
from urllib.parse import urlsplit

import aiohttp

from lb import __version__
from lb.config.tracing import TracingSpec
from lb.telemetry.decision import Decision, Kept
from lb.telemetry.spans import count, encode, rejected
from lb.worker.journal import Journal

QUEUE = 4096  # exchanges that wait: some megabytes
BATCH = 256  # of them in one message
EVERY = 1.0  # seconds between two messages where fewer wait
TIMEOUT = 10.0  # seconds for one POST
FIRST_DELAY, LAST_DELAY = 1.0, 30.0  # seconds before a message is sent again: doubled from try to try
LAST_WORDS = 2.0  # seconds at the end of lb for what still waits
QUIET = 60.0  # seconds after it was said that it works again in which no trouble is said
AGAIN = (429, 502, 503, 504)  # OTLP: only after these answers may a message be sent again
REASONS = ("queue", "refused", "unsent")
_MOST_ANSWER = 64 * 1024  # bytes

log = Journal("lb.control")


class _Answer(NamedTuple):
    """`problem`: "" for none; `again`: it may go better, after `wait` seconds where the collector said so;
    `refused`: spans of the message that it did not take."""

    problem: str = ""
    again: bool = False
    wait: float = 0.0
    refused: int = 0


class SpanExport:
    """Takes decisions with `take`, which never waits. `exported`, `dropped` (by REASONS): spans."""

    def __init__(self, first_delay: float = FIRST_DELAY, every: float = EVERY) -> None:
        self.exported = 0
        self.dropped = dict.fromkeys(REASONS, 0)
        self._first_delay = first_delay
        self._every = every
        self._spec: TracingSpec | None = None
        self._waiting: deque[Decision] = deque()
        self._enough = asyncio.Event()  # not to wait any longer
        self._changed = asyncio.Event()  # the section is another one: try at once
        self._empty = asyncio.Event()
        self._empty.set()
        self._failing: set[str] = (
            set()
        )  # what was said since it worked: a line of each, one when it does again
        self._quiet = 0.0  # until when nothing is said of trouble
        self._instance = str(uuid.uuid4())
        self._host = socket.gethostname()

    def configure(self, spec: TracingSpec | None) -> None:
        """The section of a generation; None: there is none."""
        if spec == self._spec:
            return
        self._spec = spec
        self._changed.set()
        if spec is None or spec.endpoint is None:
            self._forget("unsent", len(self._waiting))

    def take(self, decisions: Sequence[Decision]) -> None:
        """Those of one worker's tick; what was not traced is passed over."""
        if self._spec is None or self._spec.endpoint is None:
            return
        for decision in decisions:
            if not decision.kept & Kept.TRACE or not decision.span_id:
                continue
            if len(self._waiting) >= QUEUE:
                self.dropped["queue"] += count(decision)
                continue
            self._waiting.append(decision)
            self._empty.clear()
        if len(self._waiting) >= BATCH:
            self._enough.set()

    async def run(self) -> None:
        """Send what comes, until cancelled."""
        timeout = aiohttp.ClientTimeout(total=TIMEOUT)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._every):
                        await self._enough.wait()
                while self._waiting:
                    await self._deliver(session)
                self._enough.clear()
                self._empty.set()

    async def finish(self) -> None:
        """Wait a moment until everything was sent."""
        self._enough.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS):
                await self._empty.wait()
        left = sum(count(decision) for decision in self._waiting)
        if left:
            self._forget("unsent", len(self._waiting))
            log.warning("spans were not sent before the end", spans=left)

    async def _deliver(self, session: aiohttp.ClientSession) -> None:
        """Send one batch, however often it takes."""
        delay = self._first_delay
        while self._waiting and self._spec is not None:
            self._changed.clear()
            batch = list(islice(self._waiting, BATCH))
            answer = await self._send(session, self._spec, batch)
            if not self._waiting or self._waiting[0] is not batch[0]:
                return  # nobody wants them any more
            if not answer.again:
                size = sum(map(count, batch))
                refused = min(size, answer.refused)
                self._forget("refused", len(batch), refused)
                self.exported += size - refused
            if answer.problem:
                self._fail(answer)
            else:
                self._worked()
            if not answer.again:
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(delay, min(answer.wait, LAST_DELAY))):
                    await self._changed.wait()
            delay = min(2 * delay, LAST_DELAY)

    async def _send(
        self, session: aiohttp.ClientSession, spec: TracingSpec, batch: list[Decision]
    ) -> _Answer:
        resource = {
            "service.name": spec.service_name, "service.version": __version__,
            "service.instance.id": self._instance, "host.name": self._host,
        }  # fmt: skip
        body = await asyncio.to_thread(encode, batch, resource)
        headers = {**spec.sent_headers(), "Content-Type": "application/x-protobuf"}
        try:
            async with session.post(
                str(spec.endpoint), data=body, headers=headers, allow_redirects=False
            ) as response:
                said = await _whole(response.content)
                if 200 <= response.status < 300:
                    refused, why = rejected(said)
                    return _Answer(f"it refused some: {why[:200]}" if refused else "", refused=refused)
                again = response.status in AGAIN
                wait = response.headers.get("Retry-After", "")
                return _Answer(
                    f"it answered {response.status}", again, float(wait) if wait.isdecimal() else 0.0,
                    refused=sum(map(count, batch)),
                )  # fmt: skip
        except TimeoutError:
            return _Answer(f"no answer within {TIMEOUT:g}s", True)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return _Answer(f"it cannot be reached ({type(error).__name__})", True)

    def _forget(self, reason: str, decisions: int, spans: int | None = None) -> None:
        """The next `decisions` wait no longer; `spans` of them, or all, are lost."""
        gone = [self._waiting.popleft() for _ in range(decisions)]
        self.dropped[reason] += sum(map(count, gone)) if spans is None else spans

    def _fail(self, answer: _Answer) -> None:
        fate = f"{QUEUE} exchanges wait, more are lost" if answer.again else "what it refuses is lost"
        if fate in self._failing or time.monotonic() < self._quiet:
            return
        self._failing.add(fate)
        log.warning(f"the collector does not take spans: {fate}", host=self._where(), problem=answer.problem)

    def _worked(self) -> None:
        if self._failing:
            self._failing.clear()
            self._quiet = time.monotonic() + QUIET
            log.note("the collector takes spans again", host=self._where(), lost=sum(self.dropped.values()))

    def _where(self) -> str:
        return urlsplit(self._spec.endpoint or "").netloc if self._spec is not None else ""


async def _whole(content: aiohttp.StreamReader) -> bytes:
    """Up to _MOST_ANSWER."""
    found = b""
    while len(found) < _MOST_ANSWER and (piece := await content.read(_MOST_ANSWER - len(found))):
        found += piece
    return found
