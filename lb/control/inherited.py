"""Listening sockets that were there before this lb: a predecessor's, or those that systemd passes.

Lives here: finding them by address, and what systemd says of those it passes (sd_listen_fds(3)). Must not
live here: binding (lb.control.listeners), or how a predecessor gives them (lb.control.handover).
"""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping

FIRST_FD = 3  # SD_LISTEN_FDS_START
VARIABLES = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")


class Inherited:
    """Sockets waiting to be taken, those of one address together."""

    def __init__(self) -> None:
        self._sockets: dict[tuple[str, str], list[socket.socket]] = {}
        self._seen: set[int] = set()

    def add(self, sock: socket.socket, address: str = "") -> None:
        """`address`: the text of the configuration that it was bound for, where that is known. A copy of a
        socket that is here already is closed."""
        inode = os.fstat(sock.fileno()).st_ino
        if inode in self._seen:
            sock.close()
            return
        self._seen.add(inode)
        sock.setblocking(False)
        name = name_of(sock)
        self._sockets.setdefault((address or name, name), []).append(sock)

    def take(self, address: str, name: str) -> list[socket.socket]:
        """The sockets that were bound for `address`, or have this name; they are the caller's now."""
        found: list[socket.socket] = []
        for key in [key for key in self._sockets if key[0] == address or key[1] == name]:
            found += self._sockets.pop(key)
        return found

    def ports(self) -> set[str]:
        """Ports that are taken by sockets which wait here."""
        return {name.rpartition(":")[2] for _, name in self._sockets if not name.startswith("unix:")}

    def close(self) -> list[str]:
        """Close what nobody took; returns its names."""
        left = sorted(name for _, name in self._sockets)
        for sockets in self._sockets.values():
            for sock in sockets:
                sock.close()
        self._sockets.clear()
        return left


def name_of(sock: socket.socket) -> str:
    """Its own address as a configuration would write it: `127.0.0.1:80`, `[::]:80`, `unix:/run/lb.sock`."""
    name = sock.getsockname()
    if sock.family == socket.AF_UNIX:
        return f"unix:{os.fsdecode(name)}"
    return f"[{name[0]}]:{name[1]}" if sock.family == socket.AF_INET6 else f"{name[0]}:{name[1]}"


def from_systemd(environment: MutableMapping[str, str]) -> list[socket.socket]:
    """The listening sockets that systemd passed to this process. Its variables are removed, so that no child
    takes them for its own."""
    pid, count, _ = (environment.pop(name, "") for name in VARIABLES)
    if pid != str(os.getpid()) or not count.isdigit():
        return []
    found = []
    for fd in range(FIRST_FD, FIRST_FD + int(count)):
        os.set_inheritable(fd, False)
        sock = socket.socket(fileno=fd)
        if sock.type == socket.SOCK_STREAM and sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            found.append(sock)
        else:
            sock.close()
    return found
