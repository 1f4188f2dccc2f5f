"""Pool: the connections to one address, shared by the Servers that have that address.

Lives here: the states of a server connection and the stack of idle ones. Must not live here: what goes
over a connection (lb.proxy.server) and limits per Server (lb.upstream.server). Every operation is O(1).

States: RESERVED (being opened for an exchange) → BUSY → IDLE → BUSY … → CLOSED.
"""

from __future__ import annotations

from typing import Any

import cython

from lb.telemetry import layout
from lb.telemetry.cells import Cells

RESERVED = 0
BUSY = 1
IDLE = 2
CLOSED = 3

_IDLE: cython.int = layout.SERVER_IDLE


@cython.cclass
class Connection:
    """What a Pool knows of a connection. Times are monotonic seconds."""

    state: cython.int
    pool: Pool
    born: cython.double
    idle_since: cython.double
    served: cython.longlong  # exchanges carried so far
    slot: cython.Py_ssize_t  # counters of the Server that used it last

    def __init__(self, pool: Pool) -> None:
        self.state = RESERVED
        self.pool = pool
        self.born = self.idle_since = 0.0
        self.served = 0
        self.slot = 0

    @cython.ccall
    def close(self) -> object:
        """Close the transport; the protocol's connection_lost follows."""
        raise NotImplementedError


@cython.cclass
class Pool:
    """Idle connections to one address, the last used first: the warmest, and the rest can age out.

    `max_idle` per worker; `idle_timeout` and `max_age` in seconds. `idle` is a dict because it keeps the
    order and gives both ends and any member in O(1)."""

    address: str
    cells: Cells
    idle: dict[Connection, None]
    max_idle: cython.int
    idle_timeout: cython.double
    max_age: cython.double

    def __init__(self, address: str, cells: Cells) -> None:
        self.address = address
        self.cells = cells
        self.idle = {}
        self.max_idle = 64
        self.idle_timeout = 60.0
        self.max_age = 3600.0

    def __repr__(self) -> str:
        return f"<Pool {self.address} idle={len(self.idle)}>"

    @cython.ccall
    def take(self) -> Any:
        """The connection that was used last, now BUSY; None where none is idle."""
        connection: Connection
        if not self.idle:
            return None
        connection = self.idle.popitem()[0]
        connection.state = BUSY
        self.cells.add(connection.slot + _IDLE, -1)
        return connection

    @cython.ccall
    def give(self, connection: Connection, slot: cython.Py_ssize_t, now: cython.double) -> cython.bint:
        """Take a connection back whose exchange ended cleanly; False where it is to be closed instead:
        too old, or too many idle. Then the one that was idle longest makes room."""
        oldest: Connection
        if now - connection.born >= self.max_age or self.max_idle == 0:
            return False
        connection.state = IDLE
        connection.idle_since = now
        connection.slot = slot
        self.idle[connection] = None
        self.cells.add(slot + _IDLE, 1)
        if len(self.idle) > self.max_idle:
            oldest = next(iter(self.idle))
            self.drop(oldest)
            oldest.close()
        return True

    @cython.ccall
    def drop(self, connection: Connection) -> object:
        """Forget an idle connection: it is lost or will be closed."""
        if connection.state == IDLE:
            del self.idle[connection]
            self.cells.add(connection.slot + _IDLE, -1)
        connection.state = CLOSED
        return None

    def expire(self, now: float) -> None:
        """Close what was idle for idle_timeout, is older than max_age, or is more than max_idle since a
        reload. Those that were idle longest stand first."""
        expired: list[Connection] = []
        connection: Connection
        surplus: cython.Py_ssize_t = len(self.idle) - self.max_idle
        for connection in self.idle:
            if (
                len(expired) < surplus
                or now - connection.idle_since >= self.idle_timeout
                or now - connection.born >= self.max_age
            ):
                expired.append(connection)
        for connection in expired:
            self.drop(connection)
            connection.close()

    def close(self) -> None:
        """Close all idle connections: nothing has this address any more, or lb ends."""
        connection: Connection
        for connection in list(self.idle):
            self.drop(connection)
            connection.close()
        self.max_idle = 0
