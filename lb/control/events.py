"""Events: every transition that an operator may want to know of, told once and to everybody.

Lives here: the record, the last of them, who listens, the counts. Must not live here: HTTP (lb.admin,
lb.control.webhook) and the reasons for an event.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Any, NamedTuple

from lb.worker.journal import Journal

KEPT = 1000
# What somebody may have to get up for.
GRAVE = {"server_down", "server_ejected", "breaker_opened"}

log = Journal("lb.events")


class Event(NamedTuple):
    """`kind` and `reason` are words out of a small set (they label a counter); `text` is for people. `at`:
    unix seconds. `number` grows by one from event to event."""

    number: int
    at: float
    kind: str
    reason: str
    service: str
    server: str
    text: str
    facts: dict[str, Any]


class Events:
    """One per control process."""

    def __init__(self) -> None:
        self.last: deque[Event] = deque(maxlen=KEPT)
        self.counts: Counter[tuple[str, str, str]] = Counter()  # (kind, reason, service)
        self.listeners: set[Callable[[Event], None]] = set()
        self._number = 0

    def emit(
        self,
        kind: str,
        reason: str,
        text: str,
        *,
        service: str = "",
        server: str = "",
        logged: bool = False,
        **facts: Any,
    ) -> None:
        """Tell it: a log line, the counter, every listener (which must not block or raise). `logged`: the log
        has a better line already."""
        self._number += 1
        event = Event(self._number, time.time(), kind, reason, service, server, text, facts)
        self.last.append(event)
        self.counts[kind, reason, service] += 1
        if not logged:
            named = {name: value for name, value in (("service", service), ("server", server)) if value}
            tell = log.warning if kind in GRAVE else log.note
            tell(f"{kind}: {text}", reason=reason, **named)
        for listener in tuple(self.listeners):
            listener(event)
