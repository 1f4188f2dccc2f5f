"""The HTTP probe against servers that answer, lie, dawdle and break off."""

from __future__ import annotations

import asyncio

import pytest

from lb.health.http import MOST_BODY, ranges, request
from lb.health.plan import HttpProbe
from tests.health.servers import dripping, gone, hang, play, probed, refusing, reset, saying, serving, sockets

PLAIN = HttpProbe("/")
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


def outcome_of(answer: bytes, probe: HttpProbe = PLAIN, timeout: float = 5.0, stay: bool = False):
    async def test():
        async with serving(saying(answer, stay=stay)) as address:
            return await probed(address, probe, timeout)

    return play(test())


def test_a_good_answer():
    assert outcome_of(OK) == (True, "HTTP 200", None)


def test_the_request_as_it_arrives():
    async def test():
        kept = []
        async with serving(saying(OK, kept)) as address:
            probe = HttpProbe("/healthz?a=1", host="app.example", headers=(("X-Check", "yes"),))
            assert (await probed(address, probe)).ok
        return kept[0].split(b"\r\n")

    line, *fields = play(test())
    assert line == b"GET /healthz?a=1 HTTP/1.1"
    assert {b"host: app.example", b"x-check: yes", b"connection: close"} <= set(fields)


def test_a_header_of_the_settings_replaces_ours():
    probe = HttpProbe("/", headers=(("User-Agent", "me"), ("Host", "x")))
    sent = request(probe, "a:1")
    assert b"user-agent: me\r\n" in sent and sent.count(b"user-agent") == 1
    assert b"host: x\r\n" in sent and sent.count(b"host") == 1


@pytest.mark.parametrize(
    ("address", "port", "host"),
    [("a:1", None, b"a:1"), ("[::1]:80", 90, b"[::1]:90"), ("unix:/run/x", None, b"localhost")],
)
def test_the_host_is_the_address_that_is_asked(address, port, host):
    assert b"host: %b\r\n" % host in request(HttpProbe("/", port=port), address)


def test_a_method_with_a_body_says_that_it_sends_none():
    assert b"content-length: 0" in request(HttpProbe("/", method="POST"), "a:1")
    assert b"content-length" not in request(HttpProbe("/"), "a:1")


@pytest.mark.parametrize(
    ("status", "ok"), [(199, False), (200, True), (399, True), (400, False), (404, True)]
)
def test_the_ranges_of_status(status, ok):
    answer = b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % status
    outcome = outcome_of(answer, HttpProbe("/", status=((200, 399), (404, 404))))
    if status == 199:  # an interim answer: the one that counts never comes
        assert outcome == (False, "the server closed the connection in the middle of its answer", None)
    else:
        assert outcome.ok is ok
        assert outcome.why == (f"HTTP {status}" if ok else f"HTTP {status}, expected 200-399, 404")


def test_redirects_are_not_followed():
    answer = b"HTTP/1.1 302 Found\r\nLocation: /else\r\nContent-Length: 0\r\n\r\n"
    assert outcome_of(answer, HttpProbe("/", status=((200, 299),))).why == "HTTP 302, expected 200-299"


def test_interim_answers_are_skipped_up_to_a_bound():
    hint = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
    assert outcome_of(hint * 3 + OK).ok
    assert outcome_of(hint * 20 + OK).why == "more than 10 interim answers (1xx)"


BODIES = {
    "length": OK,
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
    "until close": b"HTTP/1.1 200 OK\r\n\r\nhello",
}


@pytest.mark.parametrize("answer", BODIES.values(), ids=BODIES)
def test_text_and_regex_in_every_framing(answer):
    assert outcome_of(answer, HttpProbe("/", body="hell")).ok
    assert outcome_of(answer, HttpProbe("/", regex="^h.l+o$")).ok
    missing = outcome_of(answer, HttpProbe("/", body="bye"))
    assert missing == (False, "HTTP 200, but 'bye' is not in the answer", None)
    unmatched = outcome_of(answer, HttpProbe("/", regex="^ello"))
    assert unmatched == (False, "HTTP 200, but nothing in the answer matches '^ello'", None)


def test_no_more_than_the_bound_is_looked_at():
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"x" * MOST_BODY + b"end"
    outcome = outcome_of(answer, HttpProbe("/", body="end"), stay=True)
    assert outcome == (False, f"HTTP 200, but 'end' is not in its first {MOST_BODY} bytes", None)
    assert outcome_of(answer, HttpProbe("/"), stay=True).ok, "what follows is not waited for"


def test_head_and_no_content_have_no_body():
    assert outcome_of(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", HttpProbe("/", "HEAD"), stay=True).ok
    assert outcome_of(b"HTTP/1.1 204 No Content\r\n\r\n", stay=True).ok


BROKEN = {
    "garbage": (
        b"\x00\x01\x02garbage, and nothing else",
        "the answer is not HTTP/1: '\\x00\\x01\\x02garbage",
    ),
    "another protocol": (b"220 mail.example ESMTP\r\n", "the answer is not HTTP/1: '220 mail.example"),
    "nothing": (b"", "the server closed the connection without an answer"),
    "half a head": (
        b"HTTP/1.1 200 OK\r\nX: ",
        "the server closed the connection in the middle of its answer",
    ),
    "half a body": (OK[:-1], "the server closed the connection in the middle of its answer"),
    "broken chunks": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "HTTP 200, but its chunks are malformed",
    ),
    "both framings": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "the answer is not HTTP/1: 'HTTP/1.1 200 OK",
    ),
    "endless head": (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 10_000, "the answer is not HTTP/1"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_not_an_answer(case):
    answer, why = BROKEN[case]
    outcome = outcome_of(answer)
    assert not outcome.ok
    assert outcome.why.startswith(why)
    assert len(outcome.why) < 200 and outcome.why.isprintable()


SLOW = {
    "hangs after accept": (hang, "no answer within 1s"),
    "hangs in the body": (saying(OK[:-1], stay=True), "no end of the answer within 1s"),
    "drips its head": (dripping(OK, 0.1), "no answer within 1s"),
}


@pytest.mark.parametrize("case", SLOW)
def test_what_takes_too_long_and_leaves_no_socket(case):
    talk, why = SLOW[case]

    async def test():
        async with serving(talk) as address:
            before = sockets()
            outcome = await probed(address, HttpProbe("/"), timeout=1.0)
            assert (outcome.ok, outcome.why) == (False, why)
            await gone(before)

    play(test())


def test_refused_and_reset():
    async def test():
        assert await probed(refusing(), HttpProbe("/")) == (False, "connection refused", None)
        async with serving(reset) as address:
            assert await probed(address, HttpProbe("/")) == (False, "connection reset", None)

    play(test())


def test_cancelled_it_leaves_no_socket():
    async def test():
        async with serving(hang) as address:
            before = sockets()
            task = asyncio.create_task(probed(address, HttpProbe("/")))
            while not sockets() - before:
                await asyncio.sleep(0.01)
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()
            await gone(before)

    play(test())


def test_a_port_of_its_own():
    async def test():
        async with serving(saying(OK)) as address:
            port = int(address.rpartition(":")[2])
            assert (await probed("127.0.0.1:1", HttpProbe("/", port=port))).ok

    play(test())


def test_a_unix_socket(tmp_path):
    async def test():
        path = tmp_path / "app.sock"
        probe = HttpProbe("/")
        assert (await probed(f"unix:{path}", probe)).why == "no such file or directory"
        server = await asyncio.start_unix_server(saying(OK, stay=True), path)
        assert (await probed(f"unix:{path}", probe)).ok
        server.close()
        assert (await probed(f"unix:{path}", probe)).why.startswith(("connection refused", "no such file"))
        wrong = await probed(f"unix:{path}", HttpProbe("/", port=80))
        assert "port of its own" in wrong.why and not wrong.ok

    play(test())


def test_a_name_that_nobody_knows():
    async def test():
        outcome = await probed("nobody.invalid:80", HttpProbe("/"))
        assert not outcome.ok
        assert outcome.why.startswith("the name cannot be resolved")

    play(test())


def test_ranges_as_configured():
    assert ranges(((200, 204), (301, 301))) == "200-204, 301"
