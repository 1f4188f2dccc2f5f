"""What rules of HAProxy change on the way, as keys of a route.

Lives here: edits of headers and paths, in the order in which HAProxy does them. Must not live here: what ends
a request (lb.importing.haproxyactions).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lb.config.fields import RESERVED
from lb.importing.haproxyactions import CONDITIONS, IN_HEADERS, guards, translated
from lb.importing.haproxylines import Line
from lb.importing.result import Draft
from lb.importing.values import UnmappableError, regex

# What lb says to servers by itself (listeners[].forwarded_headers), and the words for it.
OWN = {
    "x-forwarded-for": ("%[src]",),
    "x-forwarded-proto": ("%[ssl_fc,iif(https,http)]",),
    "x-forwarded-host": ("%[hdr(host)]", "%[req.hdr(host)]"),
}


def edits(draft: Draft, lines: Sequence[Line]) -> dict[str, Any]:
    """The changes of a route out of rules without a condition."""
    made: dict[str, _Headers] = {"http-request": _Headers(draft), "http-response": _Headers(draft)}
    rewrite: dict[str, str] = {}
    for line in lines:
        words = line.words
        if words[0] not in made or (words[0] == "http-request" and guards(line)):
            continue
        line.used = True
        try:
            if _said_anyway(words, lines):
                draft.needless(line.place, str(line))
                continue
            if any(word in CONDITIONS for word in words):
                raise UnmappableError("a route changes all its requests alike")
            _edit(line, made[words[0]], rewrite)
        except (UnmappableError, IndexError) as error:
            draft.gap(line.place, str(line), str(error), "write a route with match for it")
    found = {
        "rewrite": rewrite,
        "request_headers": made["http-request"].edits(),
        "response_headers": made["http-response"].edits(),
    }
    return {key: value for key, value in found.items() if value}


class _Headers:
    """Edits of headers one after the other, as lb's: remove, then set, then add."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._made: dict[str, dict[str, tuple[Line, str]]] = {"set": {}, "add": {}, "remove": {}}

    def take(self, line: Line, kind: str, name: str, value: str = "") -> None:
        """Raises UnmappableError."""
        if name in RESERVED:
            raise UnmappableError(f"this header cannot be changed: {RESERVED[name]}")
        if kind != "add":
            for made in self._made.values():  # of which nothing is left
                if name in made:
                    before, _ = made.pop(name)
                    self._draft.needless(before.place, str(before))
        elif name in self._made["add"]:
            raise UnmappableError("a route adds one line of a name")
        self._made[kind][name] = line, value

    def edits(self) -> dict[str, Any]:
        values = {
            kind: {name: value for name, (_, value) in made.items()}
            for kind, made in self._made.items()
            if made
        }
        return {kind: list(made) if kind == "remove" else made for kind, made in values.items()}


def _said_anyway(words: Sequence[str], lines: Sequence[Line]) -> bool:
    """Whether lb does it by itself."""
    name = words[2].lower() if len(words) > 2 else ""
    if words[0] != "http-request" or name not in OWN:
        return False
    if words[1] == "del-header":
        return len(words) == 3
    if words[1] not in ("set-header", "add-header") or len(words) < 4:
        return False
    if name == "x-forwarded-proto" and words[3] in ("http", "https"):
        return _asks_for_tls(words[4:], lines) == (words[3] == "https")
    return words[3] in OWN[name] and len(words) == 4


def _asks_for_tls(words: Sequence[str], lines: Sequence[Line]) -> bool | None:
    """Whether a condition holds with TLS alone; False: without it alone; None: it asks for something else."""
    condition = " ".join(words[1:])
    negated = condition.startswith("!")
    asked = condition.removeprefix("!").strip()
    acls = [line for line in lines if line.words[:2] == ("acl", asked)]
    if asked != "{ ssl_fc }" and [line.words[2:] for line in acls] != [("ssl_fc",)]:
        return None
    for line in acls:
        line.used = True
    return (words[0] == "if") != negated


def _edit(line: Line, headers: _Headers, rewrite: dict[str, str]) -> None:
    words, answer = line.words, line.words[0] == "http-response"
    kind, name = words[1], words[2].lower() if len(words) > 2 else ""
    if kind in ("set-header", "add-header"):
        value = translated(words[3], set() if answer else IN_HEADERS)
        if name != "host" or answer:
            headers.take(line, kind.removesuffix("-header"), name, value)
        elif "$" in value or "host" in rewrite:
            raise UnmappableError("a route has one host to ask for, and it is a fixed one")
        else:
            rewrite["host"] = value
    elif kind == "del-header":
        if len(words) > 3:
            raise UnmappableError("lb removes headers by their whole name")
        headers.take(line, "remove", name)
    elif kind in ("set-path", "replace-path") and {"add_prefix", "regex"} & set(rewrite):
        raise UnmappableError("a route rewrites a path once")
    elif kind == "set-path" and words[2].endswith("%[path]") and "%" not in words[2][: -len("%[path]")]:
        rewrite["add_prefix"] = words[2].removesuffix("%[path]").rstrip("/")
    elif kind == "replace-path":
        rewrite.update(regex=regex(words[2]), to=translated(words[3], set()))
    else:
        raise UnmappableError("lb has no counterpart")
