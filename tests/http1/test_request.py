"""Request heads: what is accepted and what it means, what is refused and with which status."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.http1.request import read_request
from lb.message import RequestHead
from lb.outcomes import TABLE, Outcome


def read(raw: bytes, scanned: int = 0, most: int = 32768, lines: int = 100) -> tuple[int, RequestHead]:
    head = RequestHead()
    return read_request(raw, 0, scanned, head, most, lines), head


def status_of(raw: bytes, **limits: int) -> int:
    """0 for accepted, otherwise the status the client gets."""
    at, _ = read(raw, **limits)
    assert at != 0, "waits for more"
    return 0 if at > 0 else TABLE[Outcome(-at)].status


def get(line: bytes = b"GET / HTTP/1.1", *fields: bytes, host: bytes = b"Host: a.example") -> bytes:
    return b"\r\n".join([line, host, *fields]) + b"\r\n\r\n"


ACCEPTED = {
    "plain": get(),
    "lower-case method is a method": get(b"get / HTTP/1.1"),
    "any token is a method": get(b"M-SEARCH!#$%&'*+.^_`|~ / HTTP/1.1"),
    "one empty line first (RFC 9112 2.2)": b"\r\n" + get(),
    "tab around a value": get(b"GET / HTTP/1.1", b"X:\tv\t"),
    "tab before Content-Length": get(b"POST / HTTP/1.1", b"Content-Length:\t5"),
    "no white space after the colon": get(b"GET / HTTP/1.1", b"X:v"),
    "empty value": get(b"GET / HTTP/1.1", b"X:"),
    "obs-text in a value": get(b"GET / HTTP/1.1", b"X: \xfc\xff"),
    "same Content-Length twice": get(b"POST / HTTP/1.1", b"Content-Length: 5", b"content-length: 5"),
    "chunked in any case": get(b"POST / HTTP/1.1", b"Transfer-Encoding: Chunked"),
    "higher minor version (RFC 9110 2.5)": get(b"GET / HTTP/1.2"),
    "HTTP/1.0 without Host": b"GET / HTTP/1.0\r\n\r\n",
    "HTTP/1.0 ignores an expectation": b"GET / HTTP/1.0\r\nExpect: miracles\r\n\r\n",
    "port in Host": get(host=b"Host: a.example:8080"),
    "IPv6 in Host": get(host=b"Host: [::1]:80"),
    "absolute form": get(b"GET http://b.example/x HTTP/1.1"),
    "OPTIONS *": get(b"OPTIONS * HTTP/1.1"),
    "raw characters that browsers send": get(b'GET /a|b[c]{d}^?q=`"\\|<> HTTP/1.1'),
}

REFUSED = {
    # line ends
    "bare LF after the request line": (b"GET / HTTP/1.1\nHost: a\r\n\r\n", 400),
    "bare LF everywhere": (b"GET / HTTP/1.1\nHost: a\n\n", 400),
    "bare CR in a value": (get(b"GET / HTTP/1.1", b"X: a\rb"), 400),
    "LF in front": (b"\n" + get(), 400),
    "two empty lines in front": (b"\r\n\r\n" + get(), 400),
    "obs-fold": (get(b"GET / HTTP/1.1", b"X: a", b" b"), 400),
    "fold of the first line": (b"GET / HTTP/1.1\r\n X: a\r\nHost: a\r\n\r\n", 400),
    # names and values
    "white space before the colon": (get(b"GET / HTTP/1.1", b"X : a"), 400),
    "tab before the colon": (get(b"GET / HTTP/1.1", b"X\t: a"), 400),
    "empty name": (get(b"GET / HTTP/1.1", b": a"), 400),
    "no colon": (get(b"GET / HTTP/1.1", b"Xa"), 400),
    "NUL in a name": (get(b"GET / HTTP/1.1", b"X\0: a"), 400),
    "NUL in a value": (get(b"GET / HTTP/1.1", b"X: a\0b"), 400),
    "DEL in a value": (get(b"GET / HTTP/1.1", b"X: a\x7fb"), 400),
    "obs-text in a name": (get(b"GET / HTTP/1.1", b"X\xfc: a"), 400),
    "vertical tab before chunked (CVE-2019-18277)": (
        get(b"POST / HTTP/1.1", b"Transfer-Encoding:\x0bchunked", b"Content-Length: 3"), 400),
    # request line
    "empty method": (b" / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "bad method byte": (b"G@T / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "method too long": (b"A" * 40 + b" / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "two spaces": (get(b"GET  / HTTP/1.1"), 400),
    "tab instead of a space": (get(b"GET\t/ HTTP/1.1"), 400),
    "space at the end": (get(b"GET / HTTP/1.1 "), 400),
    "space in the target": (get(b"GET /a b HTTP/1.1"), 400),
    "no target": (get(b"GET HTTP/1.1"), 400),
    "no version": (get(b"GET /"), 400),
    "nothing but a target": (b"GET /\r\n\r\n", 400),
    "lower-case version": (get(b"GET / http/1.1"), 400),
    "version without a dot": (get(b"GET / HTTP/11"), 400),
    "version with two digits": (get(b"GET / HTTP/1.10"), 400),
    "HTTP/2.0": (get(b"GET / HTTP/2.0"), 505),
    "HTTP/0.9": (get(b"GET / HTTP/0.9"), 505),
    "HTTP/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    "fragment (CVE-2023-45539)": (get(b"GET /a#b HTTP/1.1"), 400),
    "fragment in the query": (get(b"GET /a?b#c HTTP/1.1"), 400),
    "control in the target": (get(b"GET /\x01 HTTP/1.1"), 400),
    "NUL in the target": (get(b"GET /\0 HTTP/1.1"), 400),
    "non-ASCII in the target": (get("GET /ü HTTP/1.1".encode()), 400),
    "backslash in the path": (get(b"GET /a\\..\\b HTTP/1.1"), 400),
    "target without a slash": (get(b"GET a HTTP/1.1"), 400),
    "target glued to a host (CVE-2011-3368)": (get(b"GET @evil.example/ HTTP/1.1"), 400),
    "asterisk with GET": (get(b"GET * HTTP/1.1"), 400),
    "unknown scheme": (get(b"GET ftp://a/ HTTP/1.1"), 400),
    "userinfo": (get(b"GET http://u:p@a.example/ HTTP/1.1"), 400),
    "absolute form without host": (get(b"GET http:///x HTTP/1.1"), 400),
    "encoded dot segment that only some undo": (get(b"GET /a/..%2fb HTTP/1.1"), 400),
    "the same with a backslash": (get(b"GET /a/..%5Cb HTTP/1.1"), 400),
    "the same encoded twice over": (get(b"GET /a/%2e%2e%2fb HTTP/1.1"), 400),
    "dot segment with a parameter": (get(b"GET /x/..;/admin HTTP/1.1"), 400),
    "CONNECT": (get(b"CONNECT a.example:443 HTTP/1.1"), 405),
    # Host
    "no Host": (b"GET / HTTP/1.1\r\nX: a\r\n\r\n", 400),
    "two Hosts": (get(b"GET / HTTP/1.1", b"Host: b.example"), 400),
    "two equal Hosts": (get(b"GET / HTTP/1.1", b"Host: a.example"), 400),
    "two Hosts in HTTP/1.0": (get(b"GET / HTTP/1.0", b"Host: b.example"), 400),
    "empty Host": (get(host=b"Host:"), 400),
    "Host with a path": (get(host=b"Host: a/b"), 400),
    "Host with a space": (get(host=b"Host: a b"), 400),
    "Host with userinfo": (get(host=b"Host: u@a"), 400),
    "Host with a word for a port": (get(host=b"Host: a:http"), 400),
    "Host with two values": (get(host=b"Host: a, b"), 400),
    "invalid Host beside an absolute form": (get(b"GET http://a/ HTTP/1.1", host=b"Host: @@"), 400),
    # Content-Length
    "different Content-Lengths": (get(b"POST / HTTP/1.1", b"Content-Length: 5", b"Content-Length: 6"), 400),
    "a list of Content-Lengths": (get(b"POST / HTTP/1.1", b"Content-Length: 5, 5"), 400),
    "signed": (get(b"POST / HTTP/1.1", b"Content-Length: +5"), 400),
    "negative": (get(b"POST / HTTP/1.1", b"Content-Length: -5"), 400),
    "spaced": (get(b"POST / HTTP/1.1", b"Content-Length: 5 5"), 400),
    "empty (CVE-2023-40225)": (get(b"POST / HTTP/1.1", b"Content-Length:"), 400),
    "hexadecimal": (get(b"POST / HTTP/1.1", b"Content-Length: 0x5"), 400),
    "underscore (CVE-2023-47627)": (get(b"POST / HTTP/1.1", b"Content-Length: 1_0"), 400),
    "superscript digit": (get(b"POST / HTTP/1.1", "Content-Length: ²".encode("latin-1")), 400),
    "arabic digit": (get(b"POST / HTTP/1.1", "Content-Length: ٥".encode()), 400),
    "19 digits": (get(b"POST / HTTP/1.1", b"Content-Length: " + b"9" * 19), 400),
    "4301 digits": (get(b"POST / HTTP/1.1", b"Content-Length: " + b"1" * 4301), 400),
    # Transfer-Encoding
    "with Content-Length": (
        get(b"POST / HTTP/1.1", b"Content-Length: 5", b"Transfer-Encoding: chunked"),
        400,
    ),
    "in HTTP/1.0": (get(b"POST / HTTP/1.0", b"Transfer-Encoding: chunked"), 400),
    "not chunked last": (get(b"POST / HTTP/1.1", b"Transfer-Encoding: chunked, gzip"), 400),
    "identity": (get(b"POST / HTTP/1.1", b"Transfer-Encoding: identity"), 400),
    "chunked twice": (get(b"POST / HTTP/1.1", b"Transfer-Encoding: chunked, chunked"), 400),
    "chunked on two lines": (
        get(b"POST / HTTP/1.1", b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"), 400),
    "empty coding": (get(b"POST / HTTP/1.1", b"Transfer-Encoding:"), 400),
    "empty list element": (get(b"POST / HTTP/1.1", b"Transfer-Encoding: ,chunked"), 400),
    "quoted": (get(b"POST / HTTP/1.1", b'Transfer-Encoding: "chunked"'), 400),
    "parameter": (get(b"POST / HTTP/1.1", b"Transfer-Encoding: chunked;a=b"), 400),
    "xchunked": (get(b"POST / HTTP/1.1", b"Transfer-Encoding: xchunked"), 400),
    "a coding that is not implemented": (get(b"POST / HTTP/1.1", b"Transfer-Encoding: gzip, chunked"), 501),
    "unknown expectation": (get(b"POST / HTTP/1.1", b"Content-Length: 5", b"Expect: miracles"), 417),
}  # fmt: skip


@pytest.mark.parametrize("raw", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_accepted(raw: bytes) -> None:
    assert status_of(raw) == 0


@pytest.mark.parametrize(("raw", "status"), REFUSED.values(), ids=REFUSED.keys())
def test_refused(raw: bytes, status: int) -> None:
    assert status_of(raw) == status


def feed(raw: bytes) -> int:
    """Byte by byte, as a connection does it; the first answer that is not MORE."""
    head = RequestHead()
    for size in range(1, len(raw) + 1):
        at = read_request(raw[:size], 0, max(0, size - 1), head, 32768, 100)
        if at != 0:
            return at
    return 0


@pytest.mark.parametrize("raw", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_byte_by_byte_is_the_same_as_at_once(raw: bytes) -> None:
    at, head = read(raw)
    assert feed(raw) == at == len(raw)
    for split in range(1, len(raw)):
        again = RequestHead()
        assert read_request(raw[:split], 0, 0, again, 32768, 100) == 0
        assert read_request(raw, 0, split, again, 32768, 100) == at
        assert (again.method, again.target, again.host, again.content_length, again.chunked) == (
            head.method, head.target, head.host, head.content_length, head.chunked,
        )  # fmt: skip


@pytest.mark.parametrize("raw", [raw for raw, _ in REFUSED.values()], ids=REFUSED.keys())
def test_byte_by_byte_is_refused_too(raw: bytes) -> None:
    assert feed(raw) < 0


def test_a_second_request_behind_the_first_is_left_alone() -> None:
    raw = get()
    at, _ = read(raw + get(b"GET /b HTTP/1.1"))
    assert at == len(raw)


def test_garbage_is_refused_before_a_head_is_complete() -> None:
    assert read(b"\x16\x03\x01\x02")[0] == -Outcome.BAD_REQUEST  # a TLS ClientHello
    assert read(b"GET / HTTP/1.1\n")[0] == -Outcome.BAD_REQUEST
    assert read(b"GET / HTTP/1.1\r\nHo")[0] == 0


def test_limits() -> None:
    long_target = get(b"GET /" + b"a" * 2000 + b" HTTP/1.1")
    assert status_of(long_target, most=1000) == 414
    assert status_of(long_target[:1500], most=1000) == 414
    long_head = get(b"GET / HTTP/1.1", b"X: " + b"a" * 2000)
    assert status_of(long_head, most=1000) == 431
    assert status_of(long_head[:1500], most=1000) == 431
    assert status_of(get(b"GET / HTTP/1.1", *[b"X: a"] * 100)) == 431
    assert status_of(get(b"GET / HTTP/1.1", *[b"X: a"] * 99)) == 0
    assert status_of(get(b"GET / HTTP/1.1", *[b"Connection: a"] * 90)) == 431


@pytest.mark.parametrize(
    ("target", "seen"),
    [
        (b"/", b"/"),
        (b"/a?", b"/a?"),
        (b"/a/./b/../c", b"/a/c"),
        (b"/a/..", b"/"),
        (b"/a/.", b"/a/"),
        (b"/../../etc", b"/etc"),
        (b"/a/%2e%2E/b?x=..", b"/b?x=.."),
        (b"/a/.b/..c", b"/a/.b/..c"),
        (b"//a//b/", b"//a//b/"),
        (b"/%2f%5c", b"/%2f%5c"),
        (b"http://H.example:80/p?q", b"/p?q"),
        (b"HTTP://h.example", b"/"),
        (b"http://h.example?q=1", b"/?q=1"),
    ],
)
def test_what_is_matched_is_what_is_forwarded(target: bytes, seen: bytes) -> None:
    at, head = read(get(b"GET " + target + b" HTTP/1.1"))
    assert at > 0
    assert head.target == seen
    path, _, query = seen.partition(b"?")
    assert (head.path, head.query) == (path, query if b"?" in seen else None)
    assert head.plain == (target == seen)


def test_absolute_form_overrides_host() -> None:
    _, head = read(get(b"GET http://B.Example.:81/x HTTP/1.1"))
    assert (head.authority, head.host, head.absolute) == (b"B.Example.:81", b"b.example", True)
    _, head = read(get(b"OPTIONS http://b.example HTTP/1.1"))
    assert head.target == b"*"


def test_connection_and_upgrade() -> None:
    _, head = read(get())
    assert head.keep_alive
    _, head = read(get(b"GET / HTTP/1.1", b"Connection: keep-alive, CLOSE"))
    assert not head.keep_alive
    _, head = read(get(b"GET / HTTP/1.0", b"Connection: Keep-Alive"))
    assert head.keep_alive
    _, head = read(get(b"GET / HTTP/1.1", b"Connection: x-a, Host, upgrade,X-B", b"Upgrade: WebSocket"))
    assert head.upgrade == b"websocket"
    assert head.nominated == (b"x-a", b"x-b")
    _, head = read(get(b"GET / HTTP/1.1", b"Upgrade: websocket"))
    assert head.upgrade == b""
    _, head = read(get(b"GET / HTTP/1.1", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c"))
    assert head.upgrade == b""


def test_a_header_is_found_whatever_its_case() -> None:
    _, head = read(get(b"GET / HTTP/1.1", b"X-User:  a \t", b"x-other: b", b"x-uSer: c"))
    assert head.header(b"x-user") == b"a, c"
    assert head.header(b"x-use") is None


@given(st.binary(max_size=300))
def test_any_bytes_get_an_answer_and_never_an_exception(raw: bytes) -> None:
    at, _ = read(raw)
    assert -len(Outcome) * 3 <= at <= len(raw)


TOKEN = st.text("abcXYZ019!#$%&'*+-.^_`|~", min_size=1, max_size=12).map(str.encode)
VALUE = st.binary(max_size=20).map(lambda b: bytes(c for c in b if c >= 32 and c != 127).strip(b" \t"))


@given(st.lists(st.tuples(TOKEN.map(lambda n: b"q" + n), VALUE), max_size=12))
def test_round_trip_of_fields(fields: list[tuple[bytes, bytes]]) -> None:
    raw = get(b"GET /p HTTP/1.1", *[name + b": " + value for name, value in fields])
    at, head = read(raw)
    assert at == len(raw)
    for name, _ in fields:
        wanted = b", ".join(v for n, v in fields if n.lower() == name.lower())
        assert head.header(name.lower()) == wanted


@given(st.binary(max_size=60), st.integers(0, 80))
def test_a_change_anywhere_never_crashes_and_never_reads_past_the_end(junk: bytes, place: int) -> None:
    raw = get(b"POST /a HTTP/1.1", b"Content-Length: 5", b"Connection: keep-alive")
    at, _ = read(raw[:place] + junk + raw[place:])
    assert at <= len(raw) + len(junk)
