"""What nginx changes on the way, how long it waits and what it tries again, as keys of a route.

Lives here: header edits, time-outs, retries. Must not live here: which requests a route gets.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lb.importing.nginxvalues import IN_HEADERS, Directive, Settings, duration, has_variable, translated
from lb.importing.result import Draft
from lb.importing.values import UnmappableError

# lb says these to servers by itself (listeners[].forwarded_headers), or keeps them per connection.
OWN = {
    "x-forwarded-for": ("$proxy_add_x_forwarded_for", "$remote_addr"),
    "x-forwarded-proto": ("$scheme",),
    "x-forwarded-host": ("$host", "$http_host"),
}
PER_CONNECTION = {"connection", "upgrade", "keep-alive", "te", "transfer-encoding"}
TIMES = (
    ("proxy_connect_timeout", "connect"),
    ("proxy_read_timeout", "response"),
    ("proxy_read_timeout", "idle"),
)
WITH_HEADERS = (200, 201, 204, 206, 301, 302, 303, 304, 307, 308)  # without `always`
RETRIED = {"error": ["connect", "reset"], "timeout": ["timeout"]}
METHODS = ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "POST", "PATCH"]


def edits(
    draft: Draft, settings: Settings, rewrite: dict[str, str], default_host: str, names: Mapping[str, str]
) -> dict[str, Any]:
    """The keys of a route beside match and service. `default_host`: the Host where nothing says another."""
    changes: dict[str, Any] = {}
    removed: list[str] = []
    host: str | None = default_host
    for one in _last(draft, settings.found("proxy_set_header")).values():
        name, value = one.args[0].lower(), one.args[1]
        try:
            if name == "host":
                host = default_host if value == "$proxy_host" else _host(value, names)
            elif name in PER_CONNECTION or value in OWN.get(name, ()):
                draft.needless(one.place, str(one))
            elif value == "":
                removed.append(name)
            else:
                changes[name] = translated(value, IN_HEADERS, names)
        except UnmappableError as error:
            draft.gap(one.place, str(one), str(error))
    found: dict[str, Any] = {}
    if host is not None:
        rewrite = {**rewrite, "host": host}
    if rewrite:
        found["rewrite"] = rewrite
    if changes or removed:
        found["request_headers"] = _edits(changes, removed)
    answers = _response_headers(draft, settings)
    if answers:
        found["response_headers"] = answers
    found["timeout"] = _timeouts(draft, settings)
    retry = _retry(draft, settings)
    if retry:
        found["retry"] = retry
    return found


def _edits(changes: Mapping[str, str], removed: list[str]) -> dict[str, Any]:
    return {**({"set": dict(changes)} if changes else {}), **({"remove": removed} if removed else {})}


def _host(value: str, names: Mapping[str, str]) -> str | None:
    """rewrite.host; None: as the client sent it."""
    if value in ("$host", "$http_host", "$host:$server_port"):
        return None
    return translated(value, set(), names)


def _response_headers(draft: Draft, settings: Settings) -> dict[str, Any]:
    removed = [one.args[0].lower() for one in settings.found("proxy_hide_header")]
    added = _added(draft, settings)
    for one in added.values():
        if "always" not in one.args:
            draft.note(one.place, str(one), "lb sets it whatever the status, and once")
    changes = {name: one.args[1] for name, one in added.items()}
    return _edits(changes, [name for name in dict.fromkeys(removed) if name not in changes])


def fixed_headers(draft: Draft, settings: Settings, status: int) -> dict[str, Any]:
    """Of an answer that nginx gives by itself."""
    return _edits({name: one.args[1] for name, one in _added(draft, settings, status).items()}, [])


def _added(draft: Draft, settings: Settings, status: int = 200) -> dict[str, Directive]:
    found = []
    for one in settings.found("add_header"):
        if has_variable(one.args[1]):
            draft.gap(one.place, str(one), "a response header has no variables in lb")
        elif one.args[1] and (status in WITH_HEADERS or "always" in one.args):
            found.append(one)
        else:
            draft.needless(one.place, str(one))  # nginx does not add it either
    return _last(draft, found)


def _last(draft: Draft, directives: Iterable[Directive]) -> dict[str, Directive]:
    """The last one of each header's name."""
    found: dict[str, Directive] = {}
    for one in directives:
        name = one.args[0].lower()
        if before := found.get(name):
            draft.gap(before.place, str(before), "a route sets one line of a name: the last")
        found[name] = one
    return found


def _timeouts(draft: Draft, settings: Settings) -> dict[str, Any]:
    """nginx waits 60s for an answer where nothing is said, lb 30s."""
    found: dict[str, Any] = {"response": "1m"}
    for name, key in TIMES:
        for one in settings.found(name):
            found[key] = duration(one.args[0])
    for one in settings.found("proxy_send_timeout"):
        if duration(one.args[0]) != found.get("idle", "1m"):
            draft.note(one.place, str(one), "lb has one limit for pauses, timeout.idle: that of reading")
    return found


def _retry(draft: Draft, settings: Settings) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for one in settings.found("proxy_next_upstream"):
        on: list[Any] = []
        for word in one.args:
            if word == "off":
                found["attempts"] = 0
            elif word == "non_idempotent":
                found["methods"] = METHODS
            elif word in RETRIED:
                on += RETRIED[word]
            elif word.startswith("http_") and word != "http_404":
                on.append(int(word.removeprefix("http_")))
            else:
                draft.gap(one.place, word, "lb has no such reason to try again")
        if on:
            found["on"] = on
    for one in settings.found("proxy_next_upstream_tries"):
        if "attempts" not in found:
            found["attempts"] = _tries(draft, one)
    return found


def _tries(draft: Draft, one: Directive) -> int:
    tries = int(one.args[0])
    if tries in range(1, 12):
        return tries - 1
    draft.gap(one.place, str(one), "lb tries 10 times more at most", "set retry.attempts")
    return 10
