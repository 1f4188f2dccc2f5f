"""What servers are asked for after a rewrite."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.plan import RewritePlan
from lb.routing.rewrites import Rewrite

# fmt: off
TARGETS = [
    # rewrite                                            path               query    target
    (RewritePlan(strip_prefix="/v1"),                    b"/v1/x",          None,    b"/x"),
    (RewritePlan(strip_prefix="/v1/"),                   b"/v1/x",          None,    b"/x"),
    (RewritePlan(strip_prefix="/v1"),                    b"/v1",            b"a=1",  b"/?a=1"),
    (RewritePlan(strip_prefix="/v1"),                    b"/v1",            b"",     b"/?"),
    (RewritePlan(strip_prefix="/v1"),                    b"/v10/x",         None,    b"/v10/x"),
    (RewritePlan(strip_prefix="/v1"),                    b"/v1//evil/x",    None,    b"/evil/x"),
    (RewritePlan(strip_prefix="/v1"),                    b"/v1/\\evil",     None,    b"/evil"),
    (RewritePlan(strip_prefix="/"),                      b"/x",             None,    b"/x"),
    (RewritePlan(add_prefix="/api"),                     b"/x",             b"q",    b"/api/x?q"),
    (RewritePlan(add_prefix="/api/"),                    b"/",              None,    b"/api/"),
    (RewritePlan(add_prefix="/caf\u00e9 #1"),            b"/x",             None,    b"/caf%C3%A9%20%231/x"),
    (RewritePlan(strip_prefix="/v1", add_prefix="/api"), b"/v1/x",          None,    b"/api/x"),
    (RewritePlan(strip_prefix="/v1", add_prefix="/api"), b"/v1",            None,    b"/api/"),
    (RewritePlan(regex="^/u/([0-9]+)", to=r"/users/\1"), b"/u/7/x",         b"a",    b"/users/7/x?a"),
    (RewritePlan(regex="^/u/(?P<n>.*)$", to=r"\g<n>"),   b"/u/x",           None,    b"/x"),
    (RewritePlan(regex="^/(.*)$", to=r"/find?q=\1"),     b"/x",             None,    b"/find?q=x"),
    (RewritePlan(regex="^/(.*)$", to=r"/find?q=\1"),     b"/x",             b"p=2",  b"/find?q=x&p=2"),
    (RewritePlan(regex="a", to="b"),                     b"/aa",            None,    b"/bb"),
    (RewritePlan(regex="^/x", to="/st\u00e4tisch/"),     b"/x1",            None,    b"/st%C3%A4tisch/1"),
    (RewritePlan(regex="^/x", to="/a b\r\n#c"),          b"/x",             None,    b"/a%20b%0D%0A%23c"),
    (RewritePlan(regex="^/x(.*)", to=r"\1"),             b"/x//evil",       None,    b"/evil"),
    (RewritePlan(regex="^/x", to="/static/"),            b"/x../etc",       None,    b"/static/etc"),
    (RewritePlan(regex="^/x", to="/static/"),            b"/x%2E./etc",     None,    b"/static/etc"),
    (RewritePlan(regex="^/x", to="/static/"),            b"/x..%2fetc",     None,    b"/static%2fetc"),
    (RewritePlan(regex="^/x", to="/static/"),            b"/x..",           None,    b"/static/"),
    (RewritePlan(regex="^/x", to=""),                    b"/x../..//evil",  None,    b"/evil"),
    (RewritePlan(regex="^/x", to="/y"),                  b"/a.b/..c",       None,    b"/a.b/..c"),
    (RewritePlan(add_prefix="/api"),                     b"*",              None,    b"*"),
]
# fmt: on


@pytest.mark.parametrize(("plan", "path", "query", "target"), TARGETS)
def test_target(plan: RewritePlan, path: bytes, query: bytes | None, target: bytes) -> None:
    rewrite = Rewrite(plan)
    assert rewrite.changes_target == (plan.strip_prefix != "/")
    assert rewrite.target(path, query) == target


REWRITES = [Rewrite(row[0]) for row in TARGETS]


@given(st.sampled_from(REWRITES), st.binary(), st.none() | st.binary())
def test_a_target_has_only_legal_bytes(rewrite: Rewrite, rest: bytes, query: bytes | None) -> None:
    target = rewrite.target(b"/" + rest, query)
    assert re.fullmatch(rb"/[!-\"$-~]*", target) is not None


@given(st.sampled_from(["/x", "/x/", "/xy"]), st.text("./%2eEfF5cC\\x", max_size=12))
def test_a_rewrite_never_leaves_what_the_replacement_begins_with(prefix: str, rest: str) -> None:
    """However dots and borders are escaped: once all is decoded no ".." is a segment."""
    target = (
        Rewrite(RewritePlan(regex=f"^{prefix}", to="/static/"))
        .target(f"{prefix}{rest}".encode(), None)
        .decode()
    )
    opened = re.sub("(?i)%2f|%5c|\\\\", "/", re.sub("(?i)%2e", ".", target))
    assert ".." not in opened.split("/")
    assert opened.startswith("/static")


@pytest.mark.parametrize(
    ("host", "sent"),
    [
        ("preserve", b"Shop.example.com:80"),
        ("server", b"10.0.0.1:8080"),
        ("app.internal:81", b"app.internal:81"),
    ],
)
def test_host(host: str, sent: bytes) -> None:
    rewrite = Rewrite(RewritePlan(host=host))
    assert not rewrite.changes_target
    assert rewrite.authority(b"Shop.example.com:80", b"10.0.0.1:8080") == sent


@pytest.mark.parametrize("host", ["", "a b", "a\r\nx: y", "user@host", "a/b", "a:b", "[::1", "h:123456"])
def test_a_host_that_is_none(host: str) -> None:
    with pytest.raises(ValueError, match="is not a host"):
        Rewrite(RewritePlan(host=host))


@pytest.mark.parametrize(
    "plan",
    [
        RewritePlan(strip_prefix="v1"),
        RewritePlan(add_prefix="api"),
        RewritePlan(regex="(", to="x"),
        RewritePlan(regex="x", to=r"\1"),
        RewritePlan(regex="x", to=r"\g<n>"),
    ],
)
def test_a_rewrite_that_is_none(plan: RewritePlan) -> None:
    with pytest.raises(ValueError, match=r"not valid|must begin"):
        Rewrite(plan)
