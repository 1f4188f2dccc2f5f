"""New heads out of received ones: the lines that go on, in runs, and ours.

Lives here: the assembly for both directions. Must not live here: which lines belong to a connection
(lb.http1.hopbyhop), the forwarding fields (lb.proxy.forwarded), edits (lb.routing.edits), decisions.
"""

from __future__ import annotations

from collections.abc import Collection

import cython

from lb.http1.hopbyhop import HOP_BY_HOP, append_lines
from lb.message import RequestHead, ResponseHead
from lb.proxy.core import Core
from lb.proxy.forwarded import continued_lines, forwarded_element
from lb.proxy.rules import ListenerRules, RouteRules
from lb.proxy.sides import ClientSide
from lb.proxy.tracing import Trace
from lb.routing.edits import HeaderEdits
from lb.routing.rewrites import Rewrite
from lb.upstream.server import Server

HOST: cython.int = 8
CONTENT_LENGTH: cython.int = 9
X_REQUEST_ID: cython.int = 16
DATE: cython.int = 18

_HOP_BY_HOP: cython.ulonglong = HOP_BY_HOP


@cython.ccall
def request_head(
    core: Core,
    head: RequestHead,
    rules: RouteRules,
    side: ClientSide,
    server: Server,
    request_id: bytes,
    trace: Trace | None,
    span: bytes,
) -> bytes:
    """The request head for a server, with the blank line. The variables of `core` were filled by the caller
    where the route edits the request. `span`: of the attempt, where `trace` has it recorded."""
    listener: ListenerRules = side.rules
    rewrite: Rewrite | None
    parts: list[bytes] = []
    drop: cython.ulonglong = listener.drop
    start: cython.Py_ssize_t = head.start
    authority: bytes = head.authority
    target: bytes = head.target
    names: Collection[bytes] | None = head.nominated
    if not rules.plain:
        rewrite = rules.route.rewrite
        if rewrite is not None:
            authority = rewrite.authority(authority, server.host)
            if rewrite.changes_target:
                target = rewrite.target(head.path, head.query)
        if rules.route.request_edits is not None:
            names = rules.route.request_edits.drops.union(names or ())
    if not head.plain or target is not head.target:
        parts.append(b"%b %b HTTP/1.1\r\n" % (head.method, target))
        start = head.lines
    if head.absolute or authority is not head.authority or not head.seen & (1 << HOST):
        parts_host = b"Host: %b\r\n" % authority
        drop |= 1 << HOST
    else:
        parts_host = b""
    if not head.seen & (1 << X_REQUEST_ID) or head.header(b"x-request-id") != request_id:
        drop |= 1 << X_REQUEST_ID
    if head.content_length >= 0:
        drop |= 1 << CONTENT_LENGTH
    if trace is not None:
        drop |= trace.drop
    append_lines(parts, head, start, drop, names)
    if parts_host:
        parts.append(parts_host)
    if head.chunked:
        parts.append(b"Transfer-Encoding: chunked\r\n")
    elif head.content_length >= 0:
        # one canonical line, whatever came (RFC 9110 8.6)
        parts.append(b"Content-Length: %d\r\n" % head.content_length)
    if head.upgrade:
        parts.append(b"Connection: upgrade\r\nUpgrade: %b\r\n" % head.upgrade)
    if side.trusted:
        parts.append(continued_lines(listener, head, side.client.address, side.scheme))
    else:
        parts.append(side.own_lines)
        if listener.add_host:
            parts.append(b"X-Forwarded-Host: ")
            parts.append(head.authority)
            parts.append(b"\r\n")
        if listener.add_forwarded:
            element = forwarded_element(side.client.address, head.authority, side.scheme)
            parts.append(b"Forwarded: %b\r\n" % element)
    if listener.add_via:
        parts.append(b"Via: 1.1 lb\r\n" if head.minor else b"Via: 1.0 lb\r\n")
    if drop & (1 << X_REQUEST_ID):
        parts.append(b"X-Request-Id: ")
        parts.append(request_id)
        parts.append(b"\r\n")
    if trace is not None and (rules.plain or not _edited(rules, b"traceparent")):
        parts.append(trace.line(span))
    if not rules.plain and rules.route.request_edits is not None:
        parts.append(rules.route.request_edits.lines(core.variables))
    parts.append(b"\r\n")
    return b"".join(parts)


@cython.cfunc
def _edited(rules: RouteRules, name: bytes) -> cython.bint:
    """Whether the route itself says what the request has of this field."""
    return rules.route.request_edits is not None and name in rules.route.request_edits.drops


@cython.ccall
def response_head(
    core: Core, head: ResponseHead, rules: RouteRules | None, ours: bytes, length: cython.bint
) -> bytes:
    """The response head for a client, with the blank line. `ours`: finished lines about framing and
    connection; `length`: whether the server's Content-Length goes on. The variables of `core` were filled
    by the caller where the route edits the response."""
    parts: list[bytes] = []
    drop: cython.ulonglong = _HOP_BY_HOP
    start: cython.Py_ssize_t = head.start
    names: Collection[bytes] | None = head.nominated
    edits: HeaderEdits | None = None if rules is None else rules.route.response_edits
    if edits is not None:
        names = edits.drops.union(names or ())
    if head.minor == 0:
        parts.append(b"HTTP/1.1 %d %b\r\n" % (head.status, head.reason))
        start = head.lines
    if not length or head.lengths > 1:
        drop |= 1 << CONTENT_LENGTH
    append_lines(parts, head, start, drop, names)
    if length and head.lengths > 1:
        parts.append(b"Content-Length: %d\r\n" % head.content_length)
    if ours:
        parts.append(ours)
    if edits is not None:
        parts.append(edits.lines(core.variables))
    parts.append(b"\r\n")
    return b"".join(parts)


@cython.ccall
def edited_lines(lines: bytes, edits: HeaderEdits, core: Core) -> bytes:
    """The field lines of an answer of lb's own, edited as the route says. Variables as for response_head."""
    kept: list[bytes] = [
        line + b"\r\n" for line in lines.split(b"\r\n") if line.partition(b":")[0].lower() not in edits.drops
    ]
    return b"".join(kept[:-1]) + edits.lines(core.variables)
