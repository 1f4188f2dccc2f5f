"""Asking: one source, asked for as long as it is of interest, whatever it tells.

Lives here: asking again after a failure, whether the source answers, how old its word is. Must not live here:
what is done with its word (lb.discovery.following, lb.discovery.cataloguing). Runs in control's loop.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import aclosing
from random import Random
from typing import Generic, Protocol, TypeVar

from lb.discovery.contract import ProviderError
from lb.worker.journal import Journal

FIRST_PAUSE = (
    0.5  # seconds before a source that failed is asked again, twice as long each time; less by jitter
)
LONGEST_PAUSE = 30.0
STEADY = 2.0  # seconds: a source that answers and fails within less is no healthier for its one word

log = Journal("lb.discovery")


class Aged(Protocol):
    """A word of a source. `age`: how many seconds old the source knows it to be."""

    @property
    def age(self) -> float: ...


Word = TypeVar("Word", bound=Aged)
Said_co = TypeVar("Said_co", bound=Aged, covariant=True)


class Telling(Protocol[Said_co]):
    """A source: its whole word now and after every change; it raises where it fails."""

    def watch(self) -> AsyncIterator[Said_co]: ...


class Asking(ABC, Generic[Word]):
    """`heard`: whether the source answered in this life; `answered_at`: the loop's time of its last answer,
    less the age that this had; `error`: why it does not answer now."""

    def __init__(self, service: str, source: str, provider: Telling[Word], random: Random | None) -> None:
        """`service`, `source`: for people."""
        self.service = service
        self.source = source
        self.provider = provider
        self.heard = False
        self.first = asyncio.Event()
        self.answered_at: float | None = None
        self.error = ""
        self.errors = 0
        self.updates = 0
        self._old = False  # the source itself calls its last word old
        self._random = random or Random()

    @property
    def age(self) -> float:
        """Seconds since the source last confirmed what is in force; -1 where it never did."""
        if self.answered_at is None:
            return -1.0
        # a source that holds its answer until something changes confirms by holding
        if self.heard and not self.error and not self._old:
            return 0.0
        return asyncio.get_running_loop().time() - self.answered_at

    async def run(self) -> None:
        """Ask until cancelled."""
        failures, pause = 0, 0.0
        loop = asyncio.get_running_loop()
        try:
            while True:
                wait, answered = 0.0, None
                try:
                    async with aclosing(self.provider.watch()) as words:  # type: ignore[type-var]
                        async for word in words:
                            answered = answered or loop.time()
                            self._answered(word)
                    raise ProviderError(f"{self.source} ended its answers")
                except (ProviderError, OSError, TimeoutError) as error:
                    wait = error.wait if isinstance(error, ProviderError) else 0.0
                    self._fail(str(error) or type(error).__name__)
                except Exception as error:
                    log.bug("a bug in a provider; it is started again", error, service=self.service)
                    self._fail(f"a bug in the provider of {self.source}: {type(error).__name__}")
                # one word is no sign of health, an answer that outlasted the pause before it is: a source
                # that fails now and then is asked soon each time, one that fails after each word ever less
                if answered is not None and loop.time() - answered >= max(STEADY, pause):
                    failures = 0
                failures += 1
                pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(failures - 1, 16))
                await asyncio.sleep(wait + pause * self._random.uniform(0.5, 1.0))
        finally:
            self._ended()

    @abstractmethod
    def _hear(self, word: Word) -> None:
        """What the source says now."""

    @abstractmethod
    def _ended(self) -> None:
        """Nobody asks any more: free timers."""

    def _answered(self, word: Word) -> None:
        self.answered_at = asyncio.get_running_loop().time() - word.age
        self._old = word.age > 0
        if self.error:
            log.note("a source answers again", service=self.service, source=self.source)
            self.error = ""
        self._hear(word)

    def _fail(self, error: str) -> None:
        self.errors += 1
        if not self.error:
            if self.answered_at is not None and self.heard and not self._old:
                self.answered_at = asyncio.get_running_loop().time()
            log.warning(
                "a source does not answer: what it said last stays in force",
                service=self.service, source=self.source, why=error,
            )  # fmt: skip
        self.error = error
