"""What a hostile or broken server says.

BAD: the head is malformed or framed ambiguously: 502, and the server connection is dropped.
BROKEN: the head is right and the body is not, or it ends early: 502 as long as nothing went to the client,
otherwise the client's connection ends visibly broken.
SURPLUS: a right answer with bytes behind it: they are never taken for the answer to the next request.

`then` says what the server does after its bytes: "" waits (lb has to see it by itself), "close", "reset".
"""

from __future__ import annotations

Answer = tuple[str, bytes, str]

OK = b"HTTP/1.1 200 OK\r\n"


def say(*lines: bytes, body: bytes = b"") -> bytes:
    return OK + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body


def status_lines() -> list[Answer]:
    """RFC 9112 4: HTTP-version SP 3DIGIT SP [reason]; RFC 9110 15: 100 to 599."""
    lines = [
        b"HTTP/1.1 20 OK", b"HTTP/1.1 2000 OK", b"HTTP/1.1 -20 OK", b"HTTP/1.1 +20 OK", b"HTTP/1.1 2xx OK", b"HTTP/1.1 000 OK",
        b"HTTP/1.1 099 OK", b"HTTP/1.1 600 OK", b"HTTP/1.1 999 OK", b"HTTP/1.1 0200 OK", b"HTTP/1.1 20a OK", b"HTTP/1.1 2 0 0",
        b"HTTP/1.1 200OK", b"HTTP/1.1  200 OK", b"HTTP/1.1\t200 OK", b"HTTP/1.1 200\tOK", b" HTTP/1.1 200 OK", b"HTTP/1.1200 OK",
        b"HTTP/1.1", b"HTTP/1.1 ", b"HTTP/1.1 OK", b"HTTP/1.10 200 OK", b"HTTP/01.1 200 OK", b"HTTP/1 200 OK", b"HTTP/1.1.1 200 OK",
        b"HTTP/0.9 200 OK", b"HTTP/2.0 200 OK", b"HTTP/2 200 OK", b"HTTP/3 200 OK", b"http/1.1 200 OK", b"Http/1.1 200 OK",
        b"HTP/1.1 200 OK", b"HTTPS/1.1 200 OK", b"ICY 200 OK", b"200 OK", b"RTSP/1.0 200 OK", b"HTTP/1,1 200 OK", b"HTTP/+1.1 200 OK",
        b"HTTP/1.1 \xc2\xb200 OK", b"HTTP/1.1 2\xd9\xa00 OK", b"HTTP/1.1 200 O\0K", b"HTTP/1.1 200 O\rK", b"HTTP/1.1 200 O\x1bK",
        b"HTTP/1.1 200 O\x7fK", b"HTTP/1.1 200 OK\r", b"HTTP/1.1\x0b200 OK", b"HTTP/1.1 200\x0cOK", b"HTTP/1.1\xa0200 OK",
        b"", b"\0", b"GET / HTTP/1.1", b"<html>hello</html>",
    ]  # fmt: skip
    cases = [(f"status line {line!r}", line + b"\r\nContent-Length: 5\r\n\r\nhello", "") for line in lines]
    return [
        *cases,
        ("HTTP/0.9: a page and the end", b"<html>hello</html>", "close"),
        ("junk and the end", b"\x00\x01\x02\x03" * 100, "close"),
        ("a TLS alert", b"\x15\x03\x01\x00\x02\x02\x16", "close"),
        ("an SSH banner", b"SSH-2.0-OpenSSH_9.2\r\n", ""),
        ("an SMTP banner", b"220 mail ESMTP\r\n", ""),
        ("junk without an end", b"x" * 200_000, ""),
        ("bare LF after the status line", b"HTTP/1.1 200 OK\nContent-Length: 5\r\n\r\nhello", ""),
        ("bare LF everywhere", b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello", ""),
        ("a reason without an end", b"HTTP/1.1 200 " + b"x" * 200_000, ""),
    ]


def fields() -> list[Answer]:
    """The grammar of fields is the same as in requests."""
    length = b"Content-Length: 5"
    lines: dict[str, bytes] = {
        "no colon": b"Server", "no name": b": x", "nothing but a colon": b":", "space in the name": b"A B: c",
        "NUL in a value": b"A: b\0c", "CR in a value": b"A: b\rc", "bare LF in a value": b"A: b\nB: c", "ESC in a value": b"A: \x1b[31m",
        "DEL in a value": b"A: \x7f", "vertical tab in a value": b"A: b\x0bc", "NUL in a name": b"A\0B: c", "high byte in a name": b"A\xffB: c",
        "parenthesis in a name": b"A(B): c", "slash in a name": b"A/B: c", "CR CR LF": b"A: b\r", "folded": b"A: b\r\n c",
        "folded with a tab": b"A: b\r\n\tc", "a value without an end": b"A: " + b"x" * 300_000,
        "fields without an end": b"\r\n".join([b"A: b"] * 50_000), "control in a cookie": b"Set-Cookie: a=\x01",
    }  # fmt: skip
    cases = [(f"field: {n}", say(length, line, body=b"hello"), "") for n, line in lines.items()]
    cases.append(("field: white space before the first", OK + b" A: b\r\nContent-Length: 5\r\n\r\nhello", ""))
    return cases


def framing() -> list[Answer]:
    """RFC 9112 6.3: a length that is not a number or not one number: 502 and the connection dropped."""
    lengths = [
        b"", b"+5", b"-5", b"5 5", b"0x5", b"1_0", b"5.0", b"5, 6", b"5,-5", b"five", b"\xc2\xb2", b"\xef\xbc\x95", b"5\x0b", b"5;",
        b'"5"', b"18446744073709551616", b"18446744073709551621", b"99999999999999999999", b"9" * 5000, b"-1", b"NaN",
    ]  # fmt: skip
    cases = [(f"length {v!r}"[:50], say(b"Content-Length: " + v, body=b"hello"), "") for v in lengths]
    chunked, end = b"Transfer-Encoding: chunked", b"5\r\nhello\r\n0\r\n\r\n"
    shapes: dict[str, tuple[bytes, ...]] = {
        "two lengths that differ": (b"Content-Length: 5", b"Content-Length: 6"),
        "one good length and one bad": (b"Content-Length: 5", b"Content-Length: x"),
        "length and chunked": (b"Content-Length: 5", chunked),
        "chunked and length": (chunked, b"Content-Length: 5"),
        "length 0 and chunked": (b"Content-Length: 0", chunked),
        "length and gzip": (b"Content-Length: 5", b"Transfer-Encoding: gzip"),
        "space before the colon and a length": (b"Content-Length: 5", b"Transfer-Encoding : chunked"),
        "two lines of chunked": (chunked, chunked),
        "chunked, chunked": (b"Transfer-Encoding: chunked, chunked",),
        "chunked, gzip": (b"Transfer-Encoding: chunked, gzip",),
        "gzip, chunked": (b"Transfer-Encoding: gzip, chunked",),
        "gzip only": (b"Transfer-Encoding: gzip",),
        "identity": (b"Transfer-Encoding: identity",),
        "xchunked": (b"Transfer-Encoding: xchunked",),
        "empty coding": (b"Transfer-Encoding:",),
        "vertical tab chunked": (b"Transfer-Encoding: \x0bchunked",),
        "chunked with a parameter": (b"Transfer-Encoding: chunked;a=b",),
        "KELVIN SIGN for k": (b"Transfer-Encoding: chun\xe2\x84\xaaed",),
    }
    cases += [(f"framing: {n}", say(*lines, body=end), "") for n, lines in shapes.items()]
    cases.append(
        ("framing: chunked in HTTP/1.0", b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + end, "")
    )
    cases.append(
        ("framing: bad length with 304", b"HTTP/1.1 304 Not Modified\r\nContent-Length: x\r\n\r\n", "")
    )
    return cases


def interim() -> list[Answer]:
    """RFC 9110 15.2 and 7.8: 101 only for an upgrade that was asked for."""
    return [
        (
            "101 unasked",
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
            "",
        ),
        ("101 unasked, without Upgrade", b"HTTP/1.1 101 Switching Protocols\r\n\r\n", ""),
        (
            "101 after 103",
            b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\nHTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n",
            "",
        ),
        ("103, then junk", b"HTTP/1.1 103 Early Hints\r\n\r\nhello\r\n\r\n", ""),
        ("103 with bare LF", b"HTTP/1.1 103 Early Hints\n\n", ""),
        ("100 in HTTP/1.2.3", b"HTTP/1.2.3 100 Continue\r\n\r\n", ""),
    ]


def ends_in_the_head() -> list[Answer]:
    return [
        (f"{then} {what}", raw, then)
        for then in ("close", "reset")
        for what, raw in {
            "at once": b"",
            "in the status line": b"HTTP/1.1 20",
            "after the status line": OK,
            "in a field": OK + b"Content-Le",
            "before the empty line": OK + b"Content-Length: 5\r\n",
            "in the last CRLF": OK + b"Content-Length: 0\r\n\r",
            "after 103": b"HTTP/1.1 103 Early Hints\r\n\r\n",
        }.items()
    ]


BAD: list[Answer] = [*status_lines(), *fields(), *framing(), *interim(), *ends_in_the_head()]


def broken() -> list[Answer]:
    cases: list[Answer] = []
    for then in ("close", "reset"):
        half = {
            "half of a length": say(b"Content-Length: 10", body=b"hello"),
            "nothing of a length": say(b"Content-Length: 10"),
            "one byte short": say(b"Content-Length: 6", body=b"hello"),
            "before a chunk": say(b"Transfer-Encoding: chunked"),
            "in a chunk size": say(b"Transfer-Encoding: chunked", body=b"5"),
            "after a chunk size": say(b"Transfer-Encoding: chunked", body=b"5\r\n"),
            "in a chunk": say(b"Transfer-Encoding: chunked", body=b"5\r\nhel"),
            "after a chunk": say(b"Transfer-Encoding: chunked", body=b"5\r\nhello\r\n"),
            "in the last chunk": say(b"Transfer-Encoding: chunked", body=b"5\r\nhello\r\n0"),
            "before the trailers": say(b"Transfer-Encoding: chunked", body=b"5\r\nhello\r\n0\r\n"),
            "in a trailer": say(b"Transfer-Encoding: chunked", body=b"5\r\nhello\r\n0\r\nA: b"),
            "before the last CRLF": say(b"Transfer-Encoding: chunked", body=b"5\r\nhello\r\n0\r\nA: b\r\n"),
        }
        cases += [(f"{then} {n}", raw, then) for n, raw in half.items()]
    # only a reset tells that a body that ends with the connection has not come to its end
    cases.append(("reset in a body that ends with the connection", say(body=b"hello"), "reset"))
    cases.append(("reset in a body of HTTP/1.0", b"HTTP/1.0 200 OK\r\n\r\nhello", "reset"))
    chunks = [
        b"g\r\nhello\r\n", b"\r\nhello\r\n", b"-5\r\nhello\r\n", b"+5\r\nhello\r\n", b"0x5\r\nhello\r\n", b" 5\r\nhello\r\n",
        b"5 5\r\nhello\r\n", b"1_0\r\nhello\r\n", b"10000000000000005\r\nhello\r\n", b"ffffffffffffffff\r\nhello\r\n",
        b"\xc2\xb2\r\nhello\r\n", b"5\nhello\r\n", b"5\r\nhello\n", b"5\r\nhelloX\r\n", b"5\r\nhellohello", b"5\r\nhell\r\n",
        b"5\rXhello", b"5;\0\r\nhello\r\n", b"5;a\nb\r\nhello\r\n", b"0\n\r\n", b"0\r\n\n", b"0\r\nA : b\r\n\r\n", b"0\r\nno colon\r\n\r\n",
        b"0\r\n: b\r\n\r\n", b"0\r\nA: b\0\r\n\r\n", b"0\r\nA: b\r\n c\r\n\r\n", b"5;" + b"x" * 200_000, b"0" * 200_000,
        b"0\r\nA: " + b"x" * 300_000,
    ]  # fmt: skip
    good = b"5\r\nfirst\r\n"
    cases += [(f"chunk {c!r}"[:50], say(b"Transfer-Encoding: chunked", body=good + c), "") for c in chunks]
    return cases


BROKEN: list[Answer] = broken()

POISON = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
SURPLUS: list[tuple[str, str, bytes]] = [  # name, method of the request, bytes
    ("after a length", "GET", say(b"Content-Length: 5", body=b"hello") + POISON),
    ("after a length of 0", "GET", say(b"Content-Length: 0") + POISON),
    (
        "after the last chunk",
        "GET",
        say(b"Transfer-Encoding: chunked", body=b"5\r\nhello\r\n0\r\n\r\n") + POISON,
    ),
    ("after the answer to HEAD", "HEAD", say(b"Content-Length: 5", body=b"hello") + POISON),
    (
        "after the chunked answer to HEAD",
        "HEAD",
        say(b"Transfer-Encoding: chunked", body=b"5\r\nhello\r\n0\r\n\r\n"),
    ),
    ("after 204", "GET", b"HTTP/1.1 204 No Content\r\n\r\n" + POISON),
    ("after 204 with a length", "GET", b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello" + POISON),
    ("after 304", "GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello" + POISON),
    ("one byte", "GET", say(b"Content-Length: 5", body=b"hello!")),
    ("a CRLF", "GET", say(b"Content-Length: 5", body=b"hello\r\n")),
    (
        "a second final answer after 103",
        "GET",
        b"HTTP/1.1 103 Early Hints\r\n\r\n" + say(b"Content-Length: 5", body=b"hello") + POISON,
    ),
]
