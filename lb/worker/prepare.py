"""Getting a plan ready beside the running one: the Snapshot in slices, and the access log's file.

Lives here: the first of the two steps of a reload. Must not live here: publishing (lb.worker.work) or how
a Snapshot is made (lb.snapshot).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from time import perf_counter  # uvloop's clock counts whole milliseconds
from typing import TYPE_CHECKING, Any

from lb.plan import Plan, Update
from lb.telemetry.sink import Sink, open_sink
from lb.worker.journal import Journal
from lb.worker.messages import Prepared

if TYPE_CHECKING:
    from lb.worker.work import Plane

log = Journal("lb.worker")


class Preparation:
    """Builds `plan` in slices between which the loop does other work; then calls `finished` once."""

    def __init__(
        self,
        plane: Plane,
        plan: Plan,
        update: Update | None,
        *,
        current: Sink | None,
        dropped: Callable[[int], None],
        finished: Callable[[Prepared], None],
    ) -> None:
        """`update`: by what alone the plan differs from that in force, where that is known. `current`: the
        open access log, kept where the plan has the same path. `dropped` counts lines that a new one
        loses."""
        loop = asyncio.get_running_loop()
        self.loop = loop
        self.plan = plan
        self.update = update
        self.current = current
        self.file: Sink | None = None
        self.snapshot: Any = None
        self.done = False
        self.dropped = False
        self.began = perf_counter()
        self.build_us = 0
        self.stall_us = 0  # the longest slice
        self._dropped_lines = dropped
        self._finished = finished
        self._slices: Generator[None, None, Any] = plane.build(plan, update)
        loop.call_soon(self._slice)

    def _slice(self) -> None:
        if self.dropped:
            return
        began = perf_counter()
        error: str | None = None
        try:
            next(self._slices)
        except StopIteration as end:
            self.snapshot = end.value
            error = self._open_log()
            self.done = True
        except ValueError as refused:  # SnapshotError: the plan cannot be built, and says why
            error = str(refused)
        except Exception as bug:
            log.bug("building the configuration failed: this is a bug in lb", bug)
            error = f"internal error: {type(bug).__name__}: {bug}"
        now = perf_counter()
        self.stall_us = max(self.stall_us, round((now - began) * 1e6))
        self.build_us = round((now - self.began) * 1e6)
        if error is None and not self.done:
            self.loop.call_soon(self._slice)
            return
        if error is not None:
            self.drop()
        self._finished(Prepared(self.plan.generation, error, self.build_us, self.stall_us))

    def _open_log(self) -> str | None:
        wanted = self.plan.access_log
        if wanted is None:
            return None
        if self.current is not None and self.current.path == wanted.path:
            self.file = self.current
            return None
        try:
            self.file = open_sink(wanted.path, self._dropped_lines)
        except OSError as error:
            return (
                f"access_log.path: cannot open {wanted.path}: {error.strerror or error}; "
                "check that its folder exists and that lb may write there"
            )
        return None

    def drop(self) -> None:
        """Another worker refused, or this one did: forget it all."""
        self.dropped = True
        self._slices.close()
        self.snapshot = None
        if self.file is not None and self.file is not self.current:
            self.file.close()
        self.file = None
