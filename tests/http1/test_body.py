"""Bodies: every framing, fed in every split."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.http1.body import CHUNKED, CLOSE, LENGTH, NONE, BodyReader
from lb.http1.serialize import chunk, last_chunk


def read_all(kind: int, length: int, *parts: bytes) -> tuple[bytes, BodyReader, int]:
    """(content, reader, bytes of the last part that were left); left is -1 for malformed."""
    reader = BodyReader()
    reader.begin(kind, length)
    content = b""
    left = 0
    for n, part in enumerate(parts):
        at = reader.read(part, 0)
        if at < 0:
            return content, reader, -1
        content += reader.piece
        left = len(part) - at
        if reader.done:
            assert n == len(parts) - 1 or not any(parts[n + 1 :]), "ended early"
            break
    return content, reader, left


GOOD = {
    "empty": (b"0\r\n\r\n", b"", b""),
    "one chunk": (b"5\r\nhello\r\n0\r\n\r\n", b"hello", b""),
    "hex in both cases, leading zeros": (
        b"00a\r\n0123456789\r\nA\r\n0123456789\r\n000\r\n\r\n",
        b"0123456789" * 2,
        b"",
    ),
    "extensions": (b'5;a;b=c ; d="x\\"y;z"\r\nhello\r\n0;e\r\n\r\n', b"hello", b""),
    "white space before an extension": (b"5 \t; a = b\r\nhello\r\n0\r\n\r\n", b"hello", b""),
    "trailers": (b"1\r\nx\r\n0\r\nX-Sum: 1\r\nx-b:2\r\n\r\n", b"x", b"X-Sum: 1\r\nx-b:2\r\n"),
    "trailers that must not be there are left out": (
        b"0\r\nContent-Length: 5\r\nX: 1\r\nhost: b\r\nAuthorization: c\r\n\r\n", b"", b"X: 1\r\n"),
    "content that looks like framing": (b"7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n", b"\r\n0\r\n\r\n", b""),
}  # fmt: skip

BAD = {
    "no size": b"\r\nhello\r\n0\r\n\r\n",
    "sign": b"+5\r\nhello\r\n0\r\n\r\n",
    "minus": b"-5\r\nhello\r\n0\r\n\r\n",
    "0x": b"0x5\r\nhello\r\n0\r\n\r\n",
    "underscore": b"1_0\r\n0123456789abcdef\r\n0\r\n\r\n",
    "space in front": b" 5\r\nhello\r\n0\r\n\r\n",
    "space at the end": b"5 \r\nhello\r\n0\r\n\r\n",
    "two numbers": b"5 5\r\nhello\r\n0\r\n\r\n",
    "not hexadecimal": b"g\r\nhello\r\n0\r\n\r\n",
    "LF only": b"5\nhello\r\n0\r\n\r\n",
    "LF after the data": b"5\r\nhello\n0\r\n\r\n",
    "CR only": b"5\rhello\r\n0\r\n\r\n",
    "junk after the data": b"5\r\nhelloX\r\n0\r\n\r\n",
    "data too short": b"6\r\nhello\r\n0\r\n\r\n",
    "16 digits": b"0000000000000005\r\nhello\r\n0\r\n\r\n",
    "overflow": b"ffffffffffffffff\r\nhello\r\n0\r\n\r\n",
    "LF in an extension": b"5;a\nb\r\nhello\r\n0\r\n\r\n",
    "CR in an extension": b"5;a\rb\r\nhello\r\n0\r\n\r\n",
    "NUL in an extension": b"5;a=\0\r\nhello\r\n0\r\n\r\n",
    "empty extension": b"5;\r\nhello\r\n0\r\n\r\n",
    "extension without a value": b"5;a=\r\nhello\r\n0\r\n\r\n",
    "quote that does not end": b'5;a="b\r\nhello\r\n0\r\n\r\n',
    "huge extension": b"5;a=" + b"b" * 2000 + b"\r\nhello\r\n0\r\n\r\n",
    "LF after the last chunk": b"0\n\n",
    "bare LF in trailers": b"0\r\nX: 1\n\r\n",
    "folded trailer": b"0\r\nX: 1\r\n y\r\n\r\n",
    "trailer without a name": b"0\r\n: 1\r\n\r\n",
    "trailer with a space before the colon": b"0\r\nX : 1\r\n\r\n",
    "too many trailers": b"0\r\n" + b"X: 1\r\n" * 65 + b"\r\n",
    "trailers too long": b"0\r\n" + b"X: " + b"a" * 9000 + b"\r\n\r\n",
}


@pytest.mark.parametrize(("raw", "content", "trailers"), GOOD.values(), ids=GOOD.keys())
def test_chunked_in_every_split(raw: bytes, content: bytes, trailers: bytes) -> None:
    behind = b"GET /"
    for split in range(len(raw)):
        got, reader, left = read_all(CHUNKED, 0, raw[:split], raw[split:] + behind)
        assert (got, reader.trailers, reader.done, left) == (content, trailers, True, len(behind))
    got, reader, _ = read_all(CHUNKED, 0, *[raw[i : i + 1] for i in range(len(raw))])
    assert (got, reader.trailers, reader.done) == (content, trailers, True)


@pytest.mark.parametrize("raw", BAD.values(), ids=BAD.keys())
def test_malformed_chunks_in_every_split(raw: bytes) -> None:
    for split in range(0, len(raw), max(1, len(raw) // 60)):
        _, reader, left = read_all(CHUNKED, 0, raw[:split], raw[split:])
        assert left == -1 and not reader.done
    _, reader, left = read_all(CHUNKED, 0, *[raw[i : i + 1] for i in range(len(raw))])
    assert left == -1 and not reader.done


def test_small_chunks_with_long_extensions_end_somewhere() -> None:
    # CVE-2023-39326
    raw = b"".join(b"1;a=" + b"b" * 500 + b"\r\nx\r\n" for _ in range(100))
    assert read_all(CHUNKED, 0, raw)[2] == -1


@given(st.binary(max_size=200), st.integers(0, 220), st.binary(max_size=5))
def test_length(content: bytes, split: int, behind: bytes) -> None:
    raw = content + behind
    parts = (raw[:split], raw[split:]) if split < len(content) else (raw,)
    got, reader, _ = read_all(LENGTH, len(content), *parts)
    assert got == content
    assert reader.done and reader.total == len(content)


def test_length_hands_the_buffer_through_without_a_copy() -> None:
    reader = BodyReader()
    reader.begin(LENGTH, 10)
    data = b"0123456789"
    assert reader.read(data, 0) == 10
    assert reader.piece is data


def test_none_and_close() -> None:
    reader = BodyReader()
    assert reader.done and reader.kind == NONE
    reader.begin(LENGTH, 0)
    assert reader.done
    got, reader, left = read_all(CLOSE, -1, b"abc", b"def")
    assert (got, reader.done, left) == (b"abcdef", False, 0)
    assert repr(reader) == "<BodyReader close 6 read>"


@given(st.lists(st.binary(max_size=40), max_size=8), st.lists(st.integers(0, 400), max_size=6))
def test_what_is_serialized_reads_back(pieces: list[bytes], cuts: list[int]) -> None:
    raw = b"".join(chunk(p) for p in pieces) + last_chunk(b"X: y\r\n")
    edges = sorted({0, len(raw), *[c for c in cuts if c < len(raw)]})
    parts = [raw[a:b] for a, b in itertools.pairwise(edges)]
    got, reader, _ = read_all(CHUNKED, 0, *parts)
    assert got == b"".join(pieces)
    assert reader.done and reader.trailers == b"X: y\r\n"


@given(st.lists(st.binary(max_size=30), max_size=6))
def test_any_bytes_never_raise(parts: list[bytes]) -> None:
    reader = BodyReader()
    reader.begin(CHUNKED, 0)
    for part in parts:
        if reader.done or reader.read(part, 0) < 0:
            break
