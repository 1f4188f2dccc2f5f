"""The API's answers, as a client sees them."""

import os
import re

import pytest
import yaml
from msgspec.structs import replace

import lb
from lb.admin.endpoints import ENDPOINTS
from lb.admin.view import Checks, Reload
from lb.plan import MirrorPlan
from lb.telemetry import layout
from tests.admin.conftest import FoundProblem
from tests.admin.test_requests import FAILED


def test_status(control, ask):
    slot = control.plan.listeners[0].slot
    control.cells.add(slot + layout.LISTENER_CONNECTIONS, 4)
    control.cells.add(slot + layout.LISTENER_REQUESTS, 90)
    found = ask("GET", "/api/v1/status").json()
    assert found["version"] == lb.__version__
    assert found["pid"] == os.getpid()
    assert 59 < found["uptime"] < 120
    assert found["generation"] == 7
    assert found["ready"] is True
    assert [(w["worker"], w["state"], w["connections"]) for w in found["workers"]] == [
        (0, "running", 4),
        (1, "stopped", 0),
    ]
    assert found["workers"][1]["pid"] is None
    assert found["listeners"][0]["bind"] == ["127.0.0.1:8080"]
    assert (found["listeners"][0]["connections"], found["listeners"][0]["requests"]) == (4, 90)
    assert found["last_reload"]["at"] == "2023-11-14T22:13:20.500Z"
    assert found["last_reload"]["age"] > 0
    assert "problems" not in found["last_reload"]


def test_status_before_the_first_plan(control, ask):
    control.plan = control.last_reload = None
    found = ask("GET", "/api/v1/status").json()
    assert (found["listeners"], found["last_reload"]) == ([], None)
    assert ask("GET", "/api/v1/routes").json()["routes"] == []
    assert ask("GET", "/api/v1/services").json()["services"] == []


def test_the_age_of_every_source(control, ask):
    def rows():
        found = ask("GET", "/api/v1/status").json()["sources"]
        return {(one["kind"], one["name"]): (one["ok"], one["age"], one["error"]) for one in found}

    found = rows()
    assert list(found) == [
        ("configuration", "generation 7"), ("discovery", "app"), ("discovery", "mute"),
        ("catalog", "consul catalog lb.route="), ("cluster", "consul"), ("checks", "app"),
    ]  # fmt: skip
    ok, age, error = found["configuration", "generation 7"]
    assert (ok, error) == (True, None) and 58 < age < 120
    assert found["discovery", "app"] == (False, 1.5, "no agent")
    assert found["discovery", "mute"] == (False, None, "no agent")
    assert found["catalog", "consul catalog lb.route="] == (False, 2.5, "no agent")
    assert found["cluster", "consul"] == (True, 0.5, None)
    ok, age, error = found["checks", "app"]
    assert (ok, error) == (True, None) and 9 < age < 70

    control.cluster.away = True
    control.all_checks["app"] = Checks(2, 0, 0.0)
    control.last_reload = Reload(False, 7, 1.0, "file", problems=[FoundProblem("a", 1, 1, "", "x")])
    found = rows()
    assert found["cluster", "consul"] == (False, 0.5, "consul: no answer")
    assert found["checks", "app"] == (False, None, "no result yet of 2 of 2 servers")
    assert found["configuration", "generation 7"][2] == "the last reload was refused: 1 problem"

    control.cluster = control.catalog_said = control.last_reload = None
    control.sources, control.all_checks, control.in_force_since = [], {}, 0.0
    assert rows() == {("configuration", "generation 7"): (False, None, "not in force yet")}


def test_routes(control, ask):
    slot = control.plan.routes[0].services[0].slot
    control.cells.add(slot + layout.ROUTE_CLASS + 2, 3)
    control.cells.add(slot + layout.ROUTE_DURATION_CELLS + 1, 3)
    control.cells.add(slot + layout.ROUTE_DURATION_SUM, 3_000)
    reply = ask("GET", "/api/v1/routes")
    api, old = reply.json()["routes"]
    assert api["match"] == {"host": ["api.example.com"], "path_prefix": ["/v1"]}
    assert api["services"][0]["service"] == "app"
    assert api["services"][0]["requests"] == {"1xx": 0, "2xx": 3, "3xx": 0, "4xx": 0, "5xx": 0}
    assert api["services"][0]["duration_average"] == 0.001
    assert old["redirect"] == {"to": "https://x/", "status": 308}
    assert old["duration_average"] is None
    assert b"secret-token" not in reply.body


def test_a_route_that_is_mirrored(control, ask):
    slot = control.ledger.mirror("api", "next")
    mirror = MirrorPlan("next", 0.1, headers=("x-a",), slot=slot)
    api, *others = control.plan.routes
    control.plan = replace(control.plan, routes=(replace(api, mirror=mirror), *others))
    for at, count in (
        (layout.MIRROR_REQUESTS, 9),
        (layout.MIRROR_DIFFERENT + 2, 4),
        (layout.MIRROR_FAILED, 1),
    ):
        control.cells.add(slot + at, count)
    api, old = ask("GET", "/api/v1/routes").json()["routes"]
    assert api["mirror"] == {
        "service": "next",
        "share": 0.1,
        "compare": {"status": True, "headers": ["x-a"], "body": True},
        "max_body": 65536,
        "in_flight": 0,
        "requests": 9,
        "different": {"status": 0, "header": 0, "body": 4},
        "failed": 1,
        "skipped": 0,
    }
    assert "mirror" not in old


def test_services(control, ask):
    first = control.plan.services[0].servers[0].slot
    control.cells.add(first + layout.SERVER_IN_FLIGHT, 2)
    control.cells.add(first + layout.SERVER_IDLE, 5)
    control.cells.add(first + layout.SERVER_CONNECTIONS, 6)
    (app,) = ask("GET", "/api/v1/services").json()["services"]
    assert app["algorithm"] == "least_connections"
    one, two = app["servers"]
    assert (one["address"], one["weight"], one["in_flight"], one["state"]) == (
        "127.0.0.1:9001",
        3,
        2,
        "eligible",
    )
    assert one["connections"] == {
        "idle": 5,
        "busy": 0,
        "connecting": 0,
        "queued": 0,
        "opened": 6,
        "reused": 0,
    }
    assert (two["backup"], two["state"]) == (True, "unknown")


@pytest.mark.parametrize("accept", [None, "*/*", "application/yaml", "text/html, */*;q=0.1"])
def test_config_is_yaml(control, ask, accept):
    reply = ask("GET", "/api/v1/config", headers={"Accept": accept} if accept else {})
    assert reply.headers["Content-Type"] == "application/yaml"
    assert reply.body.decode() == control.resolved()


def test_config_as_json(control, ask):
    reply = ask("GET", "/api/v1/config", headers={"Accept": "application/json"})
    assert reply.json() == yaml.safe_load(control.resolved())


def test_reload(control, ask):
    reply = ask("POST", "/api/v1/reload")
    assert reply.status == 200
    assert reply.json() == {"generation": 8, "changes": ["+ route new"]}


def test_reload_with_problems(control, ask):
    problem = FoundProblem("lb.yaml", 3, 5, "routes[0].service", "there is no service 'x'")
    control.next_reload = Reload(False, 7, 1.0, "api", problems=[problem])
    reply = ask("POST", "/api/v1/reload")
    assert reply.status == 422
    assert reply.json() == {
        "error": "invalid_configuration",
        "message": "the configuration has 1 problem; generation 7 stays in force",
        "problems": [problem._asdict()],
    }
    assert ask("GET", "/api/v1/status").json()["last_reload"]["problems"] == [problem._asdict()]


def test_reload_that_failed_elsewhere(control, ask):
    control.next_reload = Reload(False, 7, 1.0, "api", error="worker 1 did not answer")
    reply = ask("POST", "/api/v1/reload")
    assert reply.status == 500
    assert "worker 1 did not answer; generation 7 stays" in reply.json()["message"]
    control.next_reload = Reload(False, 0, 1.0, "api", error="lb ended before it served")
    reply = ask("POST", "/api/v1/reload")
    assert (reply.status, reply.json()["message"]) == (500, "lb ended before it served")


def test_explain(control, ask):
    body = {
        "method": "PUT",
        "url": "http://x/y",
        "headers": {"X-A": ["1", "2"], "B": "3"},
        "client_ip": "::1",
    }
    assert ask("POST", "/api/v1/explain", json=body).json() == {"route": "api"}
    (question,) = control.questions
    assert question.method == "PUT"
    assert question.headers == [("x-a", "1"), ("x-a", "2"), ("b", "3")]
    assert question.client_ip == "::1"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "url"),
        (b"{}", "url"),
        (b'{"url": 1}', "url"),
        (b'{"url": "/", "verb": "GET"}', "verb"),
        (b"\xff\xfe", "body is not a question"),
        (b'{"url": "/", "method": "BAD METHOD"}', "'BAD METHOD' is not a method"),
    ],
)
def test_explain_that_makes_no_sense(ask, body, message):
    reply = ask("POST", "/api/v1/explain", data=body)
    assert reply.status == 400
    assert reply.json()["error"] == "bad_request"
    assert message in reply.json()["message"]


def test_unknown_path_lists_the_endpoints(ask):
    reply = ask("GET", "/api/v2")
    assert reply.status == 404
    assert reply.json()["endpoints"] == [f"{e.method} {e.path}" for e in ENDPOINTS]


def test_wrong_method(ask):
    reply = ask("GET", "/api/v1/reload")
    assert reply.status == 405
    assert reply.headers["Allow"] == "POST"
    assert reply.json()["error"] == "method_not_allowed"


def test_body_that_is_too_large(ask):
    reply = ask("POST", "/api/v1/explain", data=b"x" * 300_000)
    assert reply.status == 413
    assert reply.json()["error"] == "too_large"


def test_bug_is_an_error_in_json_and_in_the_log(control, ask, caplog):
    control.plan = "not a plan"
    reply = ask("GET", "/api/v1/routes")
    assert reply.status == 500
    assert reply.json()["error"] == "internal_error"
    assert "AttributeError" in caplog.text


def test_the_page_and_all_that_it_names_are_served_under_a_strict_policy(ask):
    page = ask("GET", "/")
    assert page.headers["Content-Type"].startswith("text/html")
    names = re.findall(r'"(/static/[^"]+)"', page.body.decode())
    assert {"/static/app.js", "/static/app.css", "/static/icon.svg"} <= set(names)
    for reply in (page, *(ask("GET", name) for name in names)):
        assert reply.status == 200
        policy = reply.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
    assert not re.search(r"<script(?! type=\"module\" src=)|<style| style=| on\w+=", page.body.decode())


@pytest.mark.parametrize("name", ["nothing.js", "..%2Fpage.py", "..%2F..%2Fplan.py", ".", "%00"])
def test_the_page_has_no_other_files(ask, name):
    assert ask("GET", f"/static/{name}").status == 404


@pytest.mark.parametrize("path", [e.path for e in ENDPOINTS if e.method == "GET"])
def test_head_and_cache(ask, control, path):
    control.decisions.take([FAILED])
    reply = ask("HEAD", path.format(number=1, one=1, other=1, file="app.js", id=FAILED.request_id))
    assert (reply.status, reply.body) == (200, b"")
    assert reply.headers["Cache-Control"] == "no-store"
