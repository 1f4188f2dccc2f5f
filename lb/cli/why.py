"""`lb why`: what happened to a request, in sentences.

Lives here: asking, and the text. Must not live here: the words for reasons and outcomes (lb.decisions,
lb.outcomes), what is kept (lb.control.kept).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlencode

from lb.cli.admin import UnansweredError, ask
from lb.cli.terminal import complain, paint, say
from lb.decisions import ATTEMPT_TEXT, SELECT_TEXT, Attempt, Select
from lb.outcomes import TABLE, Outcome

OK = 0
BECAUSE = {
    "failed": "it failed", "slow": "it was slow", "sample": "it is in the sample",
    "trace": "it was traced", "debug": "a signed header asked for it", "tail": "somebody looked on",
}  # fmt: skip
_FLAGS = {row.flag: row.text for row in TABLE.values()}

One = Mapping[str, Any]


def why(admin: str, wanted: str, only: str, last: int, as_json: bool) -> int:
    """Print the requests of id `wanted`; "": a list of up to `last` on which the condition `only` holds.
    Returns the exit code."""
    path = f"/{quote(wanted, safe='')}" if wanted else f"?{urlencode({'condition': only, 'limit': last})}"
    try:
        answer = ask(admin, "GET", f"/api/v1/requests{path}")
    except UnansweredError as error:
        complain(shown(str(error)))
        return error.code
    found: list[One] = answer["requests"]
    if as_json:
        say(json.dumps(answer, indent=2))
    elif wanted:
        for one in found:
            for line in sentences(one):
                say(line)
    elif found:
        for one in found:
            say(row(one))
    else:
        say(f"none of the {answer['kept']} requests that are kept is meant; --only '' lists all")
    return OK


def sentences(one: One) -> Iterator[str]:
    """What there is to say of one request, line by line."""
    row = TABLE[Outcome[one["outcome"].upper()]]
    bad = "failed" in one["kept"]
    yield f"{paint(_asked(one), 'bold')} {paint(_ended(one), 'red' if bad else 'green')}"
    yield f"  request {shown(one['request_id']) or '(it had no id yet)'}, ended {one['time']}"
    yield f"  kept because {' and '.join(BECAUSE[kind] for kind in one['kept'])}"
    if one["trace_id"]:
        span = f", span {one['span_id']}" if one["span_id"] else ""
        yield f"  trace {one['trace_id']}{span}"
    where = [f"from {shown(one['client'])}" if one["client"] else "", f"at listener {one['listener']}"]
    where += [f"{noun} {one[noun]}" if one[noun] else "" for noun in ("route", "service")]
    where += [f"generation {one['generation']}", f"worker {one['worker']}"]
    yield "  " + ", ".join(part for part in where if part)
    if row.flag != "--":
        yield f"  outcome {row.flag}: {row.text} (stage {row.stage}, because of the {row.side})"
    if one["reason"] and not one["attempts"]:
        yield f"  no attempt was made: {SELECT_TEXT[Select[one['reason'].upper()]]}"
    if one["queue"] is not None:
        yield f"  waited {_time(one['queue'])} in the queue of a server"
    for number, attempt in enumerate(one["attempts"], 1):
        yield f"  attempt {number} at +{_time(attempt['began'])}: {_attempt(attempt)}"
    if one["ttfb"] is not None:
        yield f"  the last server's first byte came after {_time(one['ttfb'])}"


def _attempt(one: One) -> str:
    """The server, why it, over which connection, how it ended."""
    said = [one["server"]]
    if one["reason"]:
        said.append(f"({SELECT_TEXT[Select[one['reason'].upper()]]})")
    if one["reused"]:
        said.append("on a reused connection")
    elif one["connect"] is not None:
        said.append(f"on a connection opened in {_time(one['connect'])}")
    end = f"answered {one['status']}" if one["status"] else "gave no response"
    said.append(f"{end} after {_time(one['duration'])}")
    text = " ".join(said)
    if one["flag"] != "--":
        text += f": {_FLAGS.get(one['flag'], 'it failed')} ({one['flag']})"
    if one["word"]:
        text += f"; {ATTEMPT_TEXT[Attempt[one['word'].upper()]]}"
    return text


def row(one: One) -> str:
    """A request in a line."""
    end = paint(f"{one['status']} {one['flag']}", "red" if "failed" in one["kept"] else "green")
    place = " → ".join(part for part in (one["route"], one["server"]) if part)
    tried = f", {len(one['attempts'])} attempts" if len(one["attempts"]) > 1 else ""
    return (
        f"{paint(one['time'], 'dim')} {end} {_asked(one)} {_time(one['duration'])} {place}{tried} "
        f"{paint(shown(one['request_id']), 'cyan')}"
    )


def _asked(one: One) -> str:
    if not one["method"] and not one["target"]:
        return "what was no valid request"
    return f"{shown(one['method'])} {shown(one['host'])}{shown(one['target'])}"


def _ended(one: One) -> str:
    end = f"got {one['status']}" if one["status"] else "got no response"
    return f"{end} after {_time(one['duration'])}"


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "?"
    return f"{seconds * 1000:.1f}ms" if seconds < 1 else f"{seconds:.2f}s"


def shown(text: str) -> str:
    """What a client sent, harmless on a terminal."""
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)
