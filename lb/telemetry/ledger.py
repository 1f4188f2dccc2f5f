"""Who owns which cells: the control process's register of counter blocks.

Lives here: allotting a block to each listener, route, mirror and server by identity, so that a counter
survives every reload; freeing it when the identity is gone for good; making the shared file. Must not live
here: the meaning of cells (lb.telemetry.layout) and their rendering (lb.telemetry.metrics).

When a block may be used again. Control only knows for certain what workers run by what they publish, so
a block is freed when all of this holds: its identity was absent from two generations in a row; every
running worker is at the second of them or later; all gauges of the block are zero in every region.
Workers hold an in-flight gauge up for as long as an exchange may write to the block, tunnels included.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from typing import Generic, NamedTuple, TypeVar

from lb.telemetry.cells import CELL, Cells
from lb.telemetry.layout import (
    LISTENER_GAUGES,
    LISTENER_SIZE,
    MIRROR_GAUGES,
    MIRROR_SIZE,
    REGION,
    ROUTE_GAUGES,
    ROUTE_SIZE,
    SERVER_GAUGES,
    SERVER_SIZE,
    WORKER_GAUGES,
    WORKER_GENERATION,
    WORKER_SIZE,
)

# The name of the block that everything shares for which the region has no room, and of what is over the cap
# of a scrape (lb.telemetry.rows). What has this very name in a configuration is shown together with it.
OTHER = "other"


class ListenerId(NamedTuple):
    name: str


class RouteId(NamedTuple):
    """`service` is "" where the route redirects or responds by itself."""

    route: str
    service: str


class MirrorId(NamedTuple):
    """`service`: the one that gets the copies."""

    route: str
    service: str


class ServerId(NamedTuple):
    service: str
    address: str


Identity = TypeVar("Identity", bound="ListenerId | RouteId | MirrorId | ServerId")


def create_cells_file(workers: int, size: int = REGION) -> int:
    """A file descriptor of an unnamed file for `workers` regions of `size` cells, all zero, to be mapped
    by Cells and passed to workers. The caller closes it. Raises OSError."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("lb-cells", os.MFD_CLOEXEC)
    else:
        fd, path = tempfile.mkstemp(prefix="lb-cells-")
        os.unlink(path)
    os.ftruncate(fd, workers * size * CELL)
    return fd


class _Blocks(Generic[Identity]):
    """All blocks of one kind. `other` is the shared block, `crowded` whether anybody had to use it, `sharing`
    who uses it now; `slots` by identity; `leaving`: the first generation without an identity that still has
    its block."""

    def __init__(self, size: int, gauges: tuple[int, ...], other: int) -> None:
        self.size = size
        self.gauges = gauges
        self.other = other
        self.crowded = False
        self.sharing: set[Identity] = set()
        self.slots: dict[Identity, int] = {}
        self.leaving: dict[Identity, int] = {}
        self.free: list[int] = []

    def leave(self, generation: int, identities: Iterable[Identity] | None = None) -> None:
        """These, or all, are not in `generation`, until somebody asks for them."""
        if identities is None:
            self.sharing.clear()
        for identity in self.slots if identities is None else identities:
            self.sharing.discard(identity)
            if identity in self.slots:
                self.leaving.setdefault(identity, generation)


class Ledger:
    """Allots slots by identity. One per control process; not thread-safe.

    In a reload: `begin(generation)`; ask for the slot of everything in the plan; when the workers have
    answered, `sweep(cells)`.
    """

    def __init__(self, size: int = REGION) -> None:
        """`size`: cells in a region; at least the sum of the sizes of all kinds of blocks."""
        self._size = size
        self._generation = 0
        self._next = WORKER_SIZE
        self._listeners = _Blocks[ListenerId](LISTENER_SIZE, LISTENER_GAUGES, self._fresh(LISTENER_SIZE))
        self._routes = _Blocks[RouteId](ROUTE_SIZE, ROUTE_GAUGES, self._fresh(ROUTE_SIZE))
        self._mirrors = _Blocks[MirrorId](MIRROR_SIZE, MIRROR_GAUGES, self._fresh(MIRROR_SIZE))
        self._servers = _Blocks[ServerId](SERVER_SIZE, SERVER_GAUGES, self._fresh(SERVER_SIZE))

    def begin(self, generation: int, servers: Iterable[ServerId] | None = None) -> None:
        """Identities that are asked for from now on belong to `generation`, which only grows. `servers`:
        those that must be asked for to stay, as it differs from the one before in their services alone; None:
        all must, servers or not."""
        self._generation = max(generation, self._generation)
        if servers is not None:
            self._servers.leave(self._generation, servers)
            return
        for blocks in (self._listeners, self._routes, self._mirrors, self._servers):
            blocks.leave(self._generation)

    def listener(self, name: str) -> int:
        """The slot of a listener."""
        return self._slot(self._listeners, ListenerId(name))

    def route(self, route: str, service: str) -> int:
        """The slot of a route and one of its services ("": none)."""
        return self._slot(self._routes, RouteId(route, service))

    def mirror(self, route: str, service: str) -> int:
        """The slot of a route and the service that gets copies of its requests."""
        return self._slot(self._mirrors, MirrorId(route, service))

    def server(self, service: str, address: str) -> int:
        """The slot of a server of a service."""
        return self._slot(self._servers, ServerId(service, address))

    def own(self, service: str, address: str) -> int | None:
        """The slot of a server that has one to itself."""
        return self._servers.slots.get(ServerId(service, address))

    def listeners(self) -> Iterator[tuple[ListenerId, int]]:
        """All listeners that have a block, with their slots; OTHER last where it is in use."""
        return self._all(self._listeners, ListenerId(OTHER))

    def routes(self) -> Iterator[tuple[RouteId, int]]:
        return self._all(self._routes, RouteId(OTHER, OTHER))

    def mirrors(self) -> Iterator[tuple[MirrorId, int]]:
        return self._all(self._mirrors, MirrorId(OTHER, OTHER))

    def servers(self) -> Iterator[tuple[ServerId, int]]:
        return self._all(self._servers, ServerId(OTHER, OTHER))

    def sharing(self) -> tuple[int, int, int]:
        """How many routes, mirrors and servers share a block named OTHER."""
        return len(self._routes.sharing), len(self._mirrors.sharing), len(self._servers.sharing)

    def wipe_gauges(self, cells: Cells, worker: int) -> None:
        """Zero what a dead worker left standing in its gauges: after its death was noticed and before a
        successor starts. Its counters stay."""
        for gauge in WORKER_GAUGES:
            cells.wipe(worker, gauge)
        for blocks in (self._listeners, self._routes, self._mirrors, self._servers):
            for slot in (blocks.other, *blocks.slots.values()):
                for gauge in blocks.gauges:
                    cells.wipe(worker, slot + gauge)

    def sweep(self, cells: Cells) -> int:
        """Free the blocks of identities that are gone for good (see the top of this module), zeroed.
        Returns how many."""
        running = [g for w in range(cells.workers) if (g := cells.of(w, WORKER_GENERATION)) > 0]
        if not running:
            return 0
        oldest = min(running)
        return (
            self._sweep(self._listeners, cells, oldest)
            + self._sweep(self._routes, cells, oldest)
            + self._sweep(self._mirrors, cells, oldest)
            + self._sweep(self._servers, cells, oldest)
        )

    def _fresh(self, size: int) -> int:
        slot = self._next
        if slot + size > self._size:
            return -1
        self._next = slot + size
        return slot

    def _slot(self, blocks: _Blocks[Identity], identity: Identity) -> int:
        known = blocks.slots.get(identity)
        if known is not None:
            blocks.leaving.pop(identity, None)
            return known
        slot = blocks.free.pop() if blocks.free else self._fresh(blocks.size)
        if slot < 0:
            blocks.crowded = True
            blocks.sharing.add(identity)
            return blocks.other
        blocks.slots[identity] = slot
        return slot

    def _all(self, blocks: _Blocks[Identity], other: Identity) -> Iterator[tuple[Identity, int]]:
        yield from blocks.slots.items()
        if blocks.crowded:
            yield other, blocks.other

    def _sweep(self, blocks: _Blocks[Identity], cells: Cells, oldest: int) -> int:
        gone = [
            (identity, blocks.slots[identity])
            for identity, left in blocks.leaving.items()
            if left + 1 <= oldest and self._quiet(blocks, cells, blocks.slots[identity])
        ]
        for identity, slot in gone:
            del blocks.slots[identity], blocks.leaving[identity]
            cells.zero(slot, blocks.size)
            blocks.free.append(slot)
        return len(gone)

    @staticmethod
    def _quiet(blocks: _Blocks[Identity], cells: Cells, slot: int) -> bool:
        return not any(
            cells.of(worker, slot + gauge) for worker in range(cells.workers) for gauge in blocks.gauges
        )
