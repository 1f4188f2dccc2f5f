"""A bell for the services that have no place to be watched: they are asked for at once when something
changed, and not only in their turn.

Lives here: two watches of all of a datacentre, one of its services and one of its checks that do not pass;
whom to ask after their answers, and how often. Must not live here: asking for a service (consul_watch).

Of services only the index is looked at: their answer does not say which of them is another, so all are asked.
Checks say whose they are. What they print is none of their state: of thousands of checks some print something
new all the time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from lb.discovery.consul_index import POLL, Cursor
from lb.discovery.contract import ProviderError
from lb.worker.journal import Journal

if TYPE_CHECKING:
    from lb.discovery.consul_http import Answer, ConsulClient

SERVICES = "/v1/catalog/services"
CHECKS = "/v1/health/state/any"
NOT_PASSING = {"filter": 'Status != "passing"'}
SPACING = 0.25  # seconds between two questions of a watch
MOST_ASKED = 700  # services a second that are asked because others may have changed
GROWTH_NOTHING = 2.0  # of the pause, where all were asked for nothing

log = Journal("lb.discovery")


class Check(Struct, frozen=True):
    """`service`: "" where it is the node's, and speaks of all services there."""

    node: str = msgspec.field(name="Node")
    id: str = msgspec.field(name="CheckID")
    status: str = msgspec.field(name="Status")
    service: str = msgspec.field(name="ServiceName", default="")


_CHECKS = msgspec.json.Decoder(list[Check] | None)


class Bell:
    """It is there while somebody listens. Where Consul does not answer it is silent, and says nothing of it:
    who listens asks by itself every POLL seconds, and tells."""

    def __init__(self, client: ConsulClient, where: Mapping[str, str]) -> None:
        self._client = client
        self._where = where
        self._listeners: set[Listener] = set()
        self._task: asyncio.Task[None] | None = None
        self._due = asyncio.Event()  # all are to be asked
        self._index: int | None = None
        self._failing: frozenset[Check] | None = None

    def listen(self, service: str) -> Listener:
        """`service`: whose checks count, "" for nobody's."""
        listener = Listener(self, service.lower())  # as Consul compares names
        self._listeners.add(listener)
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        return listener

    def forget(self, listener: Listener) -> None:
        self._listeners.remove(listener)
        if not self._listeners and self._task is not None:
            self._task.cancel()
            self._task = None

    async def _run(self) -> None:
        self._index = self._failing = None
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._follow(SERVICES, self._where, self._hear_services))
                group.create_task(self._follow(CHECKS, {**self._where, **NOT_PASSING}, self._hear_checks))
                group.create_task(self._ring())
        except Exception as error:
            log.bug("a bug in the watch of all of Consul; services are polled", error)

    async def _follow(self, path: str, asked: Mapping[str, str], hear: Callable[[Answer], None]) -> None:
        cursor = Cursor()
        while True:
            pause = SPACING
            try:
                answer = await self._client.ask(path, asked, cursor.index, self._client.connection.stale)
                hear(answer)
                cursor.advance(answer.index)
            except ProviderError as error:
                cursor.reset()
                pause = max(POLL, error.wait)
            await asyncio.sleep(pause)

    def _hear_services(self, answer: Answer) -> None:
        if self._index is not None and answer.index != self._index:
            self._due.set()
        self._index = answer.index

    def _hear_checks(self, answer: Answer) -> None:
        try:
            failing = frozenset(_CHECKS.decode(answer.body) or ())
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ProviderError(f"Consul's answer on its checks is not what it should be: {error}") from None
        if self._failing is not None:
            changed = {check.service.lower() for check in failing ^ self._failing}
            if "" in changed:
                changed.remove("")
                self._due.set()
            for listener in self._listeners:
                if listener.service in changed:
                    listener.rung.set()
        self._failing = failing

    async def _ring(self) -> None:
        """All, not more often than MOST_ASKED allows, and less where others than ours change all the time."""
        now = asyncio.get_running_loop().time
        pause = 0.0
        while True:
            news = self._client.news
            await asyncio.sleep(pause)
            waited = now()
            await self._due.wait()
            self._due.clear()
            least = max(SPACING, len(self._listeners) / MOST_ASKED)
            fruitless = news == self._client.news and now() - waited < POLL
            pause = max(least, min(POLL, GROWTH_NOTHING * pause)) if fruitless else least
            for listener in self._listeners:
                listener.rung.set()


class Listener:
    """Who asks for one service in turn. `rung` stays set through a question: what changes meanwhile is asked
    for again."""

    def __init__(self, bell: Bell, service: str) -> None:
        self.service = service
        self.rung = asyncio.Event()
        self._bell = bell

    async def rest(self, pause: float, sleep: Callable[[float], Awaitable[None]]) -> None:
        """For `pause` seconds, then until the bell rings, or for POLL seconds."""
        await sleep(pause)
        waits = asyncio.ensure_future(sleep(POLL)), asyncio.ensure_future(self.rung.wait())
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        self.rung.clear()

    def leave(self) -> None:
        self._bell.forget(self)
