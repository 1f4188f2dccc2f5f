"""Listening sockets: bound by control, one per worker and address, and kept open by it.

Lives here: binding, addresses, the sockets of each generation, which of them are whose. Must not live here:
when a worker gets them (lb.control.supervisor), where sockets come from that are not bound here
(lb.control.inherited), or finding who holds a port (lb.control.port_owner).

Every worker has a socket of its own with SO_REUSEPORT: the kernel spreads connections over them, and no
worker waits for another's lock. Control keeps each open, so that the queue of a worker that died is served
by its successor. A UNIX socket cannot be spread like that: its workers share one.

Of a predecessor there may be more sockets than workers, or fewer. The kernel gives each its share of the
connections, so all of them are served: a worker then has several.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from collections.abc import Iterable

from lb.control.inherited import Inherited
from lb.control.port_owner import owner_of
from lb.plan import ListenerPlan

BACKLOG = 4096  # connections that the kernel keeps for a worker that is busy; net.core.somaxconn caps it
UNIX_MODE = 0o666  # who may connect is decided by the rights of the socket's folder


class BindError(Exception):
    """An address cannot be listened on. The text says which, why, and what to do."""


class BoundAddress:
    """One address with its sockets. `shown` is the address with its real port. `path`: the file of a UNIX
    socket that was bound here, and is removed with it."""

    def __init__(self, address: str, sockets: list[socket.socket], shown: str, path: str = "") -> None:
        self.address = address
        self.sockets = sockets
        self.shown = shown
        self._path = path
        self._inode = os.stat(path).st_ino if path else 0

    def of(self, worker: int, workers: int) -> list[socket.socket]:
        """What worker number `worker` of `workers` serves. None is left out, and none of them goes empty."""
        return self.sockets[worker::workers] or [self.sockets[worker % len(self.sockets)]]

    def hand_over(self) -> None:
        """A successor serves it as well: closing leaves the file where it is."""
        self._path = ""

    def close(self) -> None:
        """Stop listening. Workers that were given a socket must have closed theirs before."""
        for sock in self.sockets:
            sock.close()
        if self._path:
            with contextlib.suppress(OSError):
                if os.stat(self._path).st_ino == self._inode:  # not the socket of a successor
                    os.unlink(self._path)


class Listeners:
    """All bound addresses, by the text of the configuration. Sockets that are `inherited` are used before
    any is bound."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self.bound: dict[str, BoundAddress] = {}
        self.inherited = Inherited()

    def open_missing(self, plans: Iterable[ListenerPlan]) -> list[BoundAddress]:
        """Bind every address that is not bound yet; returns the new ones, which serve nobody until a
        worker gets them. All or nothing: raises BindError for the first that fails, with none bound."""
        opened: list[BoundAddress] = []
        # "0.0.0.0:80" may become "127.0.0.1:80": both are ours for a moment.
        ours = {_port(bound.shown) for bound in self.bound.values()} | self.inherited.ports()
        try:
            for plan in plans:
                for address in plan.bind:
                    if address not in self.bound:
                        taken_by_us = _port(address) in ours
                        bound = bind(
                            address, f"listener {plan.name}", self.workers, self.inherited, taken_by_us
                        )
                        opened.append(bound)
                        self.bound[address] = bound
        except BindError:
            self.forget(opened)
            raise
        return opened

    def forget(self, addresses: Iterable[BoundAddress]) -> None:
        """Close these addresses."""
        for bound in list(addresses):
            self.bound.pop(bound.address, None)
            bound.close()

    def unused(self, plans: Iterable[ListenerPlan]) -> list[BoundAddress]:
        """Addresses that no listener of the plan has."""
        wanted = {address for plan in plans for address in plan.bind}
        return [bound for address, bound in self.bound.items() if address not in wanted]

    def hand_over(self) -> None:
        """A successor serves all of them as well."""
        for bound in self.bound.values():
            bound.hand_over()

    def close(self) -> None:
        self.forget(self.bound.values())


def bind(
    address: str,
    owner: str,
    workers: int,
    inherited: Inherited | None = None,
    taken_by_us: bool = False,
) -> BoundAddress:
    """Sockets for all workers on one address: those that are inherited, and what is missing bound. `owner`
    says in errors what it is for; `taken_by_us`: its port may be in use. Raises BindError."""
    if address.startswith("unix:"):
        return _bind_unix(address, owner, inherited)
    family, name = _resolve(address, owner)
    sockets = inherited.take(address, _shown(family, name)) if inherited is not None else []
    shared = any(not sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT) for sock in sockets)
    if sockets:
        name = sockets[0].getsockname()
    elif name[1] and not taken_by_us:
        _refuse_taken(family, name, address, owner)
    try:
        while len(sockets) < workers and not shared:
            sock = _socket(family, reuse_port=True)
            sockets.append(sock)
            sock.bind(name)
            sock.listen(BACKLOG)
            name = sock.getsockname()  # port 0: the others follow the first
    except OSError as error:
        for sock in sockets:
            sock.close()
        raise _bind_error(error, address, owner, name[1]) from None
    return BoundAddress(address, sockets, _shown(family, name))


def _shown(family: int, name: tuple[str, int]) -> str:
    return f"[{name[0]}]:{name[1]}" if family == socket.AF_INET6 else f"{name[0]}:{name[1]}"


def _port(address: str) -> str:
    return "" if address.startswith("unix:") else address.rpartition(":")[2]


def _resolve(address: str, owner: str) -> tuple[int, tuple[str, int]]:
    host, _, port = address.rpartition(":")
    try:
        found = socket.getaddrinfo(
            host.strip("[]"), int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (OSError, ValueError) as error:
        raise BindError(f"{owner}: {address} is no address of this machine: {error}") from None
    family, _, _, _, name = found[0]
    return family, name  # type: ignore[return-value]  # (host, port) or (host, port, flow, scope)


def _socket(family: int, reuse_port: bool) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if reuse_port:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if family == socket.AF_INET6:
        # "[::]:80" is IPv6 alone: so that it can stand beside "0.0.0.0:80" whatever the system's default.
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    sock.setblocking(False)
    return sock


def _refuse_taken(family: int, name: tuple[str, int], address: str, owner: str) -> None:
    """SO_REUSEPORT lets a second lb of the same user bind the same port without a word, and take half of
    the connections. A socket without it finds out."""
    with _socket(family, reuse_port=False) as probe:
        try:
            probe.bind(name)
        except OSError as error:
            raise _bind_error(error, address, owner, name[1]) from None


def _bind_unix(address: str, owner: str, inherited: Inherited | None) -> BoundAddress:
    path = address.removeprefix("unix:")
    if inherited is not None and (found := inherited.take(address, address)):
        return BoundAddress(address, found, address)  # its file may still be its predecessor's, or systemd's
    _remove_stale(path, address, owner)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(path)
        os.chmod(path, UNIX_MODE)
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        raise _bind_error(error, address, owner, 0) from None
    return BoundAddress(address, [sock], address, path)


def _remove_stale(path: str, address: str, owner: str) -> None:
    """A socket file outlives a process that was killed. Remove it if nobody listens there."""
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            raise BindError(f"{owner}: {path} exists and is not a socket; move it or choose another path")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(1)
            probe.connect(path)
    except ConnectionRefusedError:
        with contextlib.suppress(OSError):
            os.unlink(path)
    except OSError:
        pass  # no such file, or no right to look: bind says it
    else:
        raise BindError(f"{owner}: {address} is in use: another process listens there; end it first")


def _bind_error(error: OSError, address: str, owner: str, port: int) -> BindError:
    reason = error.strerror or str(error)
    match error.errno:
        case errno.EADDRINUSE:
            holder = owner_of(port) if port else ""
            reason = f"the address is in use{f' by {holder}' if holder else ''}"
            advice = "end that process, or choose another port"
        case errno.EACCES | errno.EPERM:
            advice = "a port below 1024 needs the capability CAP_NET_BIND_SERVICE; or choose a higher port"
            if not port:
                advice = "check the rights of the folder"
        case errno.EADDRNOTAVAIL:
            advice = "this machine has no such address; 0.0.0.0 means all of its addresses"
        case errno.EMFILE | errno.ENFILE:
            advice = "raise the limit of open files (ulimit -n)"
        case errno.ENOENT:
            advice = "make the folder first"
        case _:
            advice = "choose another address"
    return BindError(f"{owner}: cannot listen on {address}: {reason}; {advice}")
