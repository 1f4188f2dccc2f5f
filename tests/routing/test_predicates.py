"""Single predicates: client addresses, named values, and how the values are found in the bytes."""

from __future__ import annotations

from urllib.parse import quote_plus, unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.fields import cookie, decoded, query
from lb.message import Client
from lb.plan import ValuePlan
from lb.routing.predicates import OnClient, OnHost, OnPrefix
from lb.routing.table import build_table
from lb.routing.values import OnCookie, OnHeader, OnQuery
from tests.routing.making import LOCAL, bare, request, route

# fmt: off
ADDRESSES = [
    # blocks                          address            holds
    (("10.0.0.0/8",),                 "10.255.0.1",      True),
    (("10.0.0.0/8",),                 "11.0.0.1",        False),
    (("192.0.2.7",),                  "192.0.2.7",       True),
    (("192.0.2.7",),                  "192.0.2.8",       False),
    (("10.0.0.0/8", "2001:db8::/32"), "2001:db8::1",     True),
    (("10.0.0.0/8", "2001:db8::/32"), "2001:db9::1",     False),
    (("0.0.0.0/0",),                  "::1",             False),
    (("::/0",),                       "10.0.0.1",        False),
    (("10.0.0.0/8",),                 "::ffff:10.1.1.1", True),
    (("::ffff:10.0.0.0/104",),        "10.1.1.1",        True),
    (("10.1.2.3/8",),                 "10.9.9.9",        True),
    (("0.0.0.0/0", "::/0"),           "",                False),
]
# fmt: on


@pytest.mark.parametrize(("blocks", "address", "holds"), ADDRESSES)
def test_client_ip(blocks: tuple[str, ...], address: str, holds: bool) -> None:
    assert OnClient(blocks).holds(request(), Client(address, "web")) == holds


@pytest.mark.parametrize(
    ("pattern", "host", "holds"),
    [
        ("*.example.com", "a.example.com", True),
        ("*.example.com", "a.b.example.com", True),
        ("*.example.com", "example.com", False),
        ("*.example.com", ".example.com", False),
        ("*.example.com", "aexample.com", False),
        ("example.com", "a.example.com", False),
    ],
)
def test_host(pattern: str, host: str, holds: bool) -> None:
    assert OnHost((pattern,)).holds(bare(host.encode(), b"/"), LOCAL) == holds


@pytest.mark.parametrize(
    ("prefix", "path", "holds"),
    [
        ("/v1", "/v1", True),
        ("/v1", "/v1/", True),
        ("/v1", "/v10", False),
        ("/v1/", "/v1", True),
        ("/v1/", "/v1/x", True),
        ("/v1/", "/v10", False),
        ("/v1//", "/v1/", True),
        ("/v1//", "/v1", False),
        ("/v1//", "/v1//x", True),
        ("//", "/", True),
        ("//", "/x", False),
        ("/", "/", True),
        ("/", "/x", True),
        ("/", "*", False),
    ],
)
def test_prefix(prefix: str, path: str, holds: bool) -> None:
    head = bare(b"h", path.encode())
    assert OnPrefix((prefix,)).holds(head, LOCAL) == holds
    table = build_table([route(path_prefix=(prefix, "/v1/x/y/z"))])
    assert table.match(head, LOCAL) == (0 if holds else -1)


# fmt: off
QUERIES = [
    # query              name    value
    (b"a=1&b=2",         b"b",   b"2"),
    (b"a=1&a=2",         b"a",   b"1"),
    (b"a",               b"a",   b""),
    (b"a=",              b"a",   b""),
    (b"a=b=c",           b"a",   b"b=c"),
    (b"%61=%20+x",       b"a",   b"  x"),
    (b"a+b=1",           b"a b", b"1"),
    (b"a=%zz%4",         b"a",   b"%zz%4"),
    (b"a=%c3%a9",        b"a",   b"\xc3\xa9"),
    (b"aa=1&ab=2",       b"a",   None),
    (b"&&a=1",           b"a",   b"1"),
    (b"a;b=1",           b"b",   None),
    (b"",                b"a",   None),
    (None,               b"a",   None),
    (b"=x",              b"a",   None),
]
COOKIES = [
    # lines                                    name    value
    (b"Cookie: a=1; b=2\r\n",                  b"b",   b"2"),
    (b"cookie:a=1;b=2\r\n",                    b"b",   b"2"),
    (b"COOKIE: a=1; a=2\r\n",                  b"a",   b"1"),
    (b"Cookie: a=1\r\nX: y\r\nCookie: b=2\r\n", b"b",  b"2"),
    (b"Cookie: a=1, b=2\r\n",                  b"a",   b"1, b=2"),
    (b'Cookie: a="1"\r\n',                     b"a",   b'"1"'),
    (b"Cookie: a=x=y;\r\n",                    b"a",   b"x=y"),
    (b"Cookie:  \t a \t=\t 1 \t; b\r\n",       b"a",   b"1"),
    (b"Cookie: a\r\n",                         b"a",   None),
    (b"Cookie: ;;;=;= ;a=\r\n",                b"a",   b""),
    (b"Cookie: A=1\r\n",                       b"a",   None),
    (b"Cookie2: a=1\r\nXookie: a=2\r\n",       b"a",   None),
    (b"Cookie:\r\n",                           b"a",   None),
    (b"",                                      b"a",   None),
]
# fmt: on


@pytest.mark.parametrize(("text", "name", "value"), QUERIES)
def test_query_value(text: bytes | None, name: bytes, value: bytes | None) -> None:
    assert query(bare(b"h", b"/", text), name) == value


@pytest.mark.parametrize(("lines", "name", "value"), COOKIES)
def test_cookie_value(lines: bytes, name: bytes, value: bytes | None) -> None:
    assert cookie(bare(b"h", b"/", lines=lines), name) == value


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_decoding_undoes_encoding(text: str) -> None:
    assert decoded(quote_plus(text).encode()) == text.encode()


@given(st.binary().filter(lambda b: b"+" not in b))
def test_decoding_of_anything(text: bytes) -> None:
    assert decoded(text) == unquote_to_bytes(text)


@given(st.binary(), st.binary(min_size=1))
def test_any_bytes_in_a_query_or_a_cookie(text: bytes, name: bytes) -> None:
    """Whatever comes, the search ends, within the bytes."""
    found = query(bare(b"h", b"/", text), name)
    assert found is None or len(found) <= len(text)
    line = bytes(c for c in text if c == 9 or (c >= 32 and c != 127))  # what the codec lets through
    found = cookie(bare(b"h", b"/", lines=b"Cookie: " + line + b"\r\n"), name)
    assert found is None or found in line


# fmt: off
VALUES = [
    # plan                                   value of x (None: absent)   holds
    (ValuePlan("x", exact=("1", "2")),       "2",                        True),
    (ValuePlan("x", exact=("1", "2")),       "12",                       False),
    (ValuePlan("x", exact=("1",)),           None,                       False),
    (ValuePlan("x", regex="^a+$"),           "aaa",                      True),
    (ValuePlan("x", regex="a"),              "cat",                      True),
    (ValuePlan("x", regex="^a+$"),           "ab",                       False),
    (ValuePlan("x", regex=""),               None,                       False),
    (ValuePlan("x", present=True),           "",                         True),
    (ValuePlan("x", present=True),           None,                       False),
    (ValuePlan("x", present=False),          None,                       True),
    (ValuePlan("x", present=False),          "1",                        False),
]
# fmt: on


@pytest.mark.parametrize(("plan", "value", "holds"), VALUES)
@pytest.mark.parametrize("kind", ["header", "query", "cookie"])
def test_named_value(kind: str, plan: ValuePlan, value: str | None, holds: bool) -> None:
    if kind == "header":
        predicate = OnHeader(plan)
        head = request(lines="" if value is None else f"X: {value}")
    elif kind == "query":
        predicate = OnQuery(plan)
        head = request("/" if value is None else f"/?x={value}")
    else:
        predicate = OnCookie(plan)
        head = request(lines="" if value is None else f"cookie: x={value}")
    assert predicate.holds(head, LOCAL) == holds
