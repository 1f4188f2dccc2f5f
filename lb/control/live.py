"""The live view: once a second what every listener, route, service and server does, and its last hour.

Lives here: keeping their series, the rows that are shown of them, what changed since the last second, who
follows. Must not live here: whose counters are read (lb.control.sight), rates and rings
(lb.telemetry.series), HTTP (lb.admin.live).

Where nobody looks on, a second costs what its requests moved: their history. Figures and rows are made when
somebody asks. A second goes in slices, between which control's loop has its turn; all rows, for who asks or
begins to follow, are made in one piece.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from lb.admin.view import Row, Rows
from lb.control.sight import TOTAL, Identity, Looked, Sight, Turns
from lb.plan import Plan
from lb.telemetry.cells import Cells
from lb.telemetry.series import NOTHING, Points, Series
from lb.worker.journal import Journal

MOST_RINGS = 5000  # series with a last hour; about 50 MiB
ASKED = 5  # seconds for which figures are made ahead after somebody asked for them

Standing = Callable[[str, str], Mapping[str, Any]]

log = Journal("lb.control")


class Live:
    """One per control process, in its loop. `standing` gives what control knows of a server (status, reasons,
    order), `facts` what is shown of the whole lb, `origins` says where a route or service comes from that is
    not in the file."""

    def __init__(
        self,
        cells: Callable[[], Cells],
        plan: Callable[[], Plan | None],
        standing: Standing,
        facts: Callable[[], Mapping[str, Any]] = dict,
        origins: Callable[[], Mapping[Identity, str]] = dict,
    ) -> None:
        self.tick = 0
        self._cells = cells
        self._plan = plan
        self._standing = standing
        self._facts = facts
        self._origins = origins
        self._rings = 0
        self._sight: Sight | None = None
        self._moving: dict[Identity, Looked] = {}  # whose series are not at rest
        self._asked = -ASKED  # the tick of the last answer with all rows
        self._told: dict[Identity, Row] = {}  # what those who follow know
        self._listeners: set[Callable[[Rows, bool], None]] = set()

    async def run(self) -> None:
        """For ever. After an error, in whatever state it left all this, it begins anew."""
        began = time.monotonic()
        while True:
            await asyncio.sleep(max(0.0, began + self.tick + 1 - time.monotonic()))
            tick = max(self.tick + 1, int(time.monotonic() - began))
            try:
                for _ in self.look(tick):
                    await asyncio.sleep(0)
            except Exception as error:
                log.bug("an error in the live view; it begins anew, and its last hour with it", error)
                self.tick, self._sight, self._rings, self._moving = tick, None, 0, {}

    def take(self, tick: int) -> None:
        """Look at everything at this tick, in one go."""
        for _ in self.look(tick):
            pass

    def look(self, tick: int) -> Iterator[None]:
        """Look at everything at this tick, in seconds; tell those who follow. Yields between slices."""
        plan = self._plan()
        if plan is None:
            self.tick = tick
            return
        turns = Turns()
        sight = self._sight
        anew = sight is None or plan is not sight.plan
        if sight is None or anew:
            before, sight = sight, Sight(plan, self._cells())
            yield from sight.begin(self._origins(), before, turns)
            self._sight = sight
            self._forget(sight.gone)
        yield from sight.look(turns)
        if anew:
            for looked in sight.looked.values():
                if looked.series is None:
                    looked.series = Series(tick, looked.counts)
                if turns.over:
                    yield
        moving = self._moving
        moving.update(sight.moved)
        sight.moved.clear()
        moved = list(moving.values())
        watched = bool(self._listeners) or tick - self._asked <= ASKED
        for looked in moved:
            if self._record(looked, tick):
                del moving[looked.identity]
            if watched:
                _ = _series(looked).figures  # made now, in slices
            if turns.over:
                yield
        self.tick = tick
        if self._listeners:
            yield from self._tell(sight, moved, anew, turns)

    def whole(self) -> Rows:
        """All rows, of the last tick."""
        self._asked = self.tick
        rows = self._all()
        self._doubt(rows)
        return self._shaped(rows)

    def follow(self, listener: Callable[[Rows, bool], None]) -> Callable[[], None]:
        """Call `listener`, which must not block or raise, at once with all rows (True), then every second
        with those that changed, or all, until the function that is returned is called."""
        rows = self._all()
        if self._listeners:
            self._doubt(rows)
        else:
            self._told = rows
        self._listeners.add(listener)
        listener(self._shaped(rows), True)
        return lambda: self._listeners.discard(listener)

    def history(self, identity: Identity, hour: bool) -> Points | None:
        """The last hour, or the last two minutes; None of what there is not."""
        looked = self._sight.looked.get(identity) if self._sight is not None else None
        series = looked.series if looked is not None else None
        if series is None and identity == TOTAL:  # before the first second
            series = Series(self.tick, NOTHING)
        if series is None:
            return None
        return series.hour(self.tick) if hour else series.seconds(self.tick)

    # ----------------------------------------------------------------------------------------- inside

    def _record(self, looked: Looked, tick: int) -> bool:
        """Whether it is at rest."""
        series = _series(looked)
        had = series.remembers
        rest = series.take(tick, looked.counts, self._rings < MOST_RINGS)
        self._rings += series.remembers and not had
        return rest

    def _tell(self, sight: Sight, moved: Sequence[Looked], anew: bool, turns: Turns) -> Iterator[None]:
        """What moved, and what may be otherwise though nothing did: the standing of servers, connections."""
        changed: dict[Identity, Row] = {}
        others = [one for one in sight.looked.values() if one.identity[0] in ("server", "listener")]
        for looked in sight.looked.values() if anew else (*moved, *others):
            row = self._row(looked)
            if anew or row != self._told.get(looked.identity):
                changed[looked.identity] = row
            if turns.over:
                yield
        if anew:
            self._told.clear()
        self._told.update(changed)
        said = self._shaped(changed)
        for listener in tuple(self._listeners):
            listener(said, anew)

    def _all(self) -> dict[Identity, Row]:
        looked = self._sight.looked.values() if self._sight is not None else ()
        return {one.identity: self._row(one) for one in looked if one.series is not None}

    def _doubt(self, rows: Mapping[Identity, Row]) -> None:
        """One of those who follow is told these: it must hear where they are again what the others know."""
        for identity, row in rows.items():
            if self._told.get(identity, row) != row:
                del self._told[identity]

    def _row(self, looked: Looked) -> Row:
        kind, figures = looked.identity[0], _series(looked).figures
        if kind == "listener":
            return {**looked.shown, "rate": figures.rate}
        if kind == "server":
            _, service, address = looked.identity
            return {**looked.shown, **self._standing(service, address), **figures._asdict()}
        return {**looked.shown, **figures._asdict()}

    def _forget(self, gone: Sequence[Looked]) -> None:
        """What is gone from the plan; a route or server that comes back begins anew."""
        for looked in gone:
            self._rings -= looked.series is not None and looked.series.remembers
            self._moving.pop(looked.identity, None)

    def _shaped(self, rows: Mapping[Identity, Row]) -> Rows:
        found: dict[str, list[Row]] = {
            kind: [] for kind in ("listener", "route", "service", "server", "total")
        }
        for identity, row in rows.items():
            found[identity[0]].append(row)
        sight = self._sight
        figures = self._row(sight.looked[TOTAL]) if sight is not None and sight.looked[TOTAL].series else {}
        return {
            "at": time.time(), "tick": self.tick,
            "generation": sight.plan.generation if sight is not None else 0,
            "total": {**self._facts(), **figures},
            **{f"{kind}s": found[kind] for kind in ("listener", "route", "service", "server")},
        }  # fmt: skip


def _series(looked: Looked) -> Series:
    assert looked.series is not None, "looked at before the first tick"
    return looked.series
