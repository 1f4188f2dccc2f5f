"""This node in its cluster: the elector, the follower and the desk, from start to end.

Lives here: their making, their life, how a published document is put in force. Must not live here: what they
do (lb.cluster), what of it is shown (lb.control.clusterview).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path

from lb.cluster.bulletin import Bulletin
from lb.cluster.contract import Engine
from lb.cluster.desk import Desk
from lb.cluster.electing import Electing
from lb.cluster.elector import Elector
from lb.cluster.engines import MissingExtraError, connect
from lb.cluster.following import Applied, Follower
from lb.cluster.heard import Heard
from lb.cluster.memory import Memory
from lb.cluster.obeying import Obeying
from lb.cluster.ordering import Ordering
from lb.cluster.records import Revision, Traffic
from lb.cluster.shared import Shared
from lb.cluster.wishing import ask
from lb.config import ConfigError, SharedText, Spec
from lb.config.cluster import ClusterSpec, this_host
from lb.control.events import Events
from lb.control.everywhere import Everywhere
from lb.control.loading import Reading, problems_of, read_valid
from lb.control.reload import Reloader
from lb.control.sharing import Sharing
from lb.control.statedir import set_aside, write_whole
from lb.control.statuses import Statuses
from lb.control.supervisor import PlanRefusedError
from lb.worker.journal import Journal

FOLDER = "cluster"  # below state_dir
AGAIN = 1.0  # seconds until a part that ended by itself begins anew
SHOWN_PROBLEMS = 3  # of a revision that is refused, in the report

Run = Callable[[], Coroutine[None, None, None]]

log = Journal("lb.cluster")


def memory_of(spec: Spec, state_dir: Path) -> Memory | None:
    """What this node remembers of its cluster; None where it has none. Raises OSError."""
    if spec.cluster is None:
        return None
    folder = state_dir / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    try:
        return Memory(folder, write_whole)
    except ValueError as error:
        moved = set_aside(folder / "seen.json")
        log.error(f"{error}; this node begins anew and takes what the store says", moved_to=moved)
        return Memory(folder, write_whole)


def recalled(path: Path, reading: Reading, memory: Memory | None) -> tuple[Reading, SharedText | None]:
    """What to start with: the revision that ran last here, or else the node's own file."""
    if memory is None:
        return reading, None
    try:
        found = memory.kept()
    except (OSError, ValueError) as error:
        found, why = [], str(error)
    else:
        if not found:
            return reading, None
    for kept in found:
        try:
            shared = SharedText(f"revision {kept.mark.revision}", kept.data.decode())
            usable = read_valid(path, shared)
        except ConfigError as error:
            why = "; ".join(str(problem) for problem in error.problems[:SHOWN_PROBLEMS])
        except (OSError, ValueError) as error:
            why = str(error)
        else:
            memory.running = kept.mark
            return usable, shared
    log.error(
        "the shared configuration that ran last here cannot be used: this node's own file serves until the "
        f"cluster is heard: {why}"
    )
    memory.forget()
    return reading, None


class Clustering:
    """One per control process with a section `cluster`. All but the elector is in control's loop."""

    def __init__(
        self,
        spec: ClusterSpec,
        state_dir: Path,
        memory: Memory,
        reloader: Reloader,
        statuses: Statuses,
        events: Events,
        traffic: Callable[[], Traffic],
    ) -> None:
        """`traffic`: this node's, for rollouts."""
        self.spec = spec
        self.node = spec.node or this_host()
        self.memory = memory
        self.reloader = reloader
        self.everywhere = Everywhere(state_dir / FOLDER, statuses, events)
        self.sharing: Sharing | None = None
        if spec.shared_health is not None:
            self.sharing = Sharing(spec.shared_health.by, self.node, statuses, events)
        self.electing = Electing(self._elector, _bug)
        self.shared: Shared
        self.follower: Follower
        self._heard: Heard
        self._desk: Desk
        self._obeying: Obeying
        self._bulletin: Bulletin | None = None
        self._state_dir = state_dir
        self._events = events
        self._traffic = traffic
        self._engine: Engine | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopped = False
        self._loop: asyncio.AbstractEventLoop

    def prepare(self) -> None:
        """Make the parts; nothing is asked yet. In the loop. Raises PlanRefusedError where the engine needs
        what is not installed."""
        self._loop = asyncio.get_running_loop()
        try:
            self._engine = connect(self.spec, self._state_dir)
        except MissingExtraError as error:
            raise PlanRefusedError(str(error)) from None
        self.shared = Shared(self._engine)
        remembered = self.everywhere.remembered
        self.follower = Follower(
            self.shared, self.node, self.memory, self._apply, lambda: self.reloader.generation,
            told=self._followed, bug=_bug, traffic=self._traffic, orders=lambda: remembered.orders,
        )  # fmt: skip
        self._heard = Heard(self.shared)
        decide = Ordering(self._engine, lambda: remembered.orders).decide
        self._desk = Desk(
            self.shared, self.electing, self.memory, self._check, heard=self._heard, decide=decide,
            told=self._rolled, bug=_bug,
        )  # fmt: skip
        self._obeying = self.everywhere.prepare(self._engine, self.node, partial(ask, self.shared))
        if self.sharing is not None:
            self._bulletin = self.sharing.prepare(self._engine)

    async def start(self) -> None:
        """From now on it leads and follows. Whether the engine answers is found out later, and told."""
        await self.electing.start()
        for run in self._runs():
            self._begin(run)

    async def stop(self) -> None:
        """Give the lock back and let go of the engine. Also where it was not started."""
        self._stopped = True
        tasks, self._tasks = self._tasks, set()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
            await self.electing.stop()
            if self._bulletin is not None:
                await self._bulletin.withdraw()
        if self._engine is not None:
            await self._engine.close()
            self._engine = None

    def _runs(self) -> tuple[Run, ...]:
        runs = self.follower.run, self._desk.run, self._obeying.run
        return runs if self._bulletin is None else (*runs, self._bulletin.post, self._bulletin.look)

    def _begin(self, run: Run) -> None:
        task = asyncio.create_task(run())
        self._tasks.add(task)
        task.add_done_callback(partial(self._ended, run))

    def _ended(self, run: Run, task: asyncio.Task[None]) -> None:
        """None of them ends by itself: a client library that swallows or invents a cancellation would leave
        this node deaf, and nobody would know."""
        if task not in self._tasks:
            return  # `stop` ended it
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        _bug(
            error if isinstance(error, Exception) else RuntimeError("a part ended by itself; it begins anew")
        )
        self._loop.call_later(AGAIN, self._begin_again, run)

    def _begin_again(self, run: Run) -> None:
        if not self._stopped:
            self._begin(run)

    def _elector(self) -> Elector:
        """In the elector's thread, with an engine of its own."""
        engine = connect(self.spec, self._state_dir)
        return Elector(
            engine, self.node, self.spec.ttl, above=self._highest_epoch, told=self._led_elsewhere, bug=_bug
        )

    def _highest_epoch(self) -> int:
        return max(self.memory.seen.epoch, self.everywhere.remembered.orders.epoch, self._heard.epoch)

    def _led_elsewhere(self, reason: str, epoch: int, text: str) -> None:
        self._loop.call_soon_threadsafe(self._led, reason, epoch, text)

    def _led(self, reason: str, epoch: int, text: str) -> None:
        self._events.emit("cluster_leader", reason, text, epoch=epoch)

    def _followed(self, reason: str, text: str) -> None:
        self._events.emit("cluster_revision", reason, text)

    def _rolled(self, reason: str, text: str) -> None:
        self._events.emit("cluster_rollout", reason, text)

    async def _apply(self, revision: Revision, text: str) -> Applied:
        result = await self.reloader.adopt(SharedText(f"revision {revision.revision}", text))
        if result.ok:
            return Applied(result.generation)
        why = "; ".join(str(problem) for problem in list(result.problems)[:SHOWN_PROBLEMS]) or result.error
        return Applied(result.generation, why)

    async def _check(self, file: str, text: str) -> list[dict[str, str | int]]:
        found = await asyncio.to_thread(problems_of, self.reloader.path, SharedText(file, text))
        return [
            {"file": p.file, "line": p.line, "column": p.column, "path": p.path, "message": p.message}
            for p in found
        ]


def _bug(error: Exception) -> None:
    """From any thread."""
    log.bug("an error in the cluster's part of control; the configuration in force stays", error)
