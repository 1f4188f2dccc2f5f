"""Answers of lb's own: what a client gets when there is no response of a server to forward.

Small and correct: HTML for browsers, JSON for everybody else who asks for it, plain framing. Nothing of
the request is echoed. Must not live here: when an answer is given (lb.proxy.exchange), framing and
Connection (lb.proxy.client).
"""

from __future__ import annotations

import re

from lb.http1.serialize import reason_phrase
from lb.message import RequestHead
from lb.outcomes import TABLE, Outcome

# Media ranges of an Accept that are looked at; browsers send about eight.
_MOST_RANGES = 32
_WEIGHT = re.compile(rb"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")
_RETRY_LATER = frozenset({503})


def error_answer(
    outcome: int, head: RequestHead | None, request_id: bytes, proxy_status: bool, retry_after: int = 1
) -> tuple[int, bytes, bytes]:
    """(status, field lines, body) for an outcome. `proxy_status`: name the reason as RFC 9209 has it;
    `retry_after`: whole seconds, told with a 503."""
    row = TABLE[Outcome(outcome)]
    status = row.status
    phrase = reason_phrase(status)
    accept = (head.header(b"accept") if head is not None else None) or b""
    identity = request_id.decode("latin-1")
    if _prefers_json(accept):
        kind = b"application/json"
        shown = f',"request_id":"{identity}"' if identity else ""
        body = f'{{"status":{status},"error":"{phrase}","message":"{row.text}"{shown}}}\n'
    else:
        kind = b"text/html; charset=utf-8"
        shown = f"<p><small>Request {identity}</small></p>" if identity else ""
        body = (
            f'<!doctype html><html lang="en"><title>{status} {phrase}</title>'
            f"<h1>{status} {phrase}</h1><p>{row.text[0].upper()}{row.text[1:]}.</p>{shown}</html>\n"
        )
    lines = [b"Content-Type: " + kind + b"\r\nCache-Control: no-store\r\n"]
    if status in _RETRY_LATER:
        lines.append(b"Retry-After: %d\r\n" % retry_after)
    if outcome == Outcome.METHOD_NOT_ALLOWED:
        # RFC 9110 15.5.6: a 405 says what is allowed
        lines.append(b"Allow: GET, HEAD, POST, PUT, DELETE, OPTIONS, TRACE, PATCH\r\n")
    if proxy_status:
        lines.append(f'Proxy-Status: lb; error={row.proxy_error}; details="{row.text}"\r\n'.encode())
    return status, b"".join(lines), body.encode()


def _prefers_json(accept: bytes) -> bool:
    """Whether the client wants JSON rather than HTML (RFC 9110 12.5.1); HTML where it says nothing, or
    likes both as much and names HTML first."""
    weights = {b"json": (0.0, 0), b"html": (0.0, 0)}
    for place, element in enumerate(accept.lower().split(b",")[:_MOST_RANGES]):
        kind, *parameters = (part.strip(b" \t") for part in element.split(b";"))
        weight = 1.0
        for parameter in parameters:
            if parameter.startswith(b"q="):
                match = _WEIGHT.fullmatch(parameter[2:])
                weight = float(match[0]) if match else 0.0
        name = b"json" if kind.endswith(b"json") else b"html" if kind == b"text/html" else b""
        if name and weight > weights[name][0]:
            weights[name] = (weight, -place)
    return weights[b"json"] > weights[b"html"]
