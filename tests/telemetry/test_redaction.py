"""What is taken out of a line."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.telemetry.accesslog import compile_format
from lb.telemetry.fields import check_omitted
from lb.telemetry.redaction import hide_values, subnet
from tests.telemetry.test_accesslog import head, ordinary


@pytest.mark.parametrize(
    ("client", "network"),
    [
        ("192.0.2.17", b"192.0.2.0"),
        ("2001:db8:1:2:3::4", b"2001:db8:1::"),
        ("::ffff:192.0.2.17", b"::"),
        ("fe80::1%eth0", b""),
        ("", b""),
        ("unix", b""),
    ],
)
def test_a_client_is_its_network(client, network):
    assert subnet(client) == network


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (b"/a?token=x&b=1", b"/a?token=***&b=1"),
        (b"/a?b=1&TOKEN=x=y?z", b"/a?b=1&TOKEN=***"),
        (b"/a?%74oke%6E=x", b"/a?%74oke%6E=***"),
        (b"/a?token&token=&b", b"/a?token&token=***&b"),
        (b"/token=x", b"/token=x"),
        (b"/a?", b"/a?"),
        (b"/a?a=1;token=x&b=1;c", b"/a?a=1;token=***&b=1;c"),
        (b"/a?token=x;y&b=1", b"/a?token=***&b=1"),
        (b"/a?a;%74oken=x;b=2", b"/a?a;%74oken=***"),
        (b"/a;token=x?b=1", b"/a;token=x?b=1"),
    ],
)
def test_the_value_of_a_named_parameter(url, shown):
    assert hide_values(url, frozenset([b"token"])) == shown


def test_the_values_of_all_parameters():
    assert hide_values(b"/a?b=1&secret&&c=", frozenset()) == b"/a?b=***&***&&c=***"
    assert hide_values(b"/a?b=1;c=2&secret;d=1&;e=1&f;g", frozenset()) == b"/a?b=***&***;d=***&;e=***&***"


@given(
    st.lists(st.sampled_from([b"a", b"token=s3cret", b"=", b"&", b";"]), max_size=12).map(b"".join),
    st.sampled_from([b"[&]", b"[&;]"]),
)
def test_however_the_server_separates_the_value_is_hidden(query, separators):
    shown = hide_values(b"/path?" + query, frozenset([b"token"]))
    values = [p.partition(b"=")[2] for p in re.split(separators, shown[6:]) if p.startswith(b"token=")]
    assert all(value == b"***" for value in values)


@given(st.binary(max_size=80))
def test_nothing_of_a_query_is_left_and_the_path_is(query):
    shown = hide_values(b"/path?" + b"x=" + query, frozenset())
    assert shown.startswith(b"/path?x=***")
    assert not any(
        value not in (b"", b"***") for value in (p.partition(b"=")[2] for p in shown[6:].split(b"&"))
    )


def test_a_redacted_line():
    e = ordinary()
    e.target = b"/v1?id=1&token=s3cret"
    compiled = compile_format("json", subnet=True, query=("Token",), omit=("host", "request_id", "attempts"))
    e.attempts = [(b"10.0.0.1:80", 0, 1.0, b"SC", b"")]
    found = json.loads(compiled.line(e))
    assert (found["client"], found["target"]) == ("192.0.2.0", "/v1?id=1&token=***")
    assert not {"host", "request_id", "attempts"} & found.keys()


def test_a_redacted_template():
    e = ordinary()
    e.head = head(b"Referer: https://a/?code=s3cret", b"X-Key: s3cret")
    template = "${client} ${host} ${header:referer} ${header:X-KEY} ${status}"
    compiled = compile_format(template, query=("*",), omit=("host", "status", "header:x-Key"))
    assert compiled.line(e) == b"192.0.2.17 - https://a/?code=*** - -\n"


def test_what_can_be_left_out():
    for name in ("client", "attempts", "header:x-key"):
        check_omitted(name)
    for name, message in (("hots", "did you mean host"), ("time", "no field"), ("header:a b", "no field")):
        with pytest.raises(ValueError, match=message):
            check_omitted(name)


def test_the_sample_is_a_share_and_says_so():
    e, compiled = ordinary(), compile_format("json", sample=0.1, slow=2.0)
    kept = [json.loads(compiled.line(e)) for _ in range(20_000) if compiled.keeps(False, 0.001)]
    assert 1700 < len(kept) < 2300  # seven standard deviations
    assert {line["sample"] for line in kept} == {0.1}


def test_failed_and_slow_ones_are_always_there():
    e, compiled = ordinary(), compile_format("json", sample=0.0, slow=2.0)
    assert not any(compiled.keeps(False, 1.99) for _ in range(1000))
    assert compiled.keeps(True, 0.0)
    assert "sample" not in json.loads(compiled.line(e))
    assert compiled.keeps(False, 2.0)
    assert "sample" not in json.loads(compiled.line(e))


def test_a_line_that_was_not_drawn_says_nothing_of_the_sample():
    e, compiled = ordinary(), compile_format("${status} ${sample}", sample=0.25)
    while not compiled.keeps(False, 0.0):
        pass
    assert compiled.line(e) == b"200 0.25\n"
    assert compiled.line(e) == b"200 -\n"  # a refusal, which nobody asks for
