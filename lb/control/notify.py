"""Telling systemd how lb is doing (sd_notify(3)).

Lives here: the message. Must not live here: when it is sent (lb.control.control).
"""

from __future__ import annotations

import contextlib
import os
import socket
import time


def notify(*lines: str) -> None:
    """Send lines such as READY=1 where a service manager listens ($NOTIFY_SOCKET); otherwise do nothing."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):  # Linux's abstract names
        address = "\0" + address[1:]
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.sendto("\n".join(lines).encode(), address)


def reloading() -> None:
    """A reload begins; READY=1 has to follow."""
    notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
