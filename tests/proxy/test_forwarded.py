"""What servers are told about the client: claims are continued from trusted proxies and from nobody else."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lb.message import Client
from lb.plan import ListenerPlan
from lb.proxy.forwarded import continued_lines, forwarded_element, own_lines, source_of
from lb.proxy.rules import ListenerRules
from tests.routing.making import request

ALL = ("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "forwarded", "via")
HOP = Client("10.0.0.1", "web")


def rules(*names: str) -> ListenerRules:
    return ListenerRules(ListenerPlan("web", (), ("10.0.0.0/8", "fd00::/8"), names or ALL))


def test_own_lines_are_those_that_do_not_depend_on_the_request():
    expected = b"X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\n"
    assert own_lines(rules(), "192.0.2.1", b"https") == expected
    assert own_lines(rules("via"), "192.0.2.1", b"https") == b""
    # a client on a Unix socket has no address
    assert own_lines(rules("x-forwarded-for"), "", b"http") == b""


@pytest.mark.parametrize(
    ("address", "shown"),
    [("192.0.2.1", b"192.0.2.1"), ("2001:db8::1", b'"[2001:db8::1]"'), ("", b"unknown")],
)
def test_a_forwarded_element(address, shown):
    assert forwarded_element(address, b"a:80", b"http") == b'for=%b;host="a:80";proto=http' % shown


def test_claims_of_a_trusted_proxy_are_continued():
    head = request(
        lines="X-Forwarded-For: 192.0.2.1\nX-Forwarded-For: 192.0.2.2\nX-Forwarded-Proto: https\n"
        "X-Forwarded-Host: shop\nForwarded: for=192.0.2.1"
    )
    assert continued_lines(rules(), head, "10.0.0.1", b"http") == (
        b"X-Forwarded-For: 192.0.2.1, 192.0.2.2, 10.0.0.1\r\n"
        b"X-Forwarded-Proto: https\r\nX-Forwarded-Host: shop\r\n"
        b'Forwarded: for=192.0.2.1, for=10.0.0.1;host="example.com";proto=http\r\n'
    )


def test_a_trusted_proxy_that_claims_nothing():
    assert continued_lines(rules(), request(), "10.0.0.1", b"http") == (
        b"X-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: example.com\r\n"
        b'Forwarded: for=10.0.0.1;host="example.com";proto=http\r\n'
    )
    assert continued_lines(rules("via"), request(), "10.0.0.1", b"http") == b""


@pytest.mark.parametrize(
    ("claims", "source"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("198.51.100.7, 192.0.2.1", "192.0.2.1"),  # the left one is anybody's
        ("192.0.2.1, 10.9.9.9", "192.0.2.1"),
        ("192.0.2.1, 10.9.9.9, 10.8.8.8", "192.0.2.1"),
        ("10.9.9.9", "10.9.9.9"),
        ("192.0.2.1:4711, fd00::2", "192.0.2.1"),
        ("[2001:db8::1]:80", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("192.0.2.1, unknown", "10.0.0.1"),
        ("192.0.2.1, unknown, 10.9.9.9", "10.9.9.9"),
        ("192.0.2.1,", "10.0.0.1"),
        ("1" * 65, "10.0.0.1"),
    ],
)
def test_the_client_behind_trusted_proxies(claims, source):
    found = source_of(rules(), request(lines=f"X-Forwarded-For: {claims}"), HOP)
    assert (found.address, found.listener) == (source, "web")


def test_nobody_claimed_anything():
    assert source_of(rules(), request(), HOP) is HOP


@given(
    st.text(st.characters(min_codepoint=33, max_codepoint=255, exclude_characters="\x7f\x85"), max_size=80)
)
@example("[]")
@example("[::1%25eth0]")
@example(":")
def test_the_source_is_always_an_address(claims):
    assert source_of(rules(), request(lines=f"X-Forwarded-For: {claims}"), HOP).number()[0] in (4, 6)
