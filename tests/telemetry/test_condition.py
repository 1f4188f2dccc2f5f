"""Conditions in words, and the tokens of X-LB-Debug."""

from __future__ import annotations

import pytest

from lb.telemetry.condition import Condition, read_condition
from lb.telemetry.debugtoken import holds, make

FACTS = (("api", "app", "a:1"), "GET", "/v1/x", "192.0.2.1", 503, 0.5, "server")


@pytest.mark.parametrize(
    "text",
    ["", "failed", "failed=server", "failed=any",
     "route=api", "service=app server=a:1", "method=GET path=/v1", "client=192.0.2.1",
     "status=503", "status=5xx", "slower=500ms", "slower=0.5s failed status=5xx"],
)  # fmt: skip
def test_it_holds(text):
    assert read_condition(text).holds(*FACTS)


@pytest.mark.parametrize(
    "text",
    ["route=ap", "service=x", "server=a:2", "method=POST", "path=/v2", "client=192.0.2.2", "status=502",
     "status=4xx", "failed=client", "slower=501ms", "route=api status=200"],
)  # fmt: skip
def test_it_does_not_hold(text):
    assert not read_condition(text).holds(*FACTS)


def test_failed_is_not_what_went_well():
    for text in ("failed", "failed=server", "failed=client"):
        assert not read_condition(text).holds(*FACTS[:-1], "")
    assert read_condition("") == Condition()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rout=api", "did you mean route?"), ("route=", "expected failed, or"), ("x", "expected failed"),
        ("status=9xx", "such as 503, or 5xx"), ("slower=5", "a duration"), ("path=v1", "beginning of a path"),
        ("route=a route=b", "twice"), ("path=/" + "x" * 1000, "at most 1000"),
        ("failed=lb", "any, server or client"), ("failed failed=server", "twice"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_told(text, said):
    with pytest.raises(ValueError, match=said.replace("?", r"\?")):
        read_condition(text)


KEY = "k" * 32


def test_a_token_holds_until_its_expiry():
    token = make(KEY, 1000).encode()
    assert holds(KEY, token, 999.0)
    assert not holds(KEY, token, 1000.0)


@pytest.mark.parametrize(
    "token",
    [b"", b":", b"1000", b"1000:", b"x" * 9000, b"-1:" + b"0" * 64, b"1000:" + b"0" * 64,
     "٣:".encode() + b"0" * 64, make("other" * 8, 1000).encode(), make(KEY, 1000).encode() + b"0",
     make(KEY, 1000).replace("1000", "2000").encode(), b"9" * 13 + b":" + b"0" * 64, b"1000:" + b"\xff" * 64],
)  # fmt: skip
def test_no_other_token_holds(token):
    assert not holds(KEY, token, 1.0)
