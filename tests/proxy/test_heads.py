"""The heads that lb sends, out of those it received."""

from __future__ import annotations

import pytest

from lb.http1.response import read_response
from lb.message import ResponseHead
from lb.plan import HeaderEditsPlan, ListenerPlan, RewritePlan
from lb.proxy.forwarded import own_lines
from lb.proxy.heads import edited_lines, request_head, response_head
from lb.proxy.rules import ListenerRules
from tests.proxy.players import Asker
from tests.proxy.playing import House, plan
from tests.routing.making import request

EDITS = HeaderEditsPlan(
    set=(("x-env", "prod"),), add=(("x-ip", "${client_ip}"),), remove=("x-debug", "x-env-old")
)


def sent(head, listener=None, identity=b"id", trace=None, **route) -> list[bytes]:
    """The lines of the request head for server a:1."""
    house = House(plan(servers=("a:1",), **route))
    asker = Asker(house.core)
    asker.rules = ListenerRules(listener or ListenerPlan("web", (), forwarded_headers=()))
    asker.own_lines = own_lines(asker.rules, asker.client.address, b"http")
    asker.trusted = asker.rules.trusts(asker.client.address)
    house.core.variables.fill(head, asker.client, b"http", identity)
    (server,) = house.servers
    out = request_head(house.core, head, house.core.routes[0], asker, server, identity, trace, b"")
    assert out.endswith(b"\r\n\r\n")
    return out[:-4].split(b"\r\n")


def test_lines_go_on_as_they_came_but_for_those_of_the_connection():
    lines = "X-A:1\nConnection: keep-alive, x-hop\nX-Hop: 1\nTE: trailers\nX-b:  2 "
    assert sent(request("/p?q", lines=lines + "\nX-Request-Id: id")) == [
        b"GET /p?q HTTP/1.1", b"Host: example.com", b"X-A:1", b"X-b:  2 ", b"X-Request-Id: id"
    ]  # fmt: skip


def test_claims_of_a_stranger_are_replaced_by_ours():
    claims = (
        "X-Forwarded-For: 1.2.3.4\nForwarded: for=evil\nX-Forwarded-Host: evil\nProxy: evil\nVia: 1.1 other"
    )
    listener = ListenerPlan(
        "web", (), forwarded_headers=("x-forwarded-for", "x-forwarded-host", "forwarded", "via")
    )
    assert sent(request(lines=claims), listener)[2:] == [
        b"Via: 1.1 other",
        b"X-Forwarded-For: 192.0.2.1",
        b"X-Forwarded-Host: example.com",
        b'Forwarded: for=192.0.2.1;host="example.com";proto=http',
        b"Via: 1.1 lb",
        b"X-Request-Id: id",
    ]


def test_claims_of_a_trusted_proxy_go_on():
    listener = ListenerPlan("web", (), ("192.0.2.0/24",), ("x-forwarded-for",))
    lines = sent(request(lines="X-Forwarded-For: 1.2.3.4"), listener)
    assert [line for line in lines if b"orwarded" in line] == [b"X-Forwarded-For: 1.2.3.4, 192.0.2.1"]


@pytest.mark.parametrize(
    ("lines", "framing"),
    [
        ("Content-Length: 3\nContent-Length: 3", [b"Content-Length: 3"]),
        ("Content-Length: 003", [b"Content-Length: 3"]),
        ("Transfer-Encoding: Chunked", [b"Transfer-Encoding: chunked"]),
    ],
)
def test_framing_is_one_canonical_line(lines, framing):
    found = [
        h for h in sent(request(method="PUT", lines=lines)) if h.lower()[:8] in (b"content-", b"transfer")
    ]
    assert found == framing


def test_absolute_form_and_a_foreign_identity():
    lines = sent(request("http://other.example/x", host="example.com", lines="X-Request-Id: bad id"))
    assert lines == [b"GET /x HTTP/1.1", b"Host: other.example", b"X-Request-Id: id"]


def test_upgrade_is_asked_for_again():
    lines = sent(request(lines="Connection: Upgrade\nUpgrade: WebSocket"))
    assert lines[2:4] == [b"Connection: upgrade", b"Upgrade: websocket"]


def test_rewrite_and_edits():
    lines = "X-Debug: 1\nX-Env: a\nx-env: b\nX-Ip: c\nConnection: x-named\nX-Named: 1"
    rewrite = RewritePlan(strip_prefix="/api", host="server")
    found = sent(request("/api/x", lines=lines), rewrite=rewrite, request_headers=EDITS)
    assert found == [
        b"GET /x HTTP/1.1", b"X-Ip: c", b"Host: a:1", b"X-Request-Id: id", b"x-env: prod", b"x-ip: 192.0.2.1"
    ]  # fmt: skip


def test_edits_see_the_client_behind_trusted_proxies():
    house = House(plan(request_headers=EDITS))
    asker = house.ask(b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n", trusted=True)
    house.opened[0].connect()
    assert b"x-ip: 203.0.113.9\r\n" in house.opened[0].out
    house.opened[0].answer()
    house.clean(asker)


def answered(raw: bytes, ours: bytes = b"", length: bool = True, **route) -> bytes:
    head = ResponseHead()
    assert read_response(raw, 0, 0, head, 65536, 100) == len(raw)
    house = House(plan(**route))
    house.core.variables.client_ip = b"192.0.2.1"
    return response_head(house.core, head, house.core.routes[0], ours, length)


def test_a_response_head():
    raw = b"HTTP/1.1 200 Fine\r\nServer: s\r\nConnection: x-hop\r\nX-Hop: 1\r\nContent-Length: 2\r\n\r\n"
    assert answered(raw) == b"HTTP/1.1 200 Fine\r\nServer: s\r\nContent-Length: 2\r\n\r\n"
    assert answered(raw, b"Ours: 1\r\n", False) == b"HTTP/1.1 200 Fine\r\nServer: s\r\nOurs: 1\r\n\r\n"
    twice = b"HTTP/1.0 404 \r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n"
    assert answered(twice) == b"HTTP/1.1 404 \r\nContent-Length: 2\r\n\r\n"


def test_response_edits():
    raw = b"HTTP/1.1 200 OK\r\nX-DEBUG: 1\r\nx-env: a\r\nX-Ip: b\r\nContent-Length: 2\r\n\r\n"
    assert answered(raw, response_headers=EDITS) == (
        b"HTTP/1.1 200 OK\r\nX-Ip: b\r\nContent-Length: 2\r\nx-env: prod\r\nx-ip: 192.0.2.1\r\n\r\n"
    )


@pytest.mark.parametrize("lines", [b"", b"Location: /x\r\n", b"X-Debug: 1\r\nX-ENV: 2\r\nX-Ip: 3\r\n"])
def test_edits_of_our_own_lines(lines):
    house = House(plan(response_headers=EDITS))
    house.core.variables.client_ip = b"192.0.2.1"
    kept = lines if lines.startswith(b"L") else lines[-9:]
    edits = house.core.routes[0].route.response_edits
    assert edited_lines(lines, edits, house.core) == kept + b"x-env: prod\r\nx-ip: 192.0.2.1\r\n"
