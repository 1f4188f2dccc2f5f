# ruff: noqa: E501 - tables of messages read better unbroken
"""Findings in valid configurations, and the configuration's own tests."""

from lb.config import lint, loads
from lb.config.document import parse
from lb.config.load import _loaded


def findings(text):
    loaded = _loaded([parse(text, "f", {})])
    return [(p.severity, str(p).removeprefix("f:")) for p in lint(loaded.spec, loaded.merged)]


def test_a_good_configuration_has_no_findings():
    assert findings("listeners: [':80']\nservices: {a: ['a:1']}\nroutes: {/: a}\n") == []


def test_unused_services_backups_only_and_no_routes():
    assert findings(
        "listeners: [':80']\nservices:\n  a: ['a:1']\n  b: {servers: [{address: 'b:1', backup: true}]}\n"
    ) == [
        ("warning", "1:1: there are no routes: every request gets 404"),
        ("warning", '3:3: services.a: no route uses the service "a"'),
        ("warning", '4:3: services.b: no route uses the service "b"'),
        ("warning", "4:3: services.b: all servers are backups: they serve every request"),
    ]


def test_a_hidden_route_is_named_with_what_hides_it():
    text = """
listeners: [":80"]
services: {a: ["a:1"]}
routes:
  - {name: all, service: a, priority: 1}
  - {name: one, service: a, match: {host: a.example, path: /x}}
"""
    assert findings(text) == [
        (
            "warning",
            '6:5: routes[one]: the route "one" can never win: "all" takes every request that it matches',
        )
    ]


def test_findings_without_places():
    spec = loads("listeners: [':80']\nservices: {a: ['a:1']}\nroutes: {}\n")
    assert [str(problem) for problem in lint(spec)] == [
        'services.a: no route uses the service "a"',
        "routes: there are no routes: every request gets 404",
    ]


CASES = """
listeners: [":80", {name: inner, bind: ":81"}]
services: {a: ["a:1"], b: ["b:1"], c: ["c:1"]}
routes:
  - {name: host, match: {host: A.example, path_prefix: /v1, header: {x-a: "1"}}, service: a}
  - {name: split, match: {host: a.example, query: {q: "ä b"}}, split: [{service: a, weight: 1}, {service: b, weight: 0}]}
  - {name: inner, match: {listener: inner}, service: c}
  - {name: office, match: {client_ip: 10.0.0.0/8, cookie: {c: "1"}}, respond: {}}
  - {name: late, match: {method: POST}, service: b, priority: -1}
tests:
"""


def test_tests_that_hold():
    cases = [
        '{request: "GET https://A.EXAMPLE:8443/v1", headers: {X-A: "1"}, expect: {route: host, service: a}}',
        '{request: "GET http://b.example/v1", headers: {host: a.example, x-a: "1"}, expect: {route: host}}',
        '{request: "GET http://a.example?q=%C3%A4+b#x", expect: {route: split, service: a}}',
        '{request: "GET http://b.example/", listener: inner, expect: {route: inner}}',
        '{request: "GET http://b.example/", client_ip: 10.1.1.1, headers: {cookie: "b=2; c=1"}, expect: {route: office}}',
        '{request: "GET http://b.example/", client_ip: 11.1.1.1, headers: {cookie: c=1}, expect: {route: null}}',
        '{request: "POST http://b.example/", expect: {route: late, service: b}}',
    ]
    assert findings(CASES + "".join(f"  - {case}\n" for case in cases)) == []


def test_tests_that_fail():
    cases = [
        '{request: "GET http://a.example/v1", headers: {x-a: "1"}, expect: {route: split}}',
        '{request: "GET http://a.example/v1", headers: {x-a: "1"}, expect: {route: host, service: b}}',
        '{request: "GET http://a.example/?q=%C3%A4+b", expect: {route: split, service: b}}',
        '{request: "GET http://c.example/", expect: {route: host}}',
        '{request: "POST http://c.example/", expect: {route: null}}',
        '{request: "GET http://c.example/", client_ip: 10.1.1.1, headers: {cookie: c=1}, expect: {route: office, service: a}}',
        '{request: "GET http://c.example/", headers: {host: "a b"}, expect: {route: host}}',
    ]
    assert findings(CASES + "".join(f"  - {case}\n" for case in cases)) == [
        ("error", f'{11 + line}:5: tests[{line}]: test failed: "{request}" {message}')
        for line, (request, message) in enumerate([
            ("GET http://a.example/v1", 'goes to route "host"; expected route "split"'),
            ("GET http://a.example/v1", 'goes to route "host" and service "a"; expected service "b"'),
            ("GET http://a.example/?q=%C3%A4+b", 'goes to route "split" and service "a"; expected service "b"'),
            ("GET http://c.example/", 'goes to no route (404); expected route "host"'),
            ("POST http://c.example/", 'goes to route "late"; expected no route (404)'),
            ("GET http://c.example/", 'goes to route "office" and no service; expected service "a"'),
            ("GET http://c.example/", "is no request that lb accepts: the request is malformed"),
        ])
    ]  # fmt: skip


def test_a_class_of_ones_own_that_is_not_there():
    text = "listeners: [':80']\nservices: {s: {algorithm: 'no.such.package:Mine', servers: ['a:1']}}\nroutes: {/: s}\n"
    ((severity, message),) = findings(text)
    assert severity == "error"
    assert message.startswith("2:27: services.s.algorithm: ")
    assert "no.such.package" in message


def doubts(service, route="service: s"):
    text = f"listeners: [':80']\nservices:\n  s: {{{service}}}\nroutes:\n  - {{name: r, {route}}}\n"
    return [message for severity, message in findings(text) if severity == "warning"]


TWO = "servers: ['a:1', 'b:1']"


def test_settings_of_services_without_effect():
    assert doubts("servers: ['a:1'], slow_start: 30s, outlier: {}") == [
        "3:37: services.s.slow_start: no effect: there is no other server to take the rest",
        "3:51: services.s.outlier: no effect: the only server is not ejected",
    ]
    assert doubts(f"{TWO}, outlier: {{success_rate: enforce}}") == [
        "3:56: services.s.outlier.success_rate: no effect: there are 2 servers, and min_servers is 3"
    ]
    assert doubts(f"{TWO}, outlier: {{}}, slow_start: 30s") == []


def test_checks_that_take_longer_than_their_interval():
    assert doubts(f"{TWO}, health_check: {{http: /, interval: 1s}}") == [
        "3:46: services.s.health_check: timeout (2s) is longer than interval (1s): a server that hangs is checked less often"
    ]
    assert doubts(f"{TWO}, health_check: {{http: /, interval_rising: 1s}}") == []


def test_a_command_that_is_not_there():
    assert doubts(f"{TWO}, health_check: {{command: [/no/such/program]}}") == [
        '3:56: services.s.health_check.command: there is no program "/no/such/program" here'
    ]


def test_time_outs_that_never_end_anything():
    assert doubts(TWO, "service: s, timeout: {attempt: 30s}") == [
        "5:46: routes[r].timeout.attempt: no effect: response ends the request first, after 30s"
    ]
    assert doubts(TWO, "service: s, timeout: {attempt: 5s, response: 0, total: 4s}") == [
        "5:46: routes[r].timeout.attempt: no effect: total ends the request first, after 4s"
    ]
    assert doubts(TWO, "service: s, timeout: {attempt: 5s}, retry: {hedge: 1m}") == [
        "5:66: routes[r].retry.hedge: no effect: timeout.response ends the request first, after 30s"
    ]


def test_what_may_be_carried_out_twice():
    assert doubts(TWO, "service: s, retry: {on: [connect, reset, 502, 503], methods: [GET, POST]}") == [
        "5:76: routes[r].retry.methods: POST may be carried out twice: after reset, 502 a server may have done it already"
    ]
    assert doubts(TWO, "service: s, retry: {on: [connect, 429, 503], methods: [GET, POST]}") == []
    assert doubts(TWO, "service: s, retry: {attempts: 0, on: [502], methods: [POST]}") == []


def test_a_mirror_of_itself_and_a_service_that_only_mirrors():
    assert doubts(TWO, "service: s, mirror: {service: s}") == [
        "5:45: routes[r].mirror.service: the route's own service: it gets the requests twice"
    ]
    assert (
        findings(
            "listeners: [':80']\nservices: {s: ['a:1'], t: ['b:1']}\n"
            "routes: [{name: r, service: s, mirror: {service: t}}]\n"
        )
        == []
    )
