"""The suite that every Provider passes, whatever its source.

To test one of your own: subclass `ProviderSuite` in a test module, and give it `source`, a context manager
over something whose truth a test can set and break.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing
from typing import Protocol

import pytest

from lb.discovery.contract import Member, Membership, Provider, ProviderError

WITHIN = 10.0  # seconds for a change to be told


class Source(Protocol):
    """What a Provider follows, in the hands of a test. Addresses are "127.0.0.1:PORT"."""

    def provider(self) -> Provider: ...
    async def set(self, addresses: list[str]) -> None: ...
    async def spoil(self) -> None:
        """Make it fail as a whole."""

    async def mend(self) -> None: ...


A, B, C = "127.0.0.1:7001", "127.0.0.1:7002", "127.0.0.1:7003"


async def until(words: AsyncIterator[Membership], wanted: set[str]) -> Membership:
    """The first word that names these and no others."""
    async with asyncio.timeout(WITHIN):
        async for word in words:
            if {member.address for member in word.members} == wanted:
                return word
    raise AssertionError("it ended")


class ProviderSuite:
    def source(self) -> AbstractAsyncContextManager[Source]:
        raise NotImplementedError

    def run(self, script: Callable[[Source], Awaitable[None]]) -> None:
        async def go() -> None:
            async with self.source() as source:
                before = asyncio.all_tasks()
                await script(source)
                await asyncio.sleep(0)
                assert asyncio.all_tasks() == before, "a task is left"

        asyncio.run(go())

    def test_the_whole_truth_now_and_after_every_change(self) -> None:
        async def script(source: Source) -> None:
            await source.set([A, B])
            async with aclosing(source.provider().watch()) as words:
                found = await until(words, {A, B})
                assert all(isinstance(member, Member) for member in found.members)
                await source.set([B, C])
                await until(words, {B, C})
                await source.set([A])
                await until(words, {A})

        self.run(script)

    def test_nobody_is_a_truth_too(self) -> None:
        async def script(source: Source) -> None:
            await source.set([A])
            async with aclosing(source.provider().watch()) as words:
                await until(words, {A})
                await source.set([])
                await until(words, set())

        self.run(script)

    def test_a_source_that_fails_is_an_error_and_can_be_watched_again(self) -> None:
        async def script(source: Source) -> None:
            await source.set([A])
            provider = source.provider()
            async with aclosing(provider.watch()) as words:
                await until(words, {A})
                await source.spoil()
                with pytest.raises((ProviderError, OSError, TimeoutError)) as failed:
                    async with asyncio.timeout(WITHIN):
                        async for word in words:
                            assert {m.address for m in word.members} == {A}, "a failure is no answer"
                assert str(failed.value), "an operator must be told something"
            await source.mend()
            await source.set([B])
            async with aclosing(provider.watch()) as words:
                await until(words, {B})

        self.run(script)

    def test_it_can_be_closed_while_it_waits(self) -> None:
        async def script(source: Source) -> None:
            await source.set([A])
            words = source.provider().watch()
            await until(words, {A})
            waiting = asyncio.create_task(anext(words))
            await asyncio.sleep(0.05)
            waiting.cancel()
            await asyncio.wait([waiting], timeout=WITHIN)
            assert waiting.done()
            await words.aclose()  # type: ignore[attr-defined]

        self.run(script)

    def test_it_does_not_stop_the_loop(self) -> None:
        async def script(source: Source) -> None:
            await source.set([A])
            longest = 0.0

            async def tick() -> None:
                nonlocal longest
                while True:
                    before = time.monotonic()
                    await asyncio.sleep(0.005)
                    longest = max(longest, time.monotonic() - before)

            async with aclosing(source.provider().watch()) as words:
                ticking = asyncio.create_task(tick())
                await until(words, {A})
                for addresses in ([B], [A, C], [B]):
                    await source.set(addresses)
                    await until(words, set(addresses))
                ticking.cancel()
                await asyncio.wait([ticking])
            assert longest < 0.5

        self.run(script)
