"""Requests whose head is right and whose chunked body is not: 400, closed, never a whole body for a server.

RFC 9112 7.1: chunk-size [ chunk-ext ] CRLF chunk-data CRLF; sizes are hex digits and nothing else.
"""

from __future__ import annotations

from .heads import BAD, Case, post

TOO_MUCH = frozenset({400, 413, 431})


def chunks(body: bytes) -> bytes:
    return post(b"Transfer-Encoding: chunked", body=body)


END = b"0\r\n\r\n"

SIZES = [
    b"", b" ", b"g", b"-5", b"+5", b"-0", b"+0", b"0x5", b"0X5", b" 5", b"\t5", b"5 ", b"5\t", b"5 5", b"5_0", b"_5", b"5,", b"5.0",
    b"5h", b"5e+0", b"\x0b5", b"5\x0b", b"5\0", b"\x005", b"\xef\xbc\x95", b"\xc2\xb2", b"\xa05", b'"5"', b"5:", b"5=",
    b"10000000000000005", b"ffffffffffffffff", b"fffffffffffffffff", b"8000000000000000", b"f" * 5000, b"0" * 100_000 + b"5",
]  # fmt: skip

SHAPES: dict[str, bytes] = {
    "bare LF after the size": b"5\nhello\r\n" + END,
    "bare LF after the data": b"5\r\nhello\n" + END,
    "bare LF everywhere": b"5\nhello\n0\n\n",
    "bare CR after the size": b"5\rhello\r\n" + END,
    "CR CR LF after the size": b"5\r\r\nhello\r\n" + END,
    "CR and junk after the size": b"5\rXhello\r\n" + END,
    "CR and junk after the data": b"5\r\nhello\rX" + END,
    "junk after the data": b"5\r\nhelloX\r\n" + END,
    "two bytes of junk for CRLF": b"5\r\nhelloXX" + END,
    "data too short": b"5\r\nhell\r\n" + END,
    "data too long": b"4\r\nhello\r\n" + END,
    "no CRLF after the data": b"5\r\nhello" + END,
    "LF CR after the data": b"5\r\nhello\n\r" + END,
    "empty line before the size": b"\r\n5\r\nhello\r\n" + END,
    "NUL in an extension": b"5;a=\0\r\nhello\r\n" + END,
    "bare LF in an extension": b"5;a\nb\r\nhello\r\n" + END,
    "bare LF ends an extension (aiohttp CVE-2024-52304)": b"2;\nxx\r\n4c\r\n" + END,
    "bare CR in an extension": b"5;a\rb\r\nhello\r\n" + END,
    "DEL in an extension": b"5;a=\x7f\r\nhello\r\n" + END,
    "bare LF after the last chunk": b"5\r\nhello\r\n0\n\r\n",
    "bare LF at the very end": b"5\r\nhello\r\n0\r\n\n",
    "junk at the very end": b"5\r\nhello\r\n0\r\n\rX",
    "junk after the last size": b"5\r\nhello\r\n0X\r\n\r\n",
    "data after the last chunk": b"5\r\nhello\r\n0\r\nhello\r\n\r\n",
    "trailer without a colon": b"0\r\nabc\r\n\r\n",
    "trailer with a space before the colon": b"0\r\nA : b\r\n\r\n",
    "trailer without a name": b"0\r\n: b\r\n\r\n",
    "trailer with white space first": b"0\r\n A: b\r\n\r\n",
    "trailer folded": b"0\r\nA: b\r\n c\r\n\r\n",
    "trailer with NUL": b"0\r\nA: b\0\r\n\r\n",
    "trailer with bare LF": b"0\r\nA: b\n\r\n",
    "trailer with bare CR": b"0\r\nA: b\rc\r\n\r\n",
    "trailer with a bad name": b"0\r\nA(b): c\r\n\r\n",
    "a request for a size": b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
}

LARGE: dict[str, bytes] = {
    "an extension of 100 kB": b"5;a=" + b"x" * 100_000 + b"\r\nhello\r\n" + END,
    "an extension without an end": b"5;a=" + b"x" * 200_000,
    "a size without an end": b"0" * 200_000,
    "one-byte chunks with 2 kB extensions (Go CVE-2023-39326)": (b"1;" + b"x" * 2000 + b"\r\na\r\n") * 2000
    + END,
    "a trailer of 100 kB": b"0\r\nA: " + b"x" * 100_000 + b"\r\n\r\n",
    "a trailer without an end": b"0\r\nA: " + b"x" * 200_000,
    "ten thousand trailers": b"0\r\n" + b"A: b\r\n" * 10_000 + b"\r\n",
}

CASES: list[Case] = [
    *((f"chunk size {s!r}"[:50], chunks(s + b"\r\nhello\r\n" + END), BAD) for s in SIZES),
    *((f"chunks: {n}", chunks(b), BAD) for n, b in SHAPES.items()),
    *((f"chunks: {n}", chunks(b), TOO_MUCH) for n, b in LARGE.items()),
    ("chunks: wrong in the second chunk", chunks(b"5\r\nhello\r\nx\r\nhello\r\n" + END), BAD),
    ("chunks: wrong after 100 kB", chunks(b"186a0\r\n" + b"x" * 100_000 + b"XX" + END), BAD),
]
