"""The sweep: all deadlines of a worker looked at together, so that no request needs a timer of its own."""

from __future__ import annotations

import cython

from lb.proxy.client import ClientConnection


@cython.ccall
def sweep(clients: set[ClientConnection], now: cython.double) -> object:
    """Let every connection end what took too long. `now` in monotonic seconds. 10,000 connections take
    about a tenth of a millisecond."""
    client: ClientConnection
    for client in list(clients):
        client.check(now)
    return None
