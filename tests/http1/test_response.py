"""Response heads: a server's answer is trusted no more than a client's request."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.http1.response import read_response
from lb.message import ResponseHead


def read(raw: bytes) -> tuple[int, ResponseHead]:
    head = ResponseHead()
    return read_response(raw, 0, 0, head, 65536, 256), head


def answer(line: bytes = b"HTTP/1.1 200 OK", *fields: bytes) -> bytes:
    return b"\r\n".join([line, *fields]) + b"\r\n\r\n"


GOOD = {
    "plain": answer(),
    "no reason": answer(b"HTTP/1.1 200 "),
    "no space before an empty reason": answer(b"HTTP/1.1 200"),
    "reason with obs-text": answer(b"HTTP/1.1 200 \xfc\t!"),
    "HTTP/1.0": answer(b"HTTP/1.0 200 OK"),
    "chunked": answer(b"HTTP/1.1 200 OK", b"Transfer-Encoding: chunked"),
    "length twice": answer(b"HTTP/1.1 200 OK", b"Content-Length: 5", b"Content-Length: 5"),
}
BAD = {
    "HTTP/0.9": b"<html>hello</html>\r\n\r\n",
    "HTTP/0.9 in a status line": answer(b"HTTP/0.9 200 OK"),
    "HTTP/2.0": answer(b"HTTP/2.0 200 OK"),
    "no status": b"HTTP/1.1\r\n\r\n",
    "ICY": answer(b"ICY 200 OK"),
    "two digits": answer(b"HTTP/1.1 20 OK"),
    "negative": answer(b"HTTP/1.1 -20 OK"),
    "2xx": answer(b"HTTP/1.1 2xx OK"),
    "000": answer(b"HTTP/1.1 000 OK"),
    "099": answer(b"HTTP/1.1 099 OK"),
    "600": answer(b"HTTP/1.1 600 OK"),
    "four digits": answer(b"HTTP/1.1 2000 OK"),
    "two spaces": answer(b"HTTP/1.1  200 OK"),
    "tab": answer(b"HTTP/1.1\t200 OK"),
    "CR in the reason": answer(b"HTTP/1.1 200 O\rK"),
    "NUL in the reason": answer(b"HTTP/1.1 200 O\0K"),
    "bare LF": b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    "bare LF in a field": b"HTTP/1.1 200 OK\r\nX: a\nContent-Length: 0\r\n\r\n",
    "fold": answer(b"HTTP/1.1 200 OK", b"X: a", b" b"),
    "space before the colon": answer(b"HTTP/1.1 200 OK", b"X : a"),
    "both framings": answer(b"HTTP/1.1 200 OK", b"Content-Length: 5", b"Transfer-Encoding: chunked"),
    "different lengths": answer(b"HTTP/1.1 200 OK", b"Content-Length: 5", b"Content-Length: 6"),
    "signed length": answer(b"HTTP/1.1 200 OK", b"Content-Length: +5"),
    "other coding": answer(b"HTTP/1.1 200 OK", b"Transfer-Encoding: gzip"),
    "coding before chunked": answer(b"HTTP/1.1 200 OK", b"Transfer-Encoding: gzip, chunked"),
    "chunked in HTTP/1.0": answer(b"HTTP/1.0 200 OK", b"Transfer-Encoding: chunked"),
    "too many fields": answer(b"HTTP/1.1 200 OK", *[b"X: a"] * 257),
    "too long": answer(b"HTTP/1.1 200 OK", b"X: " + b"a" * 70000),
    "endless": b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70000,
}


@pytest.mark.parametrize("raw", GOOD.values(), ids=GOOD.keys())
def test_good_in_every_split(raw: bytes) -> None:
    assert read(raw)[0] == len(raw)
    head = ResponseHead()
    for split in range(1, len(raw)):
        assert read_response(raw[:split], 0, 0, head, 65536, 256) == 0
        assert read_response(raw, 0, split, head, 65536, 256) == len(raw)


@pytest.mark.parametrize("raw", BAD.values(), ids=BAD.keys())
def test_bad_at_once_and_byte_by_byte(raw: bytes) -> None:
    assert read(raw)[0] == -1
    head = ResponseHead()
    step = max(1, len(raw) // 500)
    for size in [*range(step, len(raw), step), len(raw)]:
        at = read_response(raw[:size], 0, max(0, size - step), head, 65536, 256)
        assert at <= 0
        if at < 0:
            return
    pytest.fail("never refused")


def test_fields() -> None:
    _, head = read(answer(b"HTTP/1.1 503 Out of  order", b"Connection: close", b"Content-Length: 12"))
    assert (head.status, head.reason, head.keep_alive, head.content_length) == (
        503,
        b"Out of  order",
        False,
        12,
    )
    assert repr(head) == "<ResponseHead 503 b'Out of  order'>"


@given(st.binary(max_size=300))
def test_any_bytes_never_raise(raw: bytes) -> None:
    assert read(raw)[0] <= len(raw)
    assert read(b"HTTP/1.1 200 OK\r\n" + raw)[0] <= len(raw) + 17
