"""What rules of HAProxy do, as keys of a route.

Lives here: redirects, fixed answers, edits of headers and paths. Must not live here: when they are done.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from lb.importing.haproxylines import Line
from lb.importing.result import Draft
from lb.importing.values import UnmappableError, regex

CONDITIONS = ("if", "unless")
CLOSING = ("deny", "tarpit", "reject", "silent-drop", "auth")
ANSWERING = (*CLOSING, "redirect", "return")

_SAMPLE = re.compile(r"%\[([^\]]*)\]")
_FIELDS = {
    "src": "client_ip",
    "hdr(host)": "host",
    "req.hdr(host)": "host",
    "path": "path",
    "url": "uri",
    "pathq": "uri",
    "capture.req.uri": "uri",
    "query": "query",
    "unique-id": "request_id",
}
_IN_HEADERS = {"src", "hdr(host)", "req.hdr(host)", "path", "unique-id"}
_IN_REDIRECTS = set(_FIELDS) - {"src", "unique-id"}
OWN = ("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port")


def guards(line: Line) -> bool:
    """Whether it ends what becomes of a request, and does not only change it."""
    return line.words[1] in ANSWERING


def closes(line: Line) -> bool:
    """Whether it refuses requests."""
    if line.words[0] != "http-request":
        return False
    return line.words[1] in CLOSING or (line.words[1] == "return" and _status(line.words[2:]) >= 400)


def _status(words: Sequence[str]) -> int:
    return int(dict(pairwise(words)).get("status", 200))


def is_rate(words: Iterable[str]) -> bool:
    """Whether it asks for counters of clients: without it, more is allowed, but nobody else."""
    return any(re.match(r"!?(sc\d?_|src_|sc\d?\()|.*_rate\b", word) for word in words)


def action_of(draft: Draft, line: Line, words: Sequence[str]) -> dict[str, Any]:
    """Of a rule without its condition. Raises UnmappableError."""
    kind, rest = (words[1], words[2:]) if words[0] == "http-request" else (words[0], words[1:])
    given = dict(pairwise(rest))
    if kind == "redirect":
        return {"redirect": _redirect(draft, line, given, rest)}
    if kind == "return":
        text = given.get("string", "")
        if any(word in given for word in ("file", "errorfile", "errorfiles", "lf-string", "lf-file")):
            if not closes(line):
                raise UnmappableError("respond has a fixed text")
            draft.gap(line.place, str(line), "respond has a fixed text; here none")
        answer: dict[str, Any] = {"status": _status(rest)}
        headers = {"content-type": given["content-type"]} if "content-type" in given else {}
        return {
            "respond": {
                **answer,
                **({"body": text} if text else {}),
                **({"headers": headers} if headers else {}),
            }
        }
    if kind == "auth":
        raise UnmappableError("lb asks for no passwords")
    if kind != "deny":
        draft.note(line.place, str(line), "lb answers at once, with a status")
    status = int(given.get("deny_status", given.get("status", 500 if kind == "tarpit" else 403)))
    return {"respond": {"status": status}}


def _redirect(draft: Draft, line: Line, given: dict[str, str], words: Sequence[str]) -> dict[str, Any]:
    path = "${path}" if "drop-query" in words else "${uri}"
    if "scheme" in given:
        to = f"{given['scheme']}://${{host}}{path}"
    elif "prefix" in given:
        to = translated(given["prefix"].rstrip("/"), _IN_REDIRECTS) + path
    elif "location" in given:
        to = translated(given["location"], _IN_REDIRECTS)
    else:
        raise UnmappableError("it is neither scheme, prefix nor location")
    for word in ("set-cookie", "clear-cookie", "append-slash"):
        if word in words:
            draft.gap(line.place, word, "a redirect of lb has no such option")
    return {"to": to, "status": int(given.get("code", 302))}


def translated(value: str, allowed: set[str]) -> str:
    """A text in which %[sample] stands for something, with lb's fields. Raises UnmappableError."""

    def put(found: re.Match[str]) -> str:
        name = re.sub(r",(lower|field\(1,:\)|host_only)", "", found[1]).strip()
        if name not in allowed:
            raise UnmappableError(f"lb has no counterpart of %[{found[1]}] here")
        return f"${{{_FIELDS[name]}}}"

    made = _SAMPLE.sub(put, value)
    if re.search(r"(?<!%)%[A-Za-z\[]", made):
        raise UnmappableError(f"lb has no counterpart of a field in {value}")
    return made.replace("%%", "%")


def edits(draft: Draft, lines: Sequence[Line]) -> dict[str, Any]:
    """The changes of a route out of rules without a condition."""
    request: dict[str, Any] = {}
    response: dict[str, Any] = {}
    rewrite: dict[str, str] = {}
    for line in lines:
        words = line.words
        if words[0] not in ("http-request", "http-response") or (words[0] == "http-request" and guards(line)):
            continue
        line.used = True
        changed = request if words[0] == "http-request" else response
        try:
            if len(words) > 2 and words[1].endswith("-header") and words[2].lower() in OWN:
                continue  # lb says it by itself
            if any(word in CONDITIONS for word in words):
                raise UnmappableError("a route changes all its requests alike")
            _edit(line, changed, rewrite)
        except (UnmappableError, IndexError) as error:
            draft.gap(line.place, str(line), str(error), "write a route with match for it")
    found = {"rewrite": rewrite, "request_headers": request, "response_headers": response}
    return {key: value for key, value in found.items() if value}


def _edit(line: Line, changed: dict[str, Any], rewrite: dict[str, str]) -> None:
    words, answer = line.words, line.words[0] == "http-response"
    kind, name = words[1], words[2].lower() if len(words) > 2 else ""
    if kind in ("set-header", "add-header"):
        value = translated(words[3], set() if answer else _IN_HEADERS)
        if name == "host" and not answer:
            rewrite["host"] = value
        else:
            changed.setdefault(kind.removesuffix("-header"), {})[name] = value
    elif kind == "del-header":
        if len(words) > 3:
            raise UnmappableError("lb removes headers by their whole name")
        changed.setdefault("remove", []).append(name)
    elif kind == "set-path" and words[2].endswith("%[path]") and "%" not in words[2][: -len("%[path]")]:
        rewrite["add_prefix"] = words[2].removesuffix("%[path]").rstrip("/")
    elif kind == "replace-path":
        rewrite.update(regex=regex(words[2]), to=translated(words[3], set()))
    else:
        raise UnmappableError("lb has no counterpart")
