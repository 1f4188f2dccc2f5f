"""A sample of the differences between answers, as an event."""

from __future__ import annotations

from lb.control.differences import tell_difference
from lb.control.events import Events
from lb.worker.messages import Different


def test_the_event(caplog):
    caplog.set_level("INFO")
    events = Events()
    how = "status: expected 200, came 500"
    tell_difference(events, 1, Different("shop", "next", "status", how, "GET /cart", "77"))
    (event,) = events.last
    assert (event.kind, event.reason, event.service, event.server) == (
        "mirror_different",
        "status",
        "next",
        "",
    )
    assert event.text == f"route shop, GET /cart: the copy was answered otherwise: {how}"
    assert event.facts == {"worker": 1, "route": "shop", "request_id": "77"}
    assert events.counts == {("mirror_different", "status", "next"): 1}
    assert "mirror_different: route shop, GET /cart" in caplog.text
