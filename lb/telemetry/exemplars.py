"""Exemplars: for the histogram of each route the last exchange that was traced.

Lives here: the record, and keeping the last. Must not live here: who traces, how they are shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from lb.telemetry.decision import Decision, Kept

_TRACE_ID = re.compile(r"[0-9a-f]{32}")
MOST = 10_000  # routes with an exemplar; about 5 MiB


class Exemplar(NamedTuple):
    """`seconds`: the duration, as the histogram counts it; `at`: its end, unix time."""

    trace_id: str
    seconds: float
    at: float


class Exemplars:
    """One per control process, in its loop."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, str], Exemplar] = {}

    def take(self, decisions: Iterable[Decision]) -> None:
        """Note those that were traced; where no route matched there is no histogram."""
        for one in decisions:
            if one.kept & Kept.TRACE and one.route:
                self.note(one.route, one.service, one.duration, one.trace_id, one.time)

    def note(self, route: str, service: str, seconds: float, trace_id: str, at: float) -> None:
        """An exchange on `route` and `service` ("": none) that took `seconds` ended at unix time `at`. What
        is no trace id of 32 hexadecimal digits is passed over; of too many routes the one that was quiet
        longest is forgotten."""
        if not _TRACE_ID.fullmatch(trace_id):
            return
        self._last.pop((route, service), None)
        self._last[route, service] = Exemplar(trace_id, seconds, at)
        if len(self._last) > MOST:
            del self._last[next(iter(self._last))]

    def taken(self) -> Mapping[tuple[str, str], Exemplar]:
        """As they stand, by route and service; what is noted later does not change it."""
        return self._last.copy()
