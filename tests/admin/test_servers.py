"""Servers in layers, and what operators order of them."""

import time

import pytest

from lb.telemetry import layout
from lb.upstream.status import Mode, Override

ONE = "/api/v1/services/app/servers/127.0.0.1:9001/override"


def test_layers_are_never_mixed(control, ask):
    control.cells.add(control.plan.services[0].servers[0].slot + layout.SERVER_IN_FLIGHT, 2)
    control.cells.add(control.plan.services[0].servers[0].slot + layout.SERVER_BUSY, 3)
    control.overrides["app", "127.0.0.1:9001"] = Override(Mode.DRAIN, 0.5, "anna", "deploy", 10.0, 20.0)
    control.overrides["gone", "10.0.0.1:80"] = Override(Mode.UP, None, "", "", 10.0)
    one, two, gone = ask("GET", "/api/v1/servers").json()["servers"]
    assert (one["service"], one["address"], one["status"]) == ("app", "127.0.0.1:9001", "up")
    assert one["layers"]["discovery"] is None
    assert one["layers"]["override"] == {
        "mode": "drain",
        "weight": 0.5,
        "author": "anna",
        "reason": "deploy",
        "since": "1970-01-01T00:00:10.000Z",
        "until": "1970-01-01T00:00:20.000Z",
    }
    assert (one["in_flight"], one["connections"]["busy"]) == (2, 3)
    (evidence,) = one["evidence"]
    assert (evidence["at"], evidence["until"]) == ("1970-01-01T00:00:10.000Z", None)
    assert two["layers"]["override"] is None
    assert (gone["service"], gone["layers"]["file"], "status" in gone) == ("gone", None, False)
    assert gone["layers"]["override"]["until"] is None


def test_one_service_or_one_server(control, ask):
    assert ask("GET", "/api/v1/servers?service=other").json()["servers"] == []
    (found,) = ask("GET", "/api/v1/servers?service=app&address=127.0.0.1:9002").json()["servers"]
    assert found["address"] == "127.0.0.1:9002"


def test_before_the_first_plan(control, ask):
    control.plan = None
    assert ask("GET", "/api/v1/servers").json()["servers"] == []


@pytest.mark.parametrize(
    ("body", "mode", "weight"),
    [
        ({"mode": "drain"}, Mode.DRAIN, None),
        ({"mode": "maintenance", "weight": "25%"}, Mode.MAINTENANCE, 0.25),
        ({"mode": "up"}, Mode.UP, None),
        ({"weight": 1.5}, Mode.AUTO, 1.5),
        ({"mode": "auto", "weight": "50%"}, Mode.AUTO, 0.5),
    ],
)
def test_an_order_is_put_in_force(control, ask, body, mode, weight):
    before = time.time()
    reply = ask("PUT", ONE, json={**body, "author": "anna", "reason": "two\nlines", "for": "30m"})
    assert reply.status == 200, reply.body
    held = control.overrides["app", "127.0.0.1:9001"]
    assert (held.mode, held.weight, held.author, held.reason) == (mode, weight, "anna", "two lines")
    assert before <= held.since <= time.time()
    assert held.until == held.since + 1800
    assert reply.json()["layers"]["override"]["mode"] == mode.value
    assert reply.json()["saved"] is True


def test_without_an_end_it_holds_until_it_is_lifted(control, ask):
    control.overrides_saved = False
    assert ask("PUT", ONE, json={"mode": "drain"}).json()["saved"] is False
    assert control.overrides["app", "127.0.0.1:9001"].until == 0
    assert ask("DELETE", ONE + "?author=ben").status == 200
    assert control.lifted == [("app", "127.0.0.1:9001", "ben")]
    reply = ask("DELETE", ONE)
    assert (reply.status, reply.json()["error"]) == (404, "no_override")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("", "truncated"),
        ("{}", "orders nothing"),
        ('{"mode": "auto"}', "orders nothing"),
        ('{"mode": "off"}', "off"),
        ('{"mode": "drain", "until": 5}', "until"),
        ('{"mode": "drain", "for": "30"}', "30m"),
        ('{"mode": "drain", "for": 30}', "for"),
        ('{"weight": "0%"}', "drain it"),
        ('{"weight": 0}', "drain it"),
        ('{"weight": -1}', "-1"),
        ('{"weight": "half"}', "half"),
        ('{"weight": "nan"}', "nan"),
        ('{"weight": "20000%"}', "20000%"),
        ('{"mode": "drain", "reason": "%s"}' % ("x" * 501), "500"),
    ],
)
def test_orders_that_make_no_sense(control, ask, body, message):
    reply = ask("PUT", ONE, data=body)
    assert (reply.status, reply.json()["error"]) == (400, "bad_request")
    assert message in reply.json()["message"]
    assert control.overrides == {}


def test_a_server_that_there_is_not(ask):
    reply = ask("PUT", ONE.replace("9001", "9003"), json={"mode": "drain"})
    assert (reply.status, reply.json()["error"]) == (404, "unknown_server")
    assert "127.0.0.1:9003" in reply.json()["message"]


def test_names_with_a_slash_are_encoded(ask):
    path = "/api/v1/services/a%2Fb/servers/unix:%2Frun%2Fapp.sock/override"
    reply = ask("PUT", path, json={"mode": "drain"})
    assert reply.json()["message"] == "service a/b has no server unix:/run/app.sock"


def test_other_methods_and_other_sites(control, ask):
    reply = ask("POST", ONE, json={"mode": "drain"})
    assert (reply.status, reply.headers["Allow"]) == (405, "PUT, DELETE")
    for method in ("PUT", "DELETE"):
        reply = ask(method, ONE, json={"mode": "drain"}, headers={"Origin": "https://attacker.example"})
        assert reply.status == 403
    assert control.overrides == {}
