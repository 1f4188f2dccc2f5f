"""Keys of requests."""

from __future__ import annotations

import pytest

from lb.balancing.contract import AlgorithmError
from lb.balancing.keys import compile_key
from lb.http1.fields import read_fields
from lb.message import Client, RequestHead


def request(lines=b""):
    head = RequestHead()
    start = b"GET /shop/cart?user=j%C3%B6rg+b&x=1&x=2 HTTP/1.1\r\n"
    head.raw = start + b"Host: Shop.Example.com:8080\r\n" + lines + b"\r\n"
    head.lines, head.end = len(start), len(head.raw)
    assert read_fields(head.raw, head.lines, head.end, head, 100) == head.end
    head.method, head.target = b"GET", b"/shop/cart?user=j%C3%B6rg+b&x=1&x=2"
    head.path, head.query = b"/shop/cart", b"user=j%C3%B6rg+b&x=1&x=2"
    head.authority, head.host = b"Shop.Example.com:8080", b"shop.example.com"
    return head


CLIENT = Client("203.0.113.9", "web")
LINES = b"X-User: anna\r\nCookie: a=1; session=s3cret; session=2\r\nX-Empty:\r\n"


@pytest.mark.parametrize(
    ("spec", "key"),
    [
        ("client_ip", b"203.0.113.9"),
        ("host", b"shop.example.com"),
        ("path", b"/shop/cart"),
        ("uri", b"/shop/cart?user=j%C3%B6rg+b&x=1&x=2"),
        ("header:x-user", b"anna"),
        ("header:X-User", b"anna"),
        ("header:x-empty", b""),
        ("header:x-absent", b""),
        ("cookie:session", b"s3cret"),
        ("cookie:Session", b""),
        ("query:user", "jörg b".encode()),
        ("query:x", b"1"),
        ("query:absent", b""),
    ],
)
def test_a_key_is_a_part_of_the_request(spec, key):
    source = compile_key(spec)
    assert source.of(request(LINES), CLIENT) == key
    assert source.spec == spec


def test_a_client_on_a_unix_socket_has_no_address():
    assert compile_key("client_ip").of(request(), Client("", "web")) == b""


def test_a_query_that_is_not_there():
    head = request()
    head.query = None
    assert compile_key("query:user").of(head, CLIENT) == b""


@pytest.mark.parametrize(
    "spec", ["", "ip", "header", "header:", "cookie:", "query:", "header:ü", "body:x", ":x"]
)
def test_an_unknown_key_is_refused(spec):
    with pytest.raises(AlgorithmError, match="key "):
        compile_key(spec)
