"""Who had the listening sockets before this lb, and who gets them after it.

Lives here: whom a starting lb takes over from, control's own door, and the order of a change-over. Must not
live here: the words at a door (lb.worker.door, lb.control.handover), the process of a successor
(lb.control.upgrade), or draining (lb.control.control).

A starting lb is one of three. A successor was started by the lb that it replaces, which told it its door
($LB_TAKEOVER). Else, where the control of this configuration lives, it must not start. Else it takes what
workers have that a killed control left behind, if there are any.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from lb.control.handover import HandoverError, Predecessor, knock
from lb.control.inherited import Inherited, from_systemd
from lb.control.listeners import BindError, BoundAddress
from lb.control.upgrade import TAKEOVER, Upgrading
from lb.worker.door import CONTROL, WORKERS, Door, Failed, Offered, Take, Upgrade, Visit
from lb.worker.journal import Journal
from lb.worker.messages import Drain, Serve

log = Journal("lb.control")


class Succession:
    """`replacing`: this lb was started to replace one that runs. `relieved`: a successor serves."""

    def __init__(
        self,
        state: Path | None,
        inherited: Inherited,
        offered: Callable[[], Iterable[BoundAddress]],
        down: Callable[[], tuple[tuple[str, str], ...]],
        workers: Callable[[], Iterable[int]],
        successor: Sequence[str],
    ) -> None:
        """`state`: the state directory, None where there is none; `offered`: what a successor gets; `down`:
        servers that it begins with as down; `workers`: our own processes; `successor`: the command that
        starts one, empty where this lb cannot be replaced."""
        self.inherited = inherited
        self.relieved = asyncio.Event()
        self.pid = 0  # of who relieved us
        self.down: set[tuple[str, str]] = set()  # what the one before knew
        self._state = state
        self._offered = offered
        self._known_down = down
        self._workers = workers
        self._order = os.environ.pop(TAKEOVER, "")
        self.replacing = bool(self._order)
        self._before: list[Predecessor] = []
        self._door: Door | None = None
        door = state / CONTROL if state is not None else None
        self.upgrading = Upgrading(successor, door, self.relieved, self._relieve_workers)

    # ------------------------------------------------------------------------------ before us

    async def begin(self) -> None:
        """Take the sockets of whoever was before; they stay in use there. Raises BindError where a living lb
        does not want to be replaced, OSError."""
        if self.replacing:
            await self._from_control()
        elif self._state is not None:
            self._refuse_second(self._state / CONTROL)
            await self._from_workers(self._state / WORKERS)
            self._open_door()
        for sock in from_systemd(os.environ):
            self.inherited.add(sock)

    async def _from_control(self) -> None:
        try:
            sock = knock(Path(self._order))
            if sock is None:
                raise HandoverError("nobody answers there")
            before = Predecessor(sock)
            self._before.append(before)
            for taken in await before.take():
                self.inherited.add(taken.sock, taken.address)
            self.down = set(before.down)
        except (HandoverError, OSError) as error:
            raise BindError(f"cannot take over the sockets of {self._order}: {error}") from None
        log.note("taking over from the lb before", pid=before.pid)

    def _refuse_second(self, door: Path) -> None:
        try:
            sock = knock(door)
        except OSError as error:
            raise BindError(f"an lb with this configuration may be running: {door}: {error}") from None
        if sock is not None:
            pid = Predecessor.pid_at(sock)
            sock.close()
            raise BindError(
                f"an lb with this configuration runs already, its addresses are in use by process {pid}; "
                f"`lb upgrade` replaces it, `kill -TERM {pid}` ends it"
            )

    async def _from_workers(self, folder: Path) -> None:
        """Workers whose control is gone. Doors with nobody behind them are removed."""
        found: list[Predecessor] = []
        for door in sorted(folder.glob("*.sock")):
            try:
                sock = knock(door)
            except OSError as error:
                log.warning("a worker of an earlier lb may be running", door=door, error=error)
                continue
            if sock is None:
                door.unlink(missing_ok=True)
            else:
                found.append(Predecessor(sock))
        answers = await asyncio.gather(*(worker.take() for worker in found), return_exceptions=True)
        for worker, answer in zip(found, answers, strict=True):
            if isinstance(answer, BaseException):
                log.warning("a worker of an earlier lb gives no sockets; end it", error=answer)
                worker.close()
                continue
            for taken in answer:
                self.inherited.add(taken.sock, taken.address)
            self._before.append(worker)
        if self._before:
            log.warning(
                "the control before this one is gone; taking over from its workers",
                pids=",".join(str(worker.pid) for worker in self._before),
            )

    def serving(self) -> None:
        """This lb serves: open our door, and let those before us drain."""
        for name in self.inherited.close():
            log.warning("an inherited socket is no listener's address and was closed", address=name)
        if self._door is None:
            self._open_door()
        if self.replacing and self._before[0].gone:
            self._relieve_workers()
        for before in self._before:
            before.relieve()

    def _relieve_workers(self) -> None:
        """Let all workers but ours drain: those of a control that was killed after it had given us its
        sockets, or of a successor that was killed."""
        if self._state is None:
            return
        ours = {f"{pid}.sock" for pid in self._workers()}
        for door in (self._state / WORKERS).glob("*.sock"):
            if door.name in ours:
                continue
            with contextlib.suppress(OSError):
                if (sock := knock(door)) is None:
                    door.unlink(missing_ok=True)
                    continue
                self._before.append(Predecessor(sock))
                self._before[-1].relieve()

    def failed(self, reason: str) -> None:
        """This lb cannot serve: those before us go on."""
        for before in self._before:
            before.failed(reason)
        self.inherited.close()

    # ------------------------------------------------------------------------------- after us

    @property
    def doors(self) -> str:
        """The folder for the doors of workers; "": none."""
        return str(self._state / WORKERS) if self._state is not None else ""

    def _open_door(self) -> None:
        if self._state is None:
            return
        try:
            (self._state / WORKERS).mkdir(mode=0o700, exist_ok=True)
            self._door = Door(asyncio.get_running_loop(), self._state / CONTROL, self._said)
        except OSError as error:
            log.warning("no upgrade and no take-over is possible", door=self._state / CONTROL, error=error)

    def _said(self, visit: Visit, message: Any) -> None:
        match message:
            case Take():
                count = 0
                for bound in self._offered():
                    for sock in bound.sockets:
                        visit.answer(Serve("", bound.address), sock.fileno())
                        count += 1
                visit.answer(Offered(count, self._known_down()))
            case Drain():
                self.pid = visit.pid
                self.relieved.set()
            case Failed():
                self.upgrading.reason = message.reason
            case Upgrade():
                self.upgrading.start(visit.answer)

    async def close(self) -> None:
        """The end of this lb. A successor that does not serve yet ends as well."""
        await self.upgrading.close()
        if self._door is not None:
            self._door.close()
        for before in self._before:
            before.close()
