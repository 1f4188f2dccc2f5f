"""Answers of lb's own: right in form for every outcome, in the kind that the client asks for, and free of
anything that the client sent."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.outcomes import TABLE, Outcome
from lb.proxy.answers import error_answer
from tests.proxy.playing import House
from tests.routing.making import request

FAILURES = [o for o in TABLE if o != Outcome.DONE]


def fields(lines: bytes) -> dict[bytes, bytes]:
    assert lines.endswith(b"\r\n") and b"\r\n\r\n" not in lines
    pairs = [line.split(b": ", 1) for line in lines.decode("ascii").encode().split(b"\r\n")[:-1]]
    found = {name.lower(): value for name, value in pairs}
    assert len(found) == len(pairs)
    return found


@pytest.mark.parametrize("outcome", FAILURES)
@pytest.mark.parametrize("kind", ["json", "html"])
@pytest.mark.parametrize("reason", [False, True])
def test_every_failure_has_an_answer(outcome, kind, reason):
    head = request(lines="Accept: application/json" if kind == "json" else "")
    status, lines, body = error_answer(outcome, head, b"id-1", reason)
    shown = fields(lines)
    assert status == TABLE[outcome].status and shown[b"cache-control"] == b"no-store"
    if kind == "json":
        assert shown[b"content-type"] == b"application/json"
        said = json.loads(body)
        assert (said["status"], said["request_id"]) == (status, "id-1")
        assert said["message"] == TABLE[outcome].text
    else:
        assert shown[b"content-type"].startswith(b"text/html") and b"id-1" in body
    assert (b"retry-after" in shown) is (status == 503)
    assert (b"allow" in shown) is (status == 405)
    assert (b"proxy-status" in shown) is reason
    if reason:
        assert shown[b"proxy-status"].startswith(
            b"lb; error=%b; details=" % TABLE[outcome].proxy_error.encode()
        )


def test_no_request_no_identity():
    _, _, body = error_answer(Outcome.BAD_REQUEST, None, b"", False)
    assert b"Request" not in body.replace(b"Bad Request", b"") and b"<h1>400 Bad Request</h1>" in body


@pytest.mark.parametrize(
    ("accept", "wants_json"),
    [
        ("", False),
        ("*/*", False),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", False),
        ("application/json", True),
        ("Application/JSON", True),
        ("application/problem+json", True),
        ("application/json, text/html", True),
        ("text/html, application/json", False),
        ("text/html;q=0.5, application/json;q=0.9", True),
        ("text/html;level=1;q=0.9, application/json;q=0.5", False),
        ("application/json;q=0", False),
        ("application/json;q=0.001", True),
        ("application/json;q=2", False),
        ("application/json;q=nan", False),
        ("application/json ; charset=utf-8 ; q=1.000", True),
        ("application/jsonp", False),
        (",;,=;q", False),
    ],
)
def test_the_kind_that_accept_asks_for(accept, wants_json):
    head = request(lines=f"Accept: {accept}" if accept else "")
    assert (b"application/json" in error_answer(Outcome.NO_ROUTE, head, b"", False)[1]) is wants_json


@given(
    accept=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60),
    outcome=st.sampled_from(FAILURES),
)
def test_any_accept_gives_a_whole_answer(accept, outcome):
    _, lines, body = error_answer(outcome, request(lines=f"Accept: {accept}"), b"", True)
    if fields(lines)[b"content-type"] == b"application/json":
        json.loads(body)
    else:
        assert body.startswith(b"<!doctype html>")


MARK = "zqx7"


@pytest.mark.parametrize("kind", ["application/json", "text/html"])
def test_nothing_of_the_request_is_shown(kind):
    lines = f"Accept: {kind}, x/{MARK}\nCookie: {MARK}\nX-Request-Id: <{MARK}>\nUser-Agent: {MARK}"
    house = House()
    raw = f"GET /{MARK}?{MARK} HTTP/1.1\r\nHost: {MARK}.example\r\n"
    raw += "".join(f"{line}\r\n" for line in lines.splitlines()) + "\r\n"
    asker = house.ask(raw.encode())
    asker.exchange.fail(Outcome.CONNECT_FAILED)
    _, status, shown, body, _ = asker.said[0]
    assert status == 502 and MARK.encode() not in shown + body


def test_a_harmless_identity_is_kept_and_another_replaced():
    house = House()
    for sent, kept in (
        ("a-1_B.c:d+/=@", True),
        ("a" * 128, True),
        ("a" * 129, False),
        ("<b>", False),
        ("é", False),
    ):
        raw = b"GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: %b\r\n\r\n" % sent.encode("latin-1")
        assert (house.ask(raw).exchange.request_id == sent.encode("latin-1")) is kept
