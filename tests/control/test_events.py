"""Events: numbered, counted, logged once, told to all, the last ones kept."""

from __future__ import annotations

from lb.control.events import KEPT, Events


def test_an_event_is_kept_counted_logged_and_told(caplog):
    caplog.set_level("INFO")
    events, heard = Events(), []
    events.listeners.add(heard.append)
    events.emit("server_down", "check", "connect refused", service="app", server="a:1", run=3)
    (event,) = events.last
    assert heard == [event]
    assert (event.number, event.kind, event.reason, event.facts) == (1, "server_down", "check", {"run": 3})
    assert events.counts == {("server_down", "check", "app"): 1}
    assert "server_down: connect refused reason=check service=app server=a:1" in caplog.text


def test_what_has_a_better_line_is_not_logged_again(caplog):
    caplog.set_level("INFO")
    Events().emit("reload", "success", "done", logged=True)
    assert caplog.text == ""


def test_only_the_last_are_kept():
    events = Events()
    for _ in range(KEPT + 5):
        events.emit("a", "b", "c", logged=True)
    assert [events.last[0].number, events.last[-1].number, len(events.last)] == [6, KEPT + 5, KEPT]


def test_a_listener_may_stop_listening_while_it_is_told():
    events, heard = Events(), []

    def once(event):
        heard.append(event.number)
        events.listeners.discard(once)

    events.listeners.add(once)
    events.emit("a", "b", "c")
    events.emit("a", "b", "c")
    assert heard == [1]
