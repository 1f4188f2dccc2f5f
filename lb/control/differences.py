"""What workers say of copies that were answered otherwise than the request, as events.

Lives here: the words. Must not live here: what is compared (lb.proxy.comparison), how often one is told
(lb.proxy.copies).
"""

from __future__ import annotations

from lb.control.events import Events
from lb.worker.messages import Different


def tell_difference(events: Events, worker: int, said: Different) -> None:
    """Tell a sample of the differences."""
    events.emit(
        "mirror_different", said.place,
        f"route {said.route}, {said.request}: the copy was answered otherwise: {said.text}",
        service=said.service, worker=worker, route=said.route, request_id=said.request_id,
    )  # fmt: skip
