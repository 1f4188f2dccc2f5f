# ruff: noqa: E501 - tables of messages read better unbroken
"""`health_check`: the four kinds of check, what a good answer is, and what cannot be."""

import pytest

from lb.config import loads, resolved
from lb.config.health import AgentSpec, CheckTlsSpec
from tests.config.conftest import service, service_problems


def check(text):
    return service(f"health_check: {{{text}}}").health_check


def test_defaults():
    found = check("http: /healthz")
    assert (found.http, found.tcp, found.grpc, found.command) == ("/healthz", None, None, None)
    assert (found.method, found.host, found.headers) == ("GET", None, {})
    assert (found.interval, found.interval_down, found.interval_rising) == (5.0, None, None)
    assert (found.jitter, found.timeout, found.rise, found.fall) == (0.1, 2.0, 2, 3)
    assert (found.port, found.tls, found.initial, found.agent) == (None, None, "up", None)
    assert (found.expect.status, found.expect.body, found.expect.regex) == (((200, 399),), None, None)
    assert service("slow_start: 1s").health_check is None


def test_everything():
    found = check(
        "http: '/h?deep=1', method: POST, host: App.internal:81, headers: {X-A: b}, interval: 10s, interval_down: 1m, "
        "interval_rising: 500ms, jitter: 12.5%, timeout: 250ms, rise: 1, fall: 5, port: 81, "
        "tls: {server_name: App.Example, verify: false}, expect: {status: [204, 300-399], body: ok, regex: ^a}, "
        "initial: down, agent: {port: 9777, interval: 1s, send: hello}"
    )
    assert (found.http, found.method, found.host, found.headers) == (
        "/h?deep=1",
        "POST",
        "App.internal:81",
        {"x-a": "b"},
    )
    assert (found.interval, found.interval_down, found.interval_rising) == (10.0, 60.0, 0.5)
    assert (found.jitter, found.timeout, found.rise, found.fall, found.port) == (0.125, 0.25, 1, 5, 81)
    assert found.tls == CheckTlsSpec(server_name="app.example", verify=False)
    assert (found.expect.status, found.expect.body, found.expect.regex) == (
        ((204, 204), (300, 399)),
        "ok",
        "^a",
    )
    assert (found.initial, found.agent) == ("down", AgentSpec(port=9777, interval="1s", send="hello"))


def test_the_other_kinds():
    assert check("tcp: true").tcp is True
    assert check('grpc: ""').grpc == ""
    assert check("command: [/bin/true, -x]").command == ("/bin/true", "-x")


@pytest.mark.parametrize(
    ("written", "ranges"),
    [("204", ((204, 204),)), ("200-299", ((200, 299),)), ("[200, '301-302']", ((200, 200), (301, 302)))],
)
def test_statuses(written, ranges):
    assert check(f"http: /, expect: {{status: {written}}}").expect.status == ranges


def test_tls_with_its_defaults_and_none():
    assert check("tcp: true, tls: true").tls == CheckTlsSpec()
    assert check("tcp: true, tls: false").tls is None


def test_a_file_of_certificates(tmp_path):
    (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    assert check(f"tcp: true, tls: {{ca: {tmp_path}/ca.pem}}").tls.ca == f"{tmp_path}/ca.pem"
    (tmp_path / "key.pem").write_text("-----BEGIN PRIVATE KEY-----\n")
    for path, message in (("key.pem", "has no certificate in PEM form"), ("none.pem", "No such file")):
        (problem,) = service_problems(f"health_check: {{tcp: true, tls: {{ca: {tmp_path}/{path}}}}}")
        assert message in problem


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "health_check: nothing is checked; it needs one of http, tcp, grpc, command, such as http: /healthz"),
        ("/healthz", "expected a mapping with the keys http, tcp"),
        ("{htp: /}", '(did you mean "http"?)'),
        ("{http: /, tcp: true}", 'health_check.tcp: cannot stand beside "http"; a check is exactly one of'),
        ("{http: healthz}", 'health_check.http: found "healthz"; a path begins with "/"'),
        ("{http: /a b}", "a path is printable ASCII without spaces"),
        ("{tcp: false}", "health_check.tcp: found false; expected true"),
        ("{command: []}", "health_check.command: found an empty list; expected [PROGRAM, ARGUMENT, …]"),
        ("{command: /bin/true}", "health_check.command: found \"/bin/true\"; expected a list"),
        ("{tcp: true, host: a}", 'health_check.host: no effect beside "tcp"; only "http" uses it'),
        ("{grpc: a, expect: {status: 200}}", 'health_check.expect: no effect beside "grpc"'),
        ("{command: [a], tls: true}", 'health_check.tls: no effect beside "command"'),
        ("{http: /, method: HEAD, expect: {body: a}}", "health_check.expect.body: an answer to HEAD has no body"),
        ("{http: /, headers: {Host: a}}", 'use the key "host" of the check'),
        ("{http: /, headers: {content-length: '1'}}", "this header cannot be changed"),
        ("{http: /, host: 'a b'}", "expected a host such as app.internal"),
        ("{http: /, expect: {status: 2xx}}", 'expect.status: found "2xx"; expected a status or a range of them, such as 200 or 200-399'),
        ("{http: /, expect: {status: 399-200}}", "the smaller status comes first: 200-399"),
        ("{http: /, expect: {status: []}}", "found an empty list"),
        ("{http: /, expect: {status: [200, 99]}}", "expect.status[1]: found 99; expected a status"),
        ("{http: /, expect: {regex: '('}}", "not a regular expression"),
        ("{http: /, interval: 5}", "found 5 without a unit"),
        ("{http: /, interval: 0}", "found 0; a limit is needed here"),
        ("{http: /, jitter: 51%}", "expected a share from 0% to 50%"),
        ("{http: /, rise: 0}", "expected a whole number from 1 to 1000"),
        ("{http: /, initial: unknown}", "expected up, down"),
        ("{http: /, port: 0}", "expected a whole number from 1 to 65535"),
        ("{http: /, tls: {server_name: '*.a.b'}}", "expected one host such as example.com"),
        ("{http: /, tls: {ca: ca.pem}}", "the path of a file of certificates is absolute"),
        ("{http: /, agent: {interval: 5s}}", 'the key "port" is missing'),
        ("{http: /, agent: 9777}", "expected a mapping with the keys port, interval, send"),
    ],
)  # fmt: skip
def test_what_cannot_be(text, message):
    (problem,) = service_problems(f"health_check: {text}")
    assert message in problem


@pytest.mark.parametrize(("key", "written"), [("port", "81"), ("agent", "{port: 9777}")])
def test_a_unix_socket_has_no_other_port(key, written):
    (problem,) = service_problems(f"health_check: {{http: /, {key}: {written}}}", "unix:/run/a.sock")
    assert f"health_check.{key}: unix:/run/a.sock is no host that has ports" in problem


@pytest.mark.parametrize(
    "text", ["tcp: true", 'grpc: ""', "command: [a]", "http: /, expect: {status: 204}, tls: true"]
)
def test_resolved_says_only_what_may_stand_there(text):
    spec = loads(
        f"listeners: [':1']\nservices: {{s: {{servers: [a:1], health_check: {{{text}}}}}}}\n", environment={}
    )
    assert loads(resolved(spec), environment={}) == spec
