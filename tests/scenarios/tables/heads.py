"""Requests whose head must be refused: (name, bytes, the statuses allowed).

Nothing of these may reach a server, and the connection must be closed after the answer.
"""

from __future__ import annotations

Case = tuple[str, bytes, frozenset[int]]

BAD = frozenset({400})
BAD_OR_UNKNOWN = frozenset({400, 501})  # RFC 9112 6.1: 501 for a coding that is not understood, 6.3: 400
HOST = b"Host: example.test\r\n"


def head(*lines: bytes, start: bytes = b"GET / HTTP/1.1", host: bytes = HOST, body: bytes = b"") -> bytes:
    return start + b"\r\n" + host + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body


def post(*lines: bytes, body: bytes = b"hello", start: bytes = b"POST / HTTP/1.1") -> bytes:
    return head(*lines, start=start, body=body)


def named(byte: int) -> str:
    return f"0x{byte:02x}"


CONTROLS = [b for b in range(0x20) if b not in (0x09, 0x0A, 0x0D)] + [0x7F]
DELIMITERS = b'"(),/;<=>?@[\\]{}'  # RFC 9110 5.6.2: not in a token (":" ends a name)


def start_lines() -> list[Case]:
    """RFC 9112 3: method SP request-target SP HTTP-version CRLF, single spaces, nothing else."""
    lines = {
        "two spaces after the method": b"GET  / HTTP/1.1",
        "two spaces before the version": b"GET /  HTTP/1.1",
        "tab after the method": b"GET\t/ HTTP/1.1",
        "tab before the version": b"GET /\tHTTP/1.1",
        "space before the method": b" GET / HTTP/1.1",
        "tab before the method": b"\tGET / HTTP/1.1",
        "space after the version": b"GET / HTTP/1.1 ",
        "tab after the version": b"GET / HTTP/1.1\t",
        "junk after the version": b"GET / HTTP/1.1 x",
        "no version (HTTP/0.9)": b"GET /",
        "no version but a space": b"GET / ",
        "no target": b"GET HTTP/1.1",
        "empty target": b"GET  HTTP/1.1",
        "no method": b"/ HTTP/1.1",
        "empty method": b" / HTTP/1.1",
        "one word": b"GET",
        "space in the target": b"GET /a b HTTP/1.1",
        "nginx CVE-2013-4547": b"GET /a \0.php HTTP/1.1",
        "version without a number": b"GET / HTTP/",
        "version without a slash": b"GET / HTTP1.1",
        "version of one digit": b"GET / HTTP/1",
        "version with a dot only": b"GET / HTTP/1.",
        "version with two digits": b"GET / HTTP/1.10",
        "version with a leading zero": b"GET / HTTP/01.1",
        "version with a minor of 01": b"GET / HTTP/1.01",
        "version with three parts": b"GET / HTTP/1.1.1",
        "version with a comma": b"GET / HTTP/1,1",
        "version signed": b"GET / HTTP/+1.1",
        "version with a space": b"GET / HTTP/ 1.1",
        "version 11.1": b"GET / HTTP/11.1",
        "version in lower case": b"GET / http/1.1",
        "version Http": b"GET / Http/1.1",
        "version misspelt": b"GET / HTP/1.1",
        "version HTTPS": b"GET / HTTPS/1.1",
        "version with a superscript": b"GET / HTTP/1.\xc2\xb9",
        "version with an Arabic digit": b"GET / HTTP/1.\xd9\xa1",
        "NUL after the version": b"GET / HTTP/1.1\0",
        "vertical tab for a space": b"GET\x0b/ HTTP/1.1",
        "form feed for a space": b"GET /\x0cHTTP/1.1",
        "NBSP for a space": b"GET\xa0/\xa0HTTP/1.1",
        "CR in the line": b"GET /\rHTTP/1.1",
        "CR CR LF": b"GET / HTTP/1.1\r",
        "junk": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        "an answer": b"HTTP/1.1 200 OK",
    }
    return [(f"start line: {n}", head(start=line), BAD) for n, line in lines.items()]


def versions() -> list[Case]:
    """RFC 9110 15.6.6: a major version that is not served is 505."""
    return [
        (f"version: {v.decode()}", head(start=b"GET / " + v), frozenset({505}))
        for v in (b"HTTP/2.0", b"HTTP/3.0", b"HTTP/9.9")
    ] + [
        ("version: HTTP/0.9 by name", head(start=b"GET / HTTP/0.9"), frozenset({400, 505})),
        ("version: the HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", frozenset({400, 505})),
    ]


def methods() -> list[Case]:
    """RFC 9110 9.1: a method is a token."""
    bad = [*CONTROLS, *DELIMITERS, ord(":"), 0x80, 0xFF]
    return [(f"method with {named(b)}", head(start=b"GE%cT / HTTP/1.1" % b), BAD) for b in bad]


def targets() -> list[Case]:
    """RFC 9112 3.2: four forms; controls and high bytes are in none of them."""
    forms = {
        "no slash": b"foo",
        "asterisk with GET": b"*",
        "authority with GET": b"example.test:80",
        "only a query": b"?a=b",
        "at sign (Apache CVE-2011-3368)": b"@example.test/",
        "backslash first": b"\\a",
        "fragment (HAProxy CVE-2023-45539)": b"/index.html#.png",
        "fragment in the query": b"/?a#b",
        "absolute without a host (RFC 9110 4.2.1)": b"http:///a",
        "absolute with an empty host and a port": b"http://:80/a",
        "absolute with user name (RFC 9110 4.2.4)": b"http://user@example.test/",
        "absolute with password": b"http://user:secret@example.test/",
        "absolute with a bad port": b"http://example.test:8o/",
        "absolute with a bad host": b"http://exam<ple.test/",
        "absolute with an open bracket": b"http://[::1/",
        "absolute with one slash": b"http:/example.test/",
        "scheme only": b"http:",
        "asterisk with more": b"*/",
    }
    cases = [(f"target: {n}", head(start=b"GET " + t + b" HTTP/1.1"), BAD) for n, t in forms.items()]
    for b in [*CONTROLS, 0x80, 0xA0, 0xFF]:
        cases.append((f"target with {named(b)}", head(start=b"GET /a%cb HTTP/1.1" % b), BAD))
    for b in (0x00, 0x0B, 0x7F, 0xFF):
        cases.append((f"query with {named(b)}", head(start=b"GET /?a=%c HTTP/1.1" % b), BAD))
    return cases


def line_ends() -> list[Case]:
    """Bare LF and bare CR (RFC 9112 2.2), folding (5.2), white space where a line begins (2.2)."""
    return [
        ("bare LF after the start line", b"GET / HTTP/1.1\n" + HOST + b"\r\n", BAD),
        ("bare LF after a field", b"GET / HTTP/1.1\r\nHost: example.test\nA: b\r\n\r\n", BAD),
        ("bare LF only", b"GET / HTTP/1.1\nHost: example.test\n\n", BAD),
        ("bare LF as the empty line", b"GET / HTTP/1.1\r\n" + HOST + b"\n", BAD),
        ("bare LF, then CRLF", b"GET / HTTP/1.1\r\n" + HOST + b"A: b\n\r\n", BAD),
        ("bare LF first", b"\nGET / HTTP/1.1\r\n" + HOST + b"\r\n", BAD),
        ("CR CR LF after a field", head(b"A: b\r"), BAD),
        ("CR as the empty line", b"GET / HTTP/1.1\r\n" + HOST + b"\r\r\n", BAD),
        ("CR for the end of a line", b"GET / HTTP/1.1\r\nHost: example.test\rA: b\r\n\r\n", BAD),
        ("CR in a value", head(b"A: b\rc"), BAD),
        ("CR in a name", head(b"A\rB: c"), BAD),
        ("fold with a space", head(b"A: b", b" c"), BAD),
        ("fold with a tab", head(b"A: b", b"\tc"), BAD),
        ("fold of Host", b"GET / HTTP/1.1\r\nHost:\r\n example.test\r\n\r\n", BAD),
        ("fold of white space only", head(b"A: b", b"  "), BAD),
        ("fold that hides a length", post(b"A: b", b" Content-Length: 5"), BAD),
        ("fold of a length", post(b"Content-Length:", b" 5"), BAD),
        ("fold of a transfer-encoding", post(b"Transfer-Encoding:", b"\tchunked", body=b"0\r\n\r\n"), BAD),
        ("space before the first field", b"GET / HTTP/1.1\r\n " + HOST + b"\r\n", BAD),
        ("tab before the first field", b"GET / HTTP/1.1\r\n\t" + HOST + b"\r\n", BAD),
        ("vertical tab before a field", head(b"\x0bA: b"), BAD),
        ("NEL for the end of a line", b"GET / HTTP/1.1\x85" + HOST + b"\r\n", BAD),
        ("LF CR for the end of a line", b"GET / HTTP/1.1\n\r" + HOST + b"\n\r\n\r", BAD),
    ]


def fields() -> list[Case]:
    """RFC 9112 5: name ":" OWS value OWS; RFC 9110 5.6.2: a name is a token; 5.5: no controls in values."""
    cases = [
        (f"name with {named(b)}", head(b"A%cB: c" % b), BAD) for b in [*CONTROLS, *DELIMITERS, 0x80, 0xFF]
    ]
    cases += [(f"value with {named(b)}", head(b"A: b%cc" % b), BAD) for b in CONTROLS]
    lines = {
        "space before the colon": b"A : b",
        "tab before the colon": b"A\t: b",
        "space in the name": b"A B: c",
        "space before the colon of a length": b"Content-Length : 5",
        "space before the colon of a transfer-encoding": b"Transfer-Encoding : chunked",
        "tab before the colon of a transfer-encoding": b"Transfer-Encoding\t: chunked",
        "space before the colon of Host": b"Host : other.test",
        "no name (HAProxy CVE-2023-25725)": b": x",
        "nothing but a colon": b":",
        "no colon": b"Accept",
        "no colon in a length": b"Content-Length 5",
        "NUL at the start of a value": b"A:\0b",
        "NUL at the end of a value": b"A: b\0",
        "NUL at the end of a name": b"A\0: b",
        "vertical tab as white space": b"A:\x0bb",
        "form feed after a value": b"A: b\x0c",
        "DEL in a cookie": b"Cookie: a=\x7f",
    }
    return cases + [(f"field: {n}", head(line), BAD) for n, line in lines.items()]


def hosts() -> list[Case]:
    """RFC 9112 3.2: exactly one Host, of the form uri-host [":" port]."""
    values = [
        b"a b", b"a/b", b"a/", b"/a", b"user@a", b"a:b", b"a:80:80", b"a:8o", b"a:-1", b"a:+80", b"a: 80", b"a:80 ;x",
        b"[::1", b"::1", b"[::1]x", b"[zz]", b"[]", b"]", b"a?b", b"a#b", b"a\\b", b"<a>", b'"a"', b"a^b", b"a|b",
        b"a{b}", b"a`b", b"a\x80b", b"a\xffb", b"a\tb", b"a\0b", b"a\x7fb", b"http://a", b"a\x0b", b"a\xa0",
        b"[::1]:x", b"[::1]80", b"a[b]", b"[:::1]", b"[1.2.3.4]",
    ]  # fmt: skip
    cases = [(f"host: {v!r}"[:60], head(host=b"Host: " + v + b"\r\n"), BAD) for v in values]
    other = b"Host: other.test\r\n"
    return [
        *cases,
        ("host: missing", head(host=b""), BAD),
        ("host: missing with other fields", head(b"Accept: */*", host=b""), BAD),
        ("host: missing in absolute form", head(host=b"", start=b"GET http://example.test/ HTTP/1.1"), BAD),
        ("host: two that differ", head(host=HOST + other), BAD),
        ("host: two alike", head(host=HOST + HOST), BAD),
        ("host: two apart", head(b"A: b", b"Host: other.test"), BAD),
        ("host: two in different case", head(host=HOST + b"hOST: example.test\r\n"), BAD),
        (
            "host: two in absolute form",
            head(host=HOST + other, start=b"GET http://example.test/ HTTP/1.1"),
            BAD,
        ),
        ("host: two in HTTP/1.0", head(host=HOST + other, start=b"GET / HTTP/1.0"), BAD),
        ("host: one empty and one not", head(host=b"Host:\r\n" + HOST), BAD),
        (
            "host: bad in absolute form",
            head(host=b"Host: a b\r\n", start=b"GET http://example.test/ HTTP/1.1"),
            BAD,
        ),
        ("host: bad in HTTP/1.0", head(host=b"Host: a b\r\n", start=b"GET / HTTP/1.0"), BAD),
    ]


def lengths() -> list[Case]:
    """RFC 9110 8.6: Content-Length = 1*DIGIT; RFC 9112 6.3: anything else is 400 and a closed connection."""
    values = [
        b"", b" ", b"+5", b"-5", b"-0", b"+0", b"5 5", b"1 2", b"5\t5", b"0x5", b"5h", b"5.0", b"5e0", b"1_0", b"_5",
        b"5_", b"5;", b'"5"', b"'5'", b"5 ;a", b"five", b"\xef\xbc\x95", b"\xd9\xa5", b"\xc2\xb2", b"5\x0b", b"\x0b5",
        b"5\0", b"\x005", b"5\x0c", b"\x855", b"\xa05", b"NaN", b"Infinity", b"--5", b"5-", b"%35", b"05h", b"5L",
        b"18446744073709551616", b"18446744073709551621", b"9223372036854775808", b"99999999999999999999",
        b"340282366920938463463374607431768211461", b"9" * 5000, b"0" * 5000 + b"5!",
        b"5, 6", b"5,6", b"6, 5, 5", b"5, -5", b"5, x", b"5,+5",
    ]  # fmt: skip
    cases = [(f"length: {v!r}"[:60], post(b"Content-Length: " + v), BAD) for v in values]
    pairs = {
        "two that differ": (b"Content-Length: 5", b"Content-Length: 6"),
        "two that differ, apart": (b"Content-Length: 5", b"A: b", b"content-length: 0"),
        "one good and one signed": (b"Content-Length: 5", b"Content-Length: +5"),
        "one good and one empty": (b"Content-Length: 5", b"Content-Length:"),
        "one empty and one good": (b"Content-Length:", b"Content-Length: 5"),
    }
    cases += [(f"length: {n}", post(*lines), BAD) for n, lines in pairs.items()]
    cases.append(("length: bad with GET", head(b"Content-Length: x"), BAD))
    cases.append(("length: bad in HTTP/1.0", post(b"Content-Length: +5", start=b"POST / HTTP/1.0"), BAD))
    return cases


def codings() -> list[Case]:
    """RFC 9112 6.1 and 6.3: chunked, once, last, HTTP/1.1 only, and never beside a length."""
    end = b"0\r\n\r\n"
    both = {
        "length, then chunked": (b"Content-Length: 5", b"Transfer-Encoding: chunked"),
        "chunked, then length": (b"Transfer-Encoding: chunked", b"Content-Length: 5"),
        "length 0 and chunked": (b"Content-Length: 0", b"Transfer-Encoding: chunked"),
        "length and identity": (b"Content-Length: 5", b"Transfer-Encoding: identity"),
        "length and gzip, chunked": (b"Content-Length: 5", b"Transfer-Encoding: gzip, chunked"),
        "length and an empty coding": (b"Content-Length: 5", b"Transfer-Encoding:"),
        "length and xchunked": (b"Content-Length: 5", b"Transfer-Encoding: xchunked"),
        "length and vertical tab chunked (HAProxy CVE-2019-18277)": (
            b"Content-Length: 5",
            b"Transfer-Encoding:\x0bchunked",
        ),
        "length and CHUNKED": (b"Content-Length: 5", b"TRANSFER-ENCODING: CHUNKED"),
    }
    cases = [(f"coding: {n}", post(*lines, body=end), BAD_OR_UNKNOWN if "gzip" in n or "x" in n else BAD)
             for n, lines in both.items() if n != "length and identity"]  # fmt: skip
    cases.append(
        ("coding: length and identity", post(*both["length and identity"], body=end), BAD_OR_UNKNOWN)
    )
    must_400 = {
        "empty": b"", "space": b" ", "chunked, chunked": b"chunked, chunked", "chunked, gzip": b"chunked, gzip",
        "chunked, identity": b"chunked, identity", "chunked chunked": b"chunked chunked", "NUL": b"chunked\0",
        "vertical tab": b"\x0bchunked", "form feed": b"chunked\x0c", "quoted": b'"chunked"', "x chunked": b"x chunked",
        "comma only": b",",
    }  # fmt: skip
    cases += [(f"coding: {n}", post(b"Transfer-Encoding: " + v, body=end), BAD_OR_UNKNOWN if n == "quoted" else BAD)
              for n, v in must_400.items()]  # fmt: skip
    unknown = [
        b"gzip", b"gzip, chunked", b"identity", b"identity, chunked", b"xchunked", b"chunke", b"chunkedd", b"chunked;q=1",
        b"chunked; a=b", b"chun\xe2\x84\xaaed", b"deflate, chunked", b"nothing", b"compress", b"\xa0chunked", b"chunked\x85",
    ]  # fmt: skip
    cases += [(f"coding: {v!r}", post(b"Transfer-Encoding: " + v, body=end), BAD_OR_UNKNOWN) for v in unknown]
    cases.append(
        (
            "coding: gzip, chunked is 501",
            post(b"Transfer-Encoding: gzip, chunked", body=end),
            frozenset({501}),
        )
    )
    twice = {
        "two lines chunked": (b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"),
        "two lines chunked and identity": (b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity"),
        "two lines, the second empty": (b"Transfer-Encoding: chunked", b"Transfer-Encoding:"),
    }
    cases += [(f"coding: {n}", post(*lines, body=end), BAD) for n, lines in twice.items()]
    old = b"POST / HTTP/1.0"
    cases.append(("coding: in HTTP/1.0", post(b"Transfer-Encoding: chunked", body=end, start=old), BAD))
    cases.append(
        (
            "coding: in HTTP/1.0 with a length",
            post(b"Transfer-Encoding: chunked", b"Content-Length: 5", body=end, start=old),
            BAD,
        )
    )
    cases.append(
        (
            "coding: with GET and a length",
            head(b"Transfer-Encoding: chunked", b"Content-Length: 5", body=end),
            BAD,
        )
    )
    return cases


def sizes() -> list[Case]:
    """431 (RFC 6585 5) for too much head, 414 (RFC 9110 15.5.15) for a target that is too long."""
    too_much, too_long = frozenset({431}), frozenset({414})
    return [
        ("size: one huge field", head(b"A: " + b"x" * 40_000), too_much),
        (
            "size: one huge field without an end",
            b"GET / HTTP/1.1\r\n" + HOST + b"A: " + b"x" * 80_000,
            too_much,
        ),
        ("size: a huge name", head(b"x" * 40_000 + b": a"), too_much),
        ("size: a huge name without an end", b"GET / HTTP/1.1\r\n" + HOST + b"x" * 80_000, too_much),
        ("size: many fields", head(*[b"A%d: b" % i for i in range(200)]), too_much),
        ("size: many tiny fields", head(*[b"A:"] * 3000), too_much),
        ("size: much in all", head(*[b"A%d: %s" % (i, b"x" * 1000) for i in range(60)]), too_much),
        ("size: fields without an end", b"GET / HTTP/1.1\r\n" + HOST + b"A: b\r\n" * 20_000, too_much),
        ("size: a huge cookie", head(b"Cookie: " + b"a=b; " * 10_000), too_much),
        ("size: a long target", head(start=b"GET /" + b"a" * 40_000 + b" HTTP/1.1"), too_long),
        ("size: a long query", head(start=b"GET /?" + b"a" * 40_000 + b" HTTP/1.1"), too_long),
        ("size: a target without an end", b"GET /" + b"a" * 80_000, too_long),
        ("size: a method without an end", b"A" * 80_000, frozenset({400, 414, 431, 501})),
        ("size: nothing but empty lines", b"\r\n" * 40_000, frozenset({400, 431})),
    ]


CASES: list[Case] = [
    *start_lines(), *versions(), *methods(), *targets(), *line_ends(), *fields(), *hosts(), *lengths(), *codings(), *sizes(),
]  # fmt: skip
