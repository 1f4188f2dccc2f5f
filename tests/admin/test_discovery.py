"""The endpoints of discovery."""

from __future__ import annotations


def test_what_sources_say(control, ask):
    reply = ask("GET", "/api/v1/discovery")
    assert reply.status == 200
    found = reply.json()
    assert [one["service"] for one in found["services"]] == ["app", "mute"]


def test_accept(control, ask):
    reply = ask("POST", "/api/v1/discovery/app/accept")
    assert reply.status == 200
    found = reply.json()
    assert [(one["service"], one["held"]) for one in found["services"]] == [("app", [])]
    reply = ask("POST", "/api/v1/discovery/app/accept")
    found = reply.json()
    assert (reply.status, found["error"], found["message"]) == (404, "nothing_held", "nothing of app is held")
