"""The fields of the access log and the formats made of them.

Lives here: the name, kind and meaning of each field (docs/access-log.md has the same table), the named
formats, and the parsing of a template. Must not live here: writing a line (lb.telemetry.accesslog).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection
from enum import IntEnum
from typing import NamedTuple


class Kind(IntEnum):
    """How a field is written."""

    TEXT = 0  # a string
    NUMBER = 1  # an integer
    SECONDS = 2  # with six decimals
    TIME = 3
    ATTEMPTS = 4
    FLAG = 5  # true or false
    SHARE = 6  # a constant number


class Field(NamedTuple):
    kind: Kind
    meaning: str


# In the order of a JSON line.
FIELDS: dict[str, Field] = {
    "time": Field(Kind.TIME, "when the exchange ended, UTC, RFC 3339 with milliseconds"),
    "client": Field(
        Kind.TEXT,
        "the client's IP address, after PROXY protocol and trusted forwarding headers; none on a Unix socket",
    ),
    "listener": Field(Kind.TEXT, "name of the listener"),
    "route": Field(Kind.TEXT, "name of the route that matched"),
    "service": Field(Kind.TEXT, "name of the service"),
    "server": Field(Kind.TEXT, "address of the server of the last attempt"),
    "method": Field(Kind.TEXT, "request method"),
    "host": Field(Kind.TEXT, "the Host that was asked for"),
    "target": Field(Kind.TEXT, "request target: path and query as the client sent them"),
    "protocol": Field(Kind.TEXT, "the client's protocol version: `HTTP/1.1` or `HTTP/1.0`"),
    "status": Field(Kind.NUMBER, "status of the response to the client; 0: none was sent"),
    "bytes_in": Field(Kind.NUMBER, "bytes of the request body (of a tunnel: from the client)"),
    "bytes_out": Field(Kind.NUMBER, "bytes of the response body (of a tunnel: to the client)"),
    "duration": Field(Kind.SECONDS, "seconds from the complete request head to the end of the exchange"),
    "ttfb": Field(Kind.SECONDS, "seconds to the first byte of the server's response"),
    "connect": Field(Kind.SECONDS, "seconds to open the server connection; absent on a reused one"),
    "queue": Field(Kind.SECONDS, "seconds in the queue for a server connection; absent without queueing"),
    "flag": Field(Kind.TEXT, "how the exchange ended, two letters: see below"),
    "reason": Field(Kind.TEXT, "why this server was picked, or why none was: see below"),
    "attempts": Field(
        Kind.ATTEMPTS,
        "every attempt, in the order in which they ended: see below. In JSON only where there was more than "
        "one, the only one failed or there is a word; otherwise it is `server`, `status`, `ttfb`, `connect`, "
        "`reason`",
    ),
    "request_id": Field(Kind.TEXT, "the X-Request-Id, received or made"),
    "trace_id": Field(Kind.TEXT, "the trace, received or begun; absent where lb does not trace"),
    "generation": Field(Kind.NUMBER, "generation of the configuration that served the exchange"),
    "upgraded": Field(Kind.FLAG, "`true` where the exchange became a tunnel (WebSocket); otherwise absent"),
    "sample": Field(
        Kind.SHARE, "the share of such lines that is logged: it stands for 1/sample; absent where all are"
    ),
}  # fmt: skip

# Fields that only a template has.
TEMPLATE_FIELDS: dict[str, Field] = {
    "time_common": Field(Kind.TIME, "the time in the form of the common log format, UTC"),
    "header:NAME": Field(Kind.TEXT, "request header NAME, any case; several lines joined by `, `"),
}

# nginx and Apache write the same; the identity of RFC 1413 and the user are never known here.
COMMON = '${client} - - [${time_common}] "${method} ${target} ${protocol}" ${status} ${bytes_out}'
COMBINED = COMMON + ' "${header:referer}" "${header:user-agent}"'
NAMED = {"common": COMMON, "combined": COMBINED}

_FIELD = re.compile(r"\$\{([^}]*)\}?")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 5.6.2


class Part(NamedTuple):
    """A field with the constant text before and after it. `argument`: the header's name, lower case."""

    before: bytes
    field: str
    argument: bytes
    kind: Kind
    after: bytes


def check_omitted(name: str) -> None:
    """Raises ValueError, with a sentence, for what is no field that can be left out of a line."""
    if name.startswith("header:") and _TOKEN.fullmatch(name[len("header:") :]):
        return
    allowed = [field for field in FIELDS if field not in {"time", "sample"}]
    if name not in allowed:
        near = difflib.get_close_matches(name, allowed, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ValueError(
            f"{name!r} is no field that can be left out{hint} (fields: {', '.join(allowed)}, header:NAME)"
        )


def json_parts(without: Collection[str] = ()) -> tuple[list[Part], bytes]:
    """The parts of a JSON line but for the fields `without`, and the text after the last."""
    parts = []
    opening = "{"
    for name, field in FIELDS.items():
        if name in without:
            continue
        quote = '"' if field.kind in (Kind.TEXT, Kind.TIME) else ""
        parts.append(Part(f'{opening}"{name}":{quote}'.encode(), name, b"", field.kind, quote.encode()))
        opening = ","
    return parts, b"}\n"


def template_parts(template: str) -> tuple[list[Part], bytes]:
    """The parts of a template, and the text after the last. A `$` that is not followed by `{` stands for
    itself. Raises ValueError, naming the field, for a template that cannot be."""
    if "\n" in template or "\r" in template:
        raise ValueError("an access-log template is one line: remove the line break")
    parts = []
    at = 0
    for match in _FIELD.finditer(template):
        before = template[at : match.start()]
        parts.append(_part(before.encode(), match.group(1), match.group(0)))
        at = match.end()
    if not parts:
        raise ValueError(
            f"the access-log format {template!r} has no field: use json, common, combined, "
            "or a template such as '${client} ${status} ${duration}'"
        )
    return parts, template[at:].encode() + b"\n"


def _part(before: bytes, name: str, whole: str) -> Part:
    if not whole.endswith("}"):
        raise ValueError(f"the access-log template has {whole!r} without a closing brace")
    if name.startswith("header:"):
        argument = name[len("header:") :].lower()
        if not _TOKEN.fullmatch(argument):
            raise ValueError(f"the access-log template has {whole!r}: {argument!r} is not a header name")
        return Part(before, "header", argument.encode(), Kind.TEXT, b"")
    field = FIELDS.get(name) or TEMPLATE_FIELDS.get(name)
    if field is None:
        allowed = [*FIELDS, *TEMPLATE_FIELDS]
        near = difflib.get_close_matches(name, allowed, 1)
        hint = f"; did you mean ${{{near[0]}}}?" if near else ""
        raise ValueError(
            f"the access-log template has {whole!r}, which is no field{hint} (fields: {', '.join(allowed)})"
        )
    return Part(before, name, b"", field.kind, b"")
