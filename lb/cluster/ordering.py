"""The leader's word on orders: what operators want of servers everywhere, decided one after the other.

Lives here: what is ordered, over what, under which number. Must not live here: the transaction
(lb.cluster.desk), what a node does with it (lb.cluster.obeying).

All orders are one entry, so a node has all of them or those before; an order is refused where its author
has not seen the one that it would take the place of.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Awaitable, Callable

import msgspec

from lb.cluster.contract import Engine, Entry, Write
from lb.cluster.records import Answer, CorruptError, Order, Orders, Wish, decode, encode

KEY = "overrides/all"
OBEYED = "obeyed"  # where nodes lay what they obey, should the store say something older
SHARE = 0.5  # of the engine's limit: the answer is in the same transaction

Decide = Callable[[int, Wish], Awaitable[tuple[Answer, list[Write]]]]


def read(entry: Entry | None) -> Orders:
    """Raises CorruptError."""
    return Orders() if entry is None else decode(KEY, entry.value, Orders)


def find(orders: Orders, service: str, address: str) -> Order | None:
    return next((one for one in orders.orders if (one.service, one.address) == (service, address)), None)


def over(order: Order, now: float) -> bool:
    """`now`: unix seconds."""
    return 0 < order.until <= now


class Ordering:
    """What the desk asks. `remembered`: what this node obeys, for a store that lost its memory; what other
    nodes obey then is in the store (lb.cluster.obeying)."""

    def __init__(
        self, engine: Engine, remembered: Callable[[], Orders], wall: Callable[[], float] = time.time
    ) -> None:
        self._engine = engine
        self._remembered = remembered
        self._wall = wall

    async def decide(self, epoch: int, wish: Wish) -> tuple[Answer, list[Write]]:
        """The answer, and what to write with it. Raises EngineError, and CorruptError for a wish that makes
        no sense."""
        order, now = wish.order, self._wall()
        if order is None or wish.kind not in ("override", "clear"):
            raise CorruptError(f"nobody here knows what {wish.kind!r} is; run one version of lb")
        entry = await self._engine.get(KEY)
        try:
            stored = read(entry)
        except CorruptError:
            stored = Orders()  # every node refuses it too: what is remembered takes its place
        known = [stored, self._remembered(), *await self._obeyed()]
        # Where the store lost some and went on, what the later leader ordered holds; the number is above all.
        latest = max(known, key=lambda one: (one.epoch, one.number))
        held = [one for one in latest.orders if not over(one, now)]
        before = find(Orders(orders=held), order.service, order.address)
        if wish.base is not None and wish.base != (before.number if before is not None else 0):
            return self._refused("conflict", _overtaken(order, before), latest)
        if wish.kind == "clear" and before is None:
            return self._refused(
                "no_override", f"nothing is ordered everywhere of {order.service}/{order.address}", latest
            )
        number = max(one.number for one in known) + 1
        kept = [one for one in held if one is not before]
        if wish.kind == "override":
            kept.append(msgspec.structs.replace(order, number=number))
        value = encode(Orders(number, epoch, kept, order.author))
        limit = int(self._engine.value_limit * SHARE)
        if len(value) > limit:
            return self._refused(
                "too_large",
                f"{len(held)} orders hold everywhere and no more fit ({limit} bytes): lift some", latest,
            )  # fmt: skip
        write = Write(KEY, value, entry.version if entry is not None else 0)
        return Answer(at=now, revision=number), [write]

    async def _obeyed(self) -> list[Orders]:
        found = []
        for key, entry in (await self._engine.list(OBEYED)).items():
            with contextlib.suppress(CorruptError):
                found.append(decode(key, entry.value, Orders))
        return found

    def _refused(self, error: str, message: str, latest: Orders) -> tuple[Answer, list[Write]]:
        return Answer(at=self._wall(), revision=latest.number, error=error, message=message), []


def _overtaken(order: Order, before: Order | None) -> str:
    name = f"{order.service}/{order.address}"
    if before is None:
        return f"what was ordered of {name} everywhere was lifted meanwhile; look, and order again"
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(before.since))
    why = f" ({before.reason})" if before.reason else ""
    said = before.mode if before.weight is None else f"{before.mode}, weight ×{before.weight:g}"
    return (
        f"{before.author or 'somebody'} ordered {said} of {name} everywhere at {when}{why}; "
        "look, and order again"
    )
