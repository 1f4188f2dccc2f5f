"""The connection of a probe: where it goes, plain or with TLS.

Lives here: taking an address apart, TLS settings made ready and kept, opening. Must not live here: what is
said on the connection (one file a kind of probe).
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar

from lb.health.attempt import Attempt
from lb.health.plan import TlsSettings

# A server that does not answer the end of a TLS session: the probe is over, its socket goes.
SHUTDOWN = 1.0

P = TypeVar("P", bound=asyncio.BaseProtocol)


class PlaceError(ValueError):
    """A check that cannot be made at this address; the text says what to change."""


def place(address: str, port: int | None) -> tuple[str, int] | str:
    """(host, port) of an address, the port replaced where the check has its own; the path of a Unix
    socket. Raises PlaceError."""
    if address.startswith("unix:"):
        if port is not None:
            raise PlaceError(f"a check with a port of its own cannot be made at {address}, which has no host")
        return address.removeprefix("unix:")
    host, _, own = address.rpartition(":")
    return host.strip("[]"), int(own) if port is None else port


def shown_place(address: str, port: int | None) -> str:
    """The address with the port that is checked, as it stands in a Host header; "localhost" for a Unix
    socket."""
    if address.startswith("unix:"):
        return "localhost"
    return address if port is None else f"{address.rpartition(':')[0]}:{port}"


async def connect(
    attempt: Attempt, make: Callable[[], P], port: int | None, tls: TlsSettings | None, protocol: str = ""
) -> tuple[asyncio.Transport, P]:
    """Open a connection and, with `tls`, shake hands; `protocol`: what ALPN offers. Cancelled, it leaves no
    socket. Raises OSError (ssl.SSLError is one) and PlaceError."""
    loop = asyncio.get_running_loop()
    where = place(attempt.plan.address, port)
    secure, name, shutdown = None, None, None
    if tls is not None:
        secure = tls_settings(tls, protocol)
        name = tls.server_name or ("" if isinstance(where, str) else where[0])
        shutdown = SHUTDOWN
        attempt.awaits = "TLS connection"
        if not name and tls.verify:
            raise PlaceError("TLS on a Unix socket needs tls: {server_name: …} to know whom to expect")
    if isinstance(where, str):
        return await loop.create_unix_connection(
            make, where, ssl=secure, server_hostname=name, ssl_shutdown_timeout=shutdown
        )
    return await loop.create_connection(
        make, *where, ssl=secure, server_hostname=name, ssl_shutdown_timeout=shutdown
    )


def tls_settings(tls: TlsSettings, protocol: str) -> ssl.SSLContext:
    """Made once for equal settings (reading the system's certificates takes some 20 ms), and again when the
    file of `ca` changed. Raises OSError."""
    return _tls_settings(tls, protocol, None if tls.ca is None else stamp(tls.ca))


def stamp(path: str) -> tuple[int, int, int]:
    """Another one when the file changed, by a replacement of the same date too. Raises OSError."""
    found = os.stat(path)
    return found.st_mtime_ns, found.st_ino, found.st_size


@lru_cache(maxsize=256)
def _tls_settings(tls: TlsSettings, protocol: str, _stamp: tuple[int, int, int] | None) -> ssl.SSLContext:
    made = ssl.create_default_context(cafile=tls.ca)
    if not tls.verify:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    if protocol:
        made.set_alpn_protocols([protocol])
    return made
