"""What workers say of their circuit breakers, as events.

Lives here: the words. Must not live here: when a breaker opens (lb.upstream.breaker). Each worker has
breakers of its own, so each opens and closes by itself.
"""

from __future__ import annotations

from lb.control.events import Events
from lb.worker.messages import Tripped


def tell_trip(events: Events, worker: int, said: Tripped) -> None:
    """Tell that a breaker opened or closed in a worker."""
    whose = said.address or "the whole service"
    if said.open:
        kind, reason = "breaker_opened", "failures"
        text = f"too many requests to {whose} failed: worker {worker} sends none for a while"
    else:
        kind, reason = "breaker_closed", "trials"
        text = f"requests to {whose} succeed again in worker {worker}"
    events.emit(kind, reason, text, service=said.service, server=said.address, worker=worker)
