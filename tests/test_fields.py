"""Cookies and query parameters by name."""

from __future__ import annotations

from http.cookies import SimpleCookie
from urllib.parse import parse_qsl, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.fields import cookie, decoded, query
from lb.http1.fields import read_fields
from lb.message import RequestHead


def head(raw_query: bytes | None = None, *cookies: bytes) -> RequestHead:
    made = RequestHead()
    made.query = raw_query
    made.raw = b"GET / HTTP/1.1\r\n"
    made.lines = len(made.raw)
    made.raw += b"Host: a\r\n" + b"".join(b"Cookie: %b\r\n" % line for line in cookies) + b"\r\n"
    made.end = len(made.raw)
    assert read_fields(made.raw, made.lines, made.end, made, 1000) == made.end
    return made


@pytest.mark.parametrize(
    ("raw", "name", "value"),
    [
        (b"a=1&b=2", b"b", b"2"),
        (b"a=1&a=2", b"a", b"1"),
        (b"aa=1&a=2", b"a", b"2"),
        (b"a", b"a", b""),
        (b"a=", b"a", b""),
        (b"a=b=c", b"a", b"b=c"),
        (b"a+b=c+d", b"a b", b"c d"),
        (b"%61=%62", b"a", b"b"),
        (b"a=100%", b"a", b"100%"),
        (b"a=%4", b"a", b"%4"),
        (b"a=%zz%41", b"a", b"%zzA"),
        (b"&&a=1", b"a", b"1"),
        (b"a;b=1", b"b", None),
        (b"", b"a", None),
        (None, b"a", None),
        (b"=1", b"", b"1"),
    ],
)
def test_query(raw, name, value):
    assert query(head(raw), name) == value


@pytest.mark.parametrize(
    ("lines", "name", "value"),
    [
        ((b"a=1; b=2",), b"b", b"2"),
        ((b"a=1;b=2",), b"b", b"2"),
        ((b"a=1; a=2",), b"a", b"1"),
        ((b"A=1",), b"a", None),
        ((b'a="x y"',), b"a", b'"x y"'),
        ((b"a=b=c==",), b"a", b"b=c=="),
        ((b"a=%41",), b"a", b"%41"),
        ((b"a",), b"a", None),
        ((b"a=",), b"a", b""),
        ((b"; ;; a=1",), b"a", b"1"),
        ((b"a=1", b"b=2"), b"b", b"2"),
        ((b"",), b"a", None),
        ((), b"a", None),
    ],
)
def test_cookie(lines, name, value):
    assert cookie(head(None, *lines), name) == value


@given(st.lists(st.tuples(st.text(min_size=1), st.text()), max_size=6))
def test_query_reads_what_urllib_wrote(pairs):
    raw = "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in pairs).encode()
    made = head(raw)
    first = {}
    for name, value in pairs:
        first.setdefault(name, value)
    for name, value in first.items():
        assert query(made, name.encode()) == value.encode()


@given(st.text("ab=&%+4; ", max_size=20))
def test_query_agrees_with_urllib_on_any_text(text):
    made = head(text.encode())
    first = {}
    for name, value in parse_qsl(text, keep_blank_values=True, encoding="latin-1"):
        first.setdefault(name, value)
    for name, value in first.items():
        assert query(made, name.encode("latin-1")) == value.encode("latin-1")


@given(
    st.dictionaries(
        st.text("abcXYZ_-019", min_size=1), st.text("abcXYZ019!#$%&'()*+./:", min_size=1), max_size=6
    )
)
def test_cookie_agrees_with_the_standard_library(pairs):
    line = "; ".join(f"{name}={value}" for name, value in pairs.items())
    made = head(None, line.encode())
    parsed = SimpleCookie(line)
    for name in pairs:
        if name in parsed:
            assert cookie(made, name.encode()) == parsed[name].value.encode()
        assert cookie(made, name.encode()) == pairs[name].encode()


@given(st.binary(max_size=40))
def test_decoding_never_grows(raw):
    assert len(decoded(raw)) <= len(raw)
