"""What rules of HAProxy do, as keys of a route.

Lives here: redirects, fixed answers, texts with samples. Must not live here: when they are done, edits of
headers and paths (lb.importing.haproxyedits).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from lb.importing.haproxylines import Line
from lb.importing.result import Draft
from lb.importing.values import UnmappableError

CONDITIONS = ("if", "unless")
CLOSING = ("deny", "tarpit", "reject", "silent-drop", "auth", "block")
ANSWERING = (*CLOSING, "redirect", "return")
# What an answer may have besides, and has not in lb.
_BODY = ("content-type", "string", "lf-string", "file", "lf-file", "errorfile", "errorfiles")
MORE = {"deny": (*_BODY, "hdr"), "tarpit": (*_BODY, "hdr"), "return": ("hdr",)}

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
IN_HEADERS = {"src", "hdr(host)", "req.hdr(host)", "path", "unique-id"}
_IN_REDIRECTS = set(_FIELDS) - {"src", "unique-id"}


def verb(words: Sequence[str]) -> str:
    """What a rule does: its first word, or that behind those that say when it is looked at."""
    at = {"http-request": 1, "tcp-request": 2}.get(words[0], 0)
    return words[at] if len(words) > at else ""


def guards(line: Line) -> bool:
    """Whether it ends what becomes of a request, and does not only change it."""
    return verb(line.words) in ANSWERING


def closes(line: Line) -> bool:
    """Whether it refuses requests."""
    kind = verb(line.words)
    return kind in CLOSING or (kind == "return" and _status(line.words[2:]) >= 400)


def _status(words: Sequence[str]) -> int:
    return int(dict(pairwise(words)).get("status", 200))


def is_rate(words: Iterable[str]) -> bool:
    """Whether it asks for counters of clients: without it, more is allowed, but nobody else."""
    return any(re.match(r"!?(sc\d?_|src_|sc\d?\()|.*_rate\b", word) for word in words)


def action_of(draft: Draft, line: Line, words: Sequence[str]) -> dict[str, Any]:
    """Of a rule without its condition. Raises UnmappableError."""
    kind = verb(words)
    rest = words[words.index(kind) + 1 :]
    given = dict(pairwise(rest))
    for word in MORE.get(kind, ()):
        if word in given:
            draft.gap(line.place, str(line), f"an answer of lb has no {word} of the rule")
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
        name = found[1].strip()
        if name.startswith(("hdr(host)", "req.hdr(host)")):  # which has no case and no port in lb
            name = re.sub(r",(lower|field\(1,:\)|host_only)", "", name)
        if name not in allowed:
            raise UnmappableError(f"lb has no counterpart of %[{found[1]}] here")
        return f"${{{_FIELDS[name]}}}"

    made = _SAMPLE.sub(put, value)
    if re.search(r"(?<!%)%[A-Za-z\[]", made):
        raise UnmappableError(f"lb has no counterpart of a field in {value}")
    return made.replace("%%", "%")
