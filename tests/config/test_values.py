# ruff: noqa: E501 - tables of messages read better unbroken
"""Numbers, durations, sizes, addresses and names: what they mean, and what is said about the others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from lb.config import addresses, fields, services, shares, values
from lb.config.environment import Substituted
from lb.config.retry import RetryOn


def accepts(check, value):
    return (
        check.check(value) if isinstance(check, values.Checked) else TypeAdapter(check).validate_python(value)
    )


def refusal(check, value):
    try:
        accepts(check, value)
    except ValidationError as error:
        return error.errors()[0]["msg"]
    except ValueError as error:
        return str(error)
    pytest.fail(f"{value!r} was accepted")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("250ms", 0.25),
        ("5s", 5),
        ("1.5s", 1.5),
        ("2m", 120),
        ("1h", 3600),
        ("0.001s", 0.001),
        ("0s", 0),
        (0, 0),
    ],
)
def test_durations(text, seconds):
    assert accepts(values.duration(zero="no limit"), text) == seconds


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (30, "found 30 without a unit; write a duration such as 250ms, 5s, 2m or 1h (did you mean 30s?)"),
        ("30", 'found "30"; expected a duration'),
        ("30sec", "(did you mean 30s?)"),
        ("5 min", "(did you mean 5m?)"),
        ("1d", "(did you mean 24h?)"),
        ("0.5ms", "the smallest step is 1ms"),
        ("9999h", "the longest duration is a year"),
        (0, "found 0; a limit is needed here"),
        ("0s", "a limit is needed here"),
        ("-1s", 'found "-1s"; expected a duration'),
        (True, "found true; expected a duration"),
        (None, "found nothing; expected a duration"),
        ([], "found a list; expected a duration"),
    ],
)  # fmt: skip
def test_wrong_durations(value, message):
    assert message in refusal(values.duration(), value)


@pytest.mark.parametrize(
    ("text", "count"),
    [("512B", 512), ("64KiB", 65536), ("1.5KiB", 1536), ("10MiB", 10 * 2**20), ("1GB", 10**9), (0, 0)],
)
def test_sizes(text, count):
    assert accepts(values.size(zero="no limit"), text) == count


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (1024, "found 1024 without a unit; write a size such as 512B, 64KiB or 10MiB (did you mean 1024B?)"),
        ("10M", "(did you mean 10MiB?)"), ("64kib", "(did you mean 64KiB?)"), ("64kb", "(did you mean 64KB?)"),
        ("0.3B", "expected a whole number of bytes"), (0, "a limit is needed here"), ("5s", "expected a size"),
    ],
)  # fmt: skip
def test_wrong_sizes(value, message):
    assert message in refusal(values.size(), value)


@given(st.integers(0, 365 * 24 * 3600 * 1000))
def test_a_duration_is_written_as_it_is_read(milliseconds):
    seconds = milliseconds / 1000
    assert accepts(values.duration(zero="no limit"), values.duration_text(seconds)) == seconds


@given(st.integers(0, 2**50))
def test_a_size_is_written_as_it_is_read(count):
    assert accepts(values.size(zero="no limit"), values.size_text(count)) == count


@pytest.mark.parametrize(
    ("text", "share"), [("20%", 0.2), ("12.5%", 0.125), ("100%", 1.0), ("0%", 0.0), (0, 0.0), (Substituted("0"), 0.0)]
)  # fmt: skip
def test_shares(text, share):
    assert accepts(shares.percent(), text) == share


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (20, "found 20 without %; expected a share such as 20% (did you mean 20%?)"),
        (0.2, "(did you mean 20%?)"), ("20", 'found "20"; expected a share'), ("101%", "expected a share such as 20%"),
        ("1.234%", "expected a share"), ("-1%", "expected a share"), (True, "found true; expected a share"),
    ],
)  # fmt: skip
def test_wrong_shares(value, message):
    assert message in refusal(shares.percent(), value)


@pytest.mark.parametrize("value", ["51%", "0%", 0])
def test_shares_with_bounds(value):
    assert "expected a share from 1% to 50%" in refusal(shares.percent(1, 50), value)


@given(st.integers(0, 10_000))
def test_a_share_is_written_as_it_is_read(hundredths):
    share = hundredths / 10_000
    assert accepts(shares.percent(), shares.share_text(share)) == share


def test_numbers():
    check = values.whole(1, 10)
    assert accepts(check, 3) == 3
    assert accepts(check, Substituted("7")) == 7
    assert refusal(check, "3") == 'found "3"; expected a whole number from 1 to 10 (remove the quotes: 3)'
    assert refusal(check, True) == "found true; expected a whole number from 1 to 10"
    assert refusal(check, 11) == "found 11; expected a whole number from 1 to 10"
    assert refusal(check, 1.0) == "found 1.0; expected a whole number from 1 to 10"
    assert accepts(values.fraction(0, 2), 1) == 1.0
    assert refusal(values.fraction(0, 2), float("nan")) == "found nan; expected a number from 0 to 2"


def test_truth():
    assert accepts(values.Truth, True) is True
    assert accepts(values.Truth, Substituted("false")) is False
    assert refusal(values.Truth, "yes") == 'found "yes"; expected true or false (write true)'
    assert refusal(values.Truth, 1) == "found 1; expected true or false"


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        (":8080", "0.0.0.0:8080"), ("127.0.0.1:0", "127.0.0.1:0"), ("[::]:80", "[::]:80"),
        ("[0:0::1]:80", "[::1]:80"), ("unix:/run/lb.sock", "unix:/run/lb.sock"), ("0.0.0.0:080", "0.0.0.0:80"),
    ],
)  # fmt: skip
def test_bind_addresses(text, normal):
    assert accepts(addresses.BindAddress, text) == normal


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (8080, 'found 8080; expected an address: ":8080"'), ("8080", 'write ":8080"'),
        ("localhost:80", 'write "127.0.0.1:80"'), ("*:80", 'write ":80" for all addresses'),
        (":65536", "a port is a number from 1 to 65535"), ("::1:80", "expected address:port"),
        ("http://0.0.0.0:80", 'not a URL: "0.0.0.0:80"'), ("unix:run", "is absolute"),
        ("unix:/" + "x" * 107, "at most 107 bytes"), ("1.2.3.4.5:80", "expected an IP address"),
    ],
)  # fmt: skip
def test_wrong_bind_addresses(value, message):
    assert message in refusal(addresses.BindAddress, value)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("10.0.0.1:80", "10.0.0.1:80"), ("App.Internal:80", "app.internal:80"), ("[::1]:80", "[::1]:80"),
        ("unix:/a b", "unix:/a b"), ("my_app:80", "my_app:80"), ("1a:80", "1a:80"),
    ],
)  # fmt: skip
def test_server_addresses(text, normal):
    assert accepts(addresses.ServerAddress, text) == normal


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("10.0.0.1", 'a port is missing: write "10.0.0.1:80"'), ("https://a.example", '"a.example:443"'),
        ("http://a:1/x", 'not a URL: "a:1"'), ("::1:80", 'in brackets: "[::1]:80"'), ("a:0", "from 1 to 65535"),
        ("10.0.0.256:80", "expected an IP address or a host name"), ("a b:80", "expected an IP address"),
        (":80", 'a host is missing: write "127.0.0.1:80"'), ("0.0.0.0:80", "no server has this address"),
        ("[::g]:80", "expected an IP address"), ("-a:80", "expected an IP address"), ("a\r\n:80", "expected"),
    ],
)  # fmt: skip
def test_wrong_server_addresses(value, message):
    assert message in refusal(addresses.ServerAddress, value)


def test_networks():
    assert accepts(addresses.Network, "10.1.2.3") == "10.1.2.3/32"
    assert accepts(addresses.Network, "2001:DB8::/32") == "2001:db8::/32"
    assert "the block with this address is 10.0.0.0/8" in refusal(addresses.Network, "10.1.1.1/8")
    assert "expected a network such as" in refusal(addresses.Network, "10.0.0.0/33")


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("Example.COM", "example.com"), ("*.Example.com", "*.example.com"), ("example.com.", "example.com"),
        ("127.0.0.1", "127.0.0.1"), ("[::1]", "[::1]"), ("_a.b-c.d", "_a.b-c.d"),
    ],
)  # fmt: skip
def test_host_patterns(text, normal):
    assert accepts(addresses.HostPattern, text) == normal


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("*", 'leave "host" out'), ("a.*.com", "for the first labels"), ("*a.com", "for the first labels"),
        ("a.com:80", 'without the port: write "a.com"'), ("http://a.com", "without scheme and path"),
        ("bücher.example", '"xn--bcher-kva.example"'), ("a..b", "expected a host"), ("", "expected a host"),
        ("a" * 64 + ".com", "expected a host"),
    ],
)  # fmt: skip
def test_wrong_host_patterns(value, message):
    assert message in refusal(addresses.HostPattern, value)


def test_http_text():
    assert accepts(fields.HeaderName, "X-Env") == "x-env"
    assert "without the colon" in refusal(fields.HeaderName, "x-env:")
    assert "RFC 9110 5.6.2" in refusal(fields.HeaderName, "x env")
    assert "no line breaks" in refusal(fields.HeaderValue, "a\r\nb: c")
    assert "no line breaks" in refusal(fields.HeaderValue, "a\x00")
    assert "white space" in refusal(fields.HeaderValue, " a")
    assert 'write "GET"' in refusal(fields.Method, "get")
    assert "405" in refusal(fields.Method, "CONNECT")
    assert accepts(fields.Method, "PURGE") == "PURGE"
    assert 'begins with "/"' in refusal(fields.PathText, "v1")
    assert '"query"' in refusal(fields.PathText, "/a?b")
    assert "encode those" in refusal(fields.PathText, "/a b")
    assert "not a regular expression: missing )" in refusal(fields.Regex, "(a")
    for name in fields.RESERVED:
        assert "cannot be changed" in refusal(fields.EditableName, name.title())
    assert "${client_ip}" in refusal(fields.EditValue, "${nope}")
    assert '"${" is not closed' in refusal(fields.EditValue, "${path")
    assert accepts(fields.EditValue, "a ${path} b") == "a ${path} b"
    assert "quotes" in refusal(fields.Name, 'a"b')
    assert "from 400 to 599" in refusal(RetryOn, 200)
    assert accepts(RetryOn, 503) == "503"


def test_algorithms():
    for name in services.ALGORITHMS:
        assert accepts(services.AlgorithmName, name) == name
    assert accepts(services.AlgorithmName, "my.own:Class") == "my.own:Class"
    assert '(did you mean "least_connections"?)' in refusal(services.AlgorithmName, "leastconn")
    assert "written package.module:Class" in refusal(services.AlgorithmName, "my.own.Class")


def test_the_names_of_algorithms_are_those_of_the_registry():
    from lb.balancing import registry

    assert set(services.ALGORITHMS) == set(registry.ALGORITHMS)
    assert set(services.METHODS) == {registry.AUTO, *registry.METHODS}


def test_fields_of_the_request_are_those_that_routing_knows():
    from lb.routing import edits, redirect

    assert fields.HEADER_FIELDS == edits.ALLOWED
    assert fields.REDIRECT_FIELDS == redirect.ALLOWED
