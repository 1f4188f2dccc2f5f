"""Requests that look odd and are right: (name, bytes, target the server must see, body it must see)."""

from __future__ import annotations

from .heads import HOST, head, post

Legal = tuple[str, bytes, str, bytes]


def lines(*fields: bytes) -> bytes:
    return head(*fields)


CHUNKED = b"Transfer-Encoding: chunked"

CASES: list[Legal] = [
    # RFC 9110 5.6.3: OWS is spaces and tabs, before and after a value
    ("tab before a length (nginx refuses)", post(b"Content-Length:\t5"), "/", b"hello"),
    ("spaces and tabs around a length", post(b"Content-Length: \t 5 \t "), "/", b"hello"),
    ("no space before a length", post(b"Content-Length:5"), "/", b"hello"),
    (
        "tab around a coding",
        post(b"Transfer-Encoding:\tchunked\t", body=b"5\r\nhello\r\n0\r\n\r\n"),
        "/",
        b"hello",
    ),
    ("tab around Host", head(host=b"Host:\texample.test\t\r\n"), "/", b""),
    ("no space before Host", head(host=b"Host:example.test\r\n"), "/", b""),
    ("tab in a value", lines(b"A: b\tc"), "/", b""),
    ("empty value", lines(b"A:"), "/", b""),
    ("high bytes in a value (obs-text)", lines(b"A: \x80\xff\xc3\xa9"), "/", b""),
    ("every token character in a name", lines(b"!#$%&'*+-.^_`|~09azAZ: b"), "/", b""),
    ("names in any case", b"GET / HTTP/1.1\r\nhOsT: example.test\r\naCCEPT: */*\r\n\r\n", "/", b""),
    ("a colon in a value", lines(b"A: b:c::d"), "/", b""),
    ("the same name many times", lines(*[b"A: b"] * 50), "/", b""),
    (
        "a long name (HAProxy CVE-2021-40346)",
        post(b"Content-Length0" + b"a" * 270 + b":", b"Content-Length: 5"),
        "/",
        b"hello",
    ),
    # RFC 9112 2.2: an empty line before the request-line should be ignored
    ("an empty line first", b"\r\n" + head(), "/", b""),
    # RFC 9112 3.2
    ("path of two slashes", head(start=b"GET //a HTTP/1.1"), "//a", b""),
    (
        "escapes and parameters",
        head(start=b"GET /a/b%2Fc%20d;e=f?g=%00&h=?/ HTTP/1.1"),
        "/a/b%2Fc%20d;e=f?g=%00&h=?/",
        b"",
    ),
    (
        "dot segments are gone for routes and servers alike",
        head(start=b"GET /a/../b/./c HTTP/1.1"),
        "/b/c",
        b"",
    ),
    ("empty query", head(start=b"GET /a? HTTP/1.1"), "/a?", b""),
    ("unknown method", head(start=b"BREW /a HTTP/1.1"), "/a", b""),
    ("method in lower case", head(start=b"get /a HTTP/1.1"), "/a", b""),
    ("method of odd token characters", head(start=b"M-S!#$%&'*+.^_`|~1 /a HTTP/1.1"), "/a", b""),
    (
        "target of 8000 bytes (RFC 9112 3)",
        head(start=b"GET /" + b"a" * 7999 + b" HTTP/1.1"),
        "/" + "a" * 7999,
        b"",
    ),
    ("absolute form", head(start=b"GET http://example.test/a?b HTTP/1.1"), "/a?b", b""),
    ("absolute form without a path", head(start=b"GET http://example.test HTTP/1.1"), "/", b""),
    ("absolute form with only a query", head(start=b"GET http://example.test?a HTTP/1.1"), "/?a", b""),
    (
        "absolute form with the scheme in capitals",
        head(start=b"GET HTTP://example.test/a HTTP/1.1"),
        "/a",
        b"",
    ),
    ("host with a port", head(host=b"Host: example.test:8080\r\n"), "/", b""),
    ("host with an empty port", head(host=b"Host: example.test:\r\n"), "/", b""),
    ("host as IPv6", head(host=b"Host: [::1]:8080\r\n"), "/", b""),
    ("host as IPv4", head(host=b"Host: 127.0.0.1\r\n"), "/", b""),
    ("host last", b"GET / HTTP/1.1\r\nA: b\r\n" + HOST + b"\r\n", "/", b""),
    ("HTTP/1.0 without a host", b"GET /a HTTP/1.0\r\n\r\n", "/a", b""),
    # RFC 9110 8.6
    ("length with leading zeros", post(b"Content-Length: 0005"), "/", b"hello"),
    ("length of 0", post(b"Content-Length: 0", body=b""), "/", b""),
    ("body with GET", head(b"Content-Length: 5", body=b"hello"), "/", b"hello"),
    ("body with DELETE", post(b"Content-Length: 5", start=b"DELETE / HTTP/1.1"), "/", b"hello"),
    ("POST without a body", head(start=b"POST / HTTP/1.1"), "/", b""),
    # RFC 9112 7.1
    (
        "coding in capitals",
        post(b"Transfer-Encoding: CHUNKED", body=b"5\r\nhello\r\n0\r\n\r\n"),
        "/",
        b"hello",
    ),
    ("chunked with GET", head(CHUNKED, body=b"5\r\nhello\r\n0\r\n\r\n"), "/", b"hello"),
    ("empty chunked body", post(CHUNKED, body=b"0\r\n\r\n"), "/", b""),
    (
        "size in hex of both cases",
        post(CHUNKED, body=b"a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n"),
        "/",
        b"0123456789" * 2,
    ),
    ("size with leading zeros", post(CHUNKED, body=b"0005\r\nhello\r\n0\r\n\r\n"), "/", b"hello"),
    ("last chunk of many zeros", post(CHUNKED, body=b"5\r\nhello\r\n000\r\n\r\n"), "/", b"hello"),
    ("extension", post(CHUNKED, body=b"5;a\r\nhello\r\n0;b=c\r\n\r\n"), "/", b"hello"),
    (
        "extension with a quoted string",
        post(CHUNKED, body=b'5;a="b;c";d\r\nhello\r\n0\r\n\r\n'),
        "/",
        b"hello",
    ),
    (
        "extension with white space (BWS)",
        post(CHUNKED, body=b"5 ; a = b\r\nhello\r\n0\r\n\r\n"),
        "/",
        b"hello",
    ),
    ("trailer", post(CHUNKED, body=b"5\r\nhello\r\n0\r\nA: b\r\n\r\n"), "/", b"hello"),
    ("data that looks like the end", post(CHUNKED, body=b"5\r\n0\r\n\r\n\r\n0\r\n\r\n"), "/", b"0\r\n\r\n"),
    (
        "data that looks like a request",
        post(CHUNKED, body=b"10\r\nGET / HTTP/1.1\r\n\r\n0\r\n\r\n"),
        "/",
        b"GET / HTTP/1.1\r\n",
    ),
]
