"""What control's loop reports of errors that nobody caught.

Lives here: what of it is said. Must not live here: what is done about an error where it happens.
"""

from __future__ import annotations

import asyncio
from typing import Any


def report(loop: asyncio.AbstractEventLoop, said: dict[str, Any]) -> None:
    """The exception handler of control's loop: as asyncio's own, but for one that is none. uvloop calls it a
    fatal error of TLS when bytes arrive for a connection that was just closed at this end, as those to
    Consul are when lb ends: nothing is lost, and there is nothing to do."""
    error = said.get("exception")
    if isinstance(error, RuntimeError) and "the handler is closed" in str(error):
        if said.get("message") == "Fatal error on SSL protocol":
            return
    loop.default_exception_handler(said)
