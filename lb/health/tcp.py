"""The TCP probe: somebody accepts; with TLS, somebody with the right certificate.

It says less than it seems to: the kernel accepts for a process that hangs.
"""

from __future__ import annotations

import asyncio

from lb.health.attempt import Attempt, Outcome
from lb.health.connect import connect
from lb.health.plan import TcpProbe


async def probe(attempt: Attempt, settings: TcpProbe) -> Outcome:
    """Raises as `connect` does."""
    transport, _ = await connect(attempt, asyncio.Protocol, settings.port, settings.tls)
    transport.close()
    return Outcome(True, "connected" if settings.tls is None else "connected, TLS agreed")
