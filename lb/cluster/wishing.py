"""Asking the leader for something, from any node, through the store.

Lives here: laying a wish there, waiting for the answer, withdrawing it. Must not live here: doing it
(lb.cluster.desk).

Through the store, because a node that may not reach another one's admin API (it listens on loopback) reaches
the store anyway. What comes back is certain: a wish that was withdrawn was not done, and will not be.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Callable

import msgspec

from lb.cluster.contract import Conflict, EngineError, Write
from lb.cluster.records import Answer, CorruptError, Wish, decode, encode
from lb.cluster.shared import Shared, digest_of

WAIT = 20.0  # seconds
STEP = 1.0  # seconds between two looks where nothing is heard


class UnheardError(Exception):
    """No leader took the wish in time; it was withdrawn."""


async def ask(
    shared: Shared,
    wish: Wish,
    data: bytes = b"",
    wait: float = WAIT,
    now: Callable[[], float] = time.monotonic,
) -> Answer:
    """What the leader says to `wish`, with `data` where it is a push. Raises UnheardError after `wait`
    seconds; EngineError where the wish could not be laid there, or not be withdrawn: it may yet be done
    within LATE seconds of its time; CorruptError."""
    engine, name = shared.engine, secrets.token_hex(8)
    if data:
        pieces = await shared.save(f"wished/{name}", data)
        wish = msgspec.structs.replace(wish, digest=digest_of(data), size=len(data), pieces=pieces)
    until = now() + wait
    await engine.changed("answers", 0)
    version = await engine.put(Write(f"wishes/{name}", encode(wish), 0))
    while True:
        with contextlib.suppress(EngineError):  # that an answer got lost decides nothing
            answer = await _answer(shared, name)
            if answer is not None:
                break
        left = until - now()
        if left <= 0:
            try:
                await engine.put(Write(f"wishes/{name}", None, version))
            except Conflict:  # taken at the last moment
                answer = await _answer(shared, name)
                if answer is None:
                    raise CorruptError(f"the entry answers/{name} is not there") from None
                break
            with contextlib.suppress(EngineError):  # the leader throws away what stays
                for at in range(wish.pieces):
                    await engine.put(Write(f"wished/{name}/{at}", None))
            raise UnheardError(f"no leader took it within {wait:g}s; it was withdrawn")
        try:
            await engine.changed("answers", min(STEP, left))
        except EngineError:
            await asyncio.sleep(min(STEP, left))
    with contextlib.suppress(EngineError):  # it is in hand; the leader throws away what stays
        await engine.put(Write(f"answers/{name}", None))
    return answer


async def _answer(shared: Shared, name: str) -> Answer | None:
    key = f"answers/{name}"
    entry = await shared.engine.get(key)
    return None if entry is None else decode(key, entry.value, Answer)
