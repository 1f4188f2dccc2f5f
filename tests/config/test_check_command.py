"""`lb check` and `lb schema` as commands."""

import json

import pytest
from typer.testing import CliRunner

from lb.cli.main import app
from lb.config import loads

GOOD = 'listeners: [":80"]\nservices: {app: ["a:1", "a:2"]}\nroutes: {"/": app}\n'


@pytest.fixture
def run(tmp_path):
    def run(text, *options):
        (tmp_path / "lb.yaml").write_text(text)
        result = CliRunner().invoke(app, ["check", str(tmp_path / "lb.yaml"), *options])
        return result.exit_code, result.stdout, result.stderr.replace(f"{tmp_path}/", "")

    return run


def test_good(run):
    assert run(GOOD) == (0, "config ok: 1 listener, 1 route, 1 service, 2 servers\n", "")


def test_warnings_do_not_fail(run):
    code, out, err = run(GOOD.replace("{app:", '{b: ["b:1"], app:'))
    assert code == 0
    assert err == 'lb.yaml:2:12: warning: services.b: no route uses the service "b"\n'
    assert out == "config ok: 1 listener, 1 route, 2 services, 3 servers, 1 warning\n"


def test_all_problems_and_their_number(run):
    code, out, err = run(GOOD.replace("app}", "ap}") + "workers: x\n")
    assert (code, out) == (1, "")
    assert err.splitlines() == [
        'lb.yaml:3:15: error: routes[/]: there is no service "ap"; there are: app (did you mean "app"?)',
        'lb.yaml:4:10: error: workers: found "x"; expected auto (one per core) or a number from 1 to 256',
        "2 problems",
    ]


def test_tests_count(run):
    case = "tests: [{request: GET http://a/, expect: {route: %s}}]\n"
    assert run(GOOD + case % "/")[:2] == (
        0,
        "config ok: 1 listener, 1 route, 1 service, 2 servers, 1 test passed\n",
    )
    code, out, err = run(GOOD + case % "null")
    assert (code, out) == (1, "")
    assert err.endswith(
        'test failed: "GET http://a/" goes to route "/"; expected no route (404)\n1 problem\n'
    )


def test_resolved_is_a_configuration(run):
    code, out, err = run(GOOD, "--resolved")
    assert (code, err) == (0, "")
    assert loads(out) == loads(GOOD)


def test_no_such_file():
    result = CliRunner().invoke(app, ["check", "/no/such/lb.yaml"])
    assert result.exit_code == 1
    assert result.stderr == "/no/such/lb.yaml: error: there is no such file or folder\n1 problem\n"


def test_schema_is_json():
    result = CliRunner().invoke(app, ["schema"])
    assert result.exit_code == 0
    assert json.loads(result.stdout)["title"] == "lb configuration"
