"""When two answers are alike: what is compared, what counts as the same, and what comparing may cost."""

from __future__ import annotations

import gzip
import json
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.http1.response import read_response
from lb.message import ResponseHead
from lb.plan import MirrorPlan, RoutePlan, ServicePlan, WeightedService
from lb.proxy.comparison import PLACES, Answer, compare, described
from lb.proxy.rules import MirrorRules
from lb.upstream.service import Service

JSON = "Content-Type: application/json\r\n"
GZIP = "Content-Encoding: gzip\r\n"
DEFLATE = "Content-Encoding: deflate\r\n"


def rules(**plan) -> MirrorRules:
    service = Service(ServicePlan("next"), [], [], None, None, None, lambda: 0.0)
    route = RoutePlan("r", services=(WeightedService("app", 1),))
    return MirrorRules(route, MirrorPlan("next", **{"headers": (), **plan}), service)


def answer(how: MirrorRules, body=b"", fields: str = "", status: int = 200) -> Answer:
    head = ResponseHead()
    raw = f"HTTP/1.1 {status} X\r\n{fields}\r\n".encode()
    assert read_response(raw, 0, 0, head, 65536, 100) == len(raw)
    made = Answer(how)
    made.begin(head)
    for at in range(0, len(body), 1000):
        made.add(body[at : at + 1000], False)
    made.add(b"", True)
    return made


def difference(one: tuple, other: tuple, **plan) -> str:
    """What differs, "" where nothing does; symmetrical."""
    how = rules(**plan)
    expected, found = answer(how, *one), answer(how, *other)
    place = compare(expected, found)
    assert compare(found, expected) == place
    if place < 0:
        return ""
    return f"{PLACES[place]}: {described(place, expected, found)}"


def bodies(one: bytes, other: bytes, fields: str = "", its: str | None = None, **plan) -> bool:
    """Whether two bodies are alike."""
    said = difference((one, fields), (other, fields if its is None else its), **plan)
    assert said == "" or said.startswith("body: ")
    return said == ""


def test_the_status_comes_first_then_headers_then_the_body():
    one, other = (b"a", "X-A: 1\r\n", 200), (b"b", "X-A: 2\r\n", 500)
    wide = {"headers": ("x-a",)}
    assert difference(one, other, **wide) == "status: status: expected 200, came 500"
    assert difference(one, other, status=False, **wide).startswith("header: ")
    assert difference(one, other, status=False).startswith("body: ")
    assert difference(one, other, status=False, body=False) == ""


@pytest.mark.parametrize(
    ("fields", "others", "said"),
    [
        ("", "", ""),
        ("A: 1\r\nA: 2\r\n", "A: 1, 2\r\n", ""),
        ("a: 1\r\n", "A:  1 \r\n", ""),
        ("Z: 1\r\n", "Z: 2\r\n", ""),
        ("A: secret\r\n", "A: other\r\n", "header: a: came another value"),
        ("A: secret\r\n", "", "header: a: expected one, came none"),
        ("", "A: secret\r\n", "header: a: expected none, came one"),
        ("Vary: a\r\n", "Vary: b\r\n", "header: vary: expected a, came b"),
        ("Vary: a\r\n", f"Vary: {'x' * 200}\r\n", f"header: vary: expected a, came {'x' * 100}"),
    ],
)  # fmt: skip
def test_headers(fields, others, said):
    assert difference((b"", fields), (b"", others), headers=("a", "vary"), body=False) == said


def test_bodies_are_told_by_size_and_digest_alone():
    said = difference((b"password=1",), (b"other",))
    assert said == "body: body: expected 10 bytes (sha256 7e3950089b60), came 5 bytes (sha256 d9298a10d1b0)"


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        (b'{"a": 1, "b": [1, 2]}', b'{"b":[1,2],"a":1}\n', True),
        (b'{"a": 1}', b'{"a": 2}', False),
        (b'{"a": 1}', b'{"a": true}', False),
        (b"[1, 2]", b"[2, 1]", False),
        (b'"\\u00e4"', '"ä"'.encode(), True),
        (b"1e2", b"100.0", True),
        (b"12345678901234567890123", b" 12345678901234567890123", True),
        (b"12345678901234567890123", b"12345678901234567890124", False),
        (b"{}", b"{", False),
        (b"[" * 100_000, b"[" * 99_999, False),
        (b"[" * 5000 + b"]" * 5000, b" " + b"[" * 5000 + b"]" * 5000, False),
        (b"1e999", b"1e998", False),
        (b"\xff", b"\xfe", False),
        (b"", b"null", False),
    ],
)
def test_json_is_compared_by_value(one, other, alike):
    assert bodies(one, other, JSON, max_body=200_000) is alike
    assert (
        bodies(one, other, "Content-Type: application/problem+json; charset=utf-8\r\n", max_body=200_000)
        is alike
    )


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(values, st.booleans(), st.integers(0, 4))
def test_any_spelling_of_a_json_value_is_alike(value, ascii_only, indent):
    one = json.dumps(value).encode()
    other = json.dumps(value, ensure_ascii=ascii_only, indent=indent, sort_keys=True)
    assert bodies(one, other.encode(), JSON)


def test_what_is_no_json_is_compared_byte_by_byte():
    assert not bodies(b'{"a": 1}', b'{"a":1}', "Content-Type: text/plain\r\n")
    assert not bodies(b'{"a": 1}', b'{"a":1}', JSON, "Content-Type: text/plain\r\n", headers=())


def test_codings_are_undone():
    text = b"hello " * 100
    bare = zlib.compressobj(9, zlib.DEFLATED, -15)
    raw = bare.compress(text) + bare.flush()
    forms = [
        (text, ""),
        (gzip.compress(text, 1, mtime=1), GZIP),
        (gzip.compress(text, 9, mtime=2), "Content-Encoding: X-GZip\r\n"),
        (gzip.compress(text[:50]) + gzip.compress(text[50:]), GZIP),
        (zlib.compress(text), DEFLATE),
        (raw, DEFLATE),
        (gzip.compress(zlib.compress(text)), "Content-Encoding: deflate, gzip\r\n"),
        (text, "Content-Encoding: identity\r\n"),
    ]
    for one, its in forms:
        for other, others in forms:
            assert bodies(one, other, its, others), (its, others)
        assert not bodies(one, text[:-1], its, "")


def test_gzipped_json_is_compared_by_value():
    assert bodies(gzip.compress(b'{"a": 1}'), b'{"a":1}', JSON + GZIP, JSON)
    assert not bodies(gzip.compress(b'{"a": 1}'), b'{"a":2}', JSON + GZIP, JSON)


def test_a_coding_that_cannot_be_undone():
    brotli = "Content-Encoding: br\r\n"
    assert bodies(b"same", b"same", brotli)
    assert not bodies(b"one", b"other", brotli)
    assert not bodies(b'{"a": 1}', b'{"a":1}', JSON + brotli), "not taken for JSON"
    assert bodies(b"one", b"other", brotli, ""), "nobody can say"
    assert bodies(b"one", b"other", brotli, "Content-Encoding: zstd\r\n")


@pytest.mark.parametrize(
    "broken",
    [b"no gzip", gzip.compress(b"x" * 100)[:-9], gzip.compress(b"x")[:5] + b"zzzz"],
    ids=["none", "cut", "garbage"],
)
def test_a_body_that_is_not_what_it_says_differs(broken):
    assert not bodies(broken, b"x" * 100, GZIP, "")
    assert not bodies(broken, gzip.compress(b"x" * 100), GZIP)
    assert "cannot be unpacked" in difference((b"x",), (broken, GZIP))
    assert bodies(broken, broken, GZIP)


def test_empty_bodies_are_alike_whatever_their_coding():
    assert bodies(b"", b"", GZIP, DEFLATE)
    assert bodies(b"", gzip.compress(b""), DEFLATE, GZIP)
    assert bodies(gzip.compress(b""), b"", "Content-Encoding: deflate, gzip\r\n", "")


def test_longer_bodies_are_not_compared():
    assert bodies(b"x" * 5000, b"y" * 5001, max_body=5000)
    assert not bodies(b"x" * 5000, b"y" * 5000, max_body=5000)
    assert bodies(b"", b"", max_body=0) and bodies(b"x", b"y", max_body=0)


def test_a_bomb_costs_no_more_than_its_bound():
    most = 64 * 1024
    bomb = gzip.compress(gzip.compress(bytes(100_000_000), 9), 9)
    assert len(bomb) < most
    tracemalloc.start()
    assert bodies(bomb, b"x", "Content-Encoding: gzip, gzip\r\n", "", max_body=most), "not compared"
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4_000_000
    many = gzip.compress(b"") * 3000
    assert bodies(many, b"x", GZIP, "", max_body=most), "not compared"
    assert not bodies(b"x", b"y", "Content-Encoding: " + "gzip," * 5 + "\r\n"), "as they are"


def test_of_a_long_answer_nothing_is_kept():
    how = rules(max_body=10)
    made = answer(how, b"x" * 5000)
    assert (made.size, made.pieces, made.whole) == (5000, [], True)
    assert answer(rules(body=False), b"x").pieces == []
