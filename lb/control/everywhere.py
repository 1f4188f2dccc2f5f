"""Overrides everywhere: what operators ordered of servers on all nodes of the cluster, as control has it.

Lives here: from the cluster's orders to the servers' layer, its events, giving and lifting one; the
implementation of lb.admin.view.EverywhereView. Must not live here: agreeing on orders (lb.cluster.ordering,
lb.cluster.obeying), overrides of this node alone (lb.control.overrides), how both rank (lb.upstream.status).
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Protocol

from lb.admin.view import ClusterAnswer, Ordered
from lb.cluster.contract import Engine, EngineError
from lb.cluster.obeying import FILE, Obeying, Remembered
from lb.cluster.records import Answer, CorruptError, Order, Orders, Wish
from lb.cluster.wishing import UnheardError
from lb.control.events import Events
from lb.control.overrides import describe
from lb.control.statedir import set_aside, write_whole
from lb.upstream.status import Mode, Override
from lb.worker.journal import Journal

Identity = tuple[str, str]  # service, address
Ask = Callable[[Wish], Awaitable[Answer]]

log = Journal("lb.control")


class Receiver(Protocol):
    """Of lb.control.statuses."""

    def override_everywhere(self, service: str, address: str, override: Override | None) -> None: ...


class Everywhere:
    """One per node of a cluster, in control's loop. What is on the disk holds at once."""

    def __init__(
        self, folder: Path, receiver: Receiver, events: Events, wall: Callable[[], float] = time.time
    ) -> None:
        """Raises OSError."""
        self._receiver = receiver
        self._events = events
        self._wall = wall
        self._all: dict[Identity, Ordered] = {}
        self._number = 0
        self._known = False  # past what was on the disk: from now on changes are told
        self.remembered = _remembered(folder)
        self._obeying: Obeying
        self._ask: Ask

    def prepare(self, engine: Engine, node: str, ask: Ask) -> Obeying:
        """In the loop, before anything is served; what is returned is to be run."""
        self._obeying = Obeying(engine, node, self.remembered, self._take, told=self._told, wall=self._wall)
        self._ask = ask
        self._known = True
        return self._obeying

    @property
    def all(self) -> Mapping[Identity, Ordered]:
        """What holds, by service and address."""
        return self._all

    def standing(self) -> Mapping[str, object]:
        """How sure that is: `number` of the orders, `age` of the engine's word in seconds (None: none yet),
        `error`: why there is none now, `trouble`: why the store's word is not obeyed."""
        reached = self._obeying.reached
        age = round(time.monotonic() - reached.at, 1) if reached.at else None
        return {
            "number": self._obeying.latest.number, "age": age, "error": reached.error,
            "trouble": self._obeying.trouble,
        }  # fmt: skip

    async def order(self, service: str, address: str, override: Override, base: int | None) -> ClusterAnswer:
        order = Order(
            service=service, address=address, mode=override.mode.value, weight=override.weight,
            author=override.author, reason=override.reason, since=override.since, until=override.until,
        )  # fmt: skip
        return await self._wish("override", order, base)

    async def lift(self, service: str, address: str, author: str, base: int | None) -> ClusterAnswer:
        return await self._wish("clear", Order(service=service, address=address, author=author), base)

    async def _wish(self, kind: str, order: Order, base: int | None) -> ClusterAnswer:
        wish = Wish(kind=kind, author=order.author, at=self._wall(), base=base, order=order)
        alone = "it can still be ordered of this node alone"
        try:
            answer = await self._ask(wish)
        except UnheardError as error:
            return ClusterAnswer("no_leader", f"{error}; nothing was ordered; {alone}")
        except EngineError as error:
            return ClusterAnswer("engine_away", f"{error}; look whether it holds (lb servers list); {alone}")
        except CorruptError as error:
            return ClusterAnswer("corrupt", str(error))
        if not answer.error:
            await self._obeying.step()
        return ClusterAnswer(answer.error, answer.message, answer.revision)

    def _take(self, orders: Orders) -> None:
        before = self._all
        by = f" by {orders.author}" if orders.author and orders.number == self._number + 1 else ""
        self._number = orders.number
        self._all = {(one.service, one.address): Ordered(_override(one), one.number) for one in orders.orders}
        for identity in before.keys() | self._all.keys():
            old, new = before.get(identity), self._all.get(identity)
            if old == new:
                continue
            self._receiver.override_everywhere(*identity, None if new is None else new.override)
            if self._known:
                self._emit(identity, old, new, by)

    def _emit(self, identity: Identity, old: Ordered | None, new: Ordered | None, by: str) -> None:
        """The one that holds, and the one that it took the place of. `by`: who lifted it, in words."""
        shown = new or old
        assert shown is not None
        override = shown.override
        if new is not None:
            reason, text = override.mode.value, describe(override)
            if old is not None:
                text += f" (in place of {describe(old.override)})"
        elif override.until and override.until <= self._wall():
            reason, text = "expired", f"{override.mode.value} by {override.author or 'somebody'} is over"
        else:
            reason, text = "cleared", f"{override.mode.value} lifted{by}"
        facts = {**override._asdict(), "mode": override.mode.value, "why": override.reason}
        del facts["reason"]  # an event's reason is the word that labels a counter
        service, address = identity
        self._events.emit(
            "override", reason, f"{service}/{address}, everywhere: {text}", service=service, server=address,
            everywhere=True, number=shown.number, **facts,
        )  # fmt: skip

    def _told(self, reason: str, text: str) -> None:
        self._events.emit("cluster_orders", reason, text)


def _remembered(folder: Path) -> Remembered:
    try:
        return Remembered(folder, write_whole)
    except ValueError as error:
        moved = set_aside(folder / FILE)
        log.error(f"{error}; this node takes the orders that the store says", moved_to=moved)
        return Remembered(folder, write_whole)


def _override(order: Order) -> Override:
    return Override(Mode(order.mode), order.weight, order.author, order.reason, order.since, order.until)
