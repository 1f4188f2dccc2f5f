# ruff: noqa: E501 - tables of messages read better unbroken
"""The difference of two configurations, as an operator reads it."""

import pytest

from lb.config import diff, loads
from lb.config.diff import changes
from lb.config.restart import waits_for_restart

OLD = """
listeners: [{name: web, bind: ":80"}]
services:
  app: {servers: ["10.0.0.1:80", "10.0.0.2:80"]}
  old: ["10.0.0.9:80"]
routes:
  - {name: api, service: app, match: {path_prefix: /api}}
  - {name: rest, service: app}
"""


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        ("", "", []),
        ("service: app, match", "service: app, timeout: {response: 10s}, match", ["route api: timeout.response 30s → 10s"]),
        ('"10.0.0.2:80"]', '"10.0.0.2:80", {address: "10.0.0.3:80", weight: 2}]', ["service app: server 10.0.0.3:80 added (weight 2)"]),
        (', "10.0.0.2:80"]', "]", ["service app: server 10.0.0.2:80 removed"]),
        ('"10.0.0.2:80"]', '{address: "10.0.0.2:80", weight: 5}]', ["service app: server 10.0.0.2:80 weight 1 → 5"]),
        ('"10.0.0.1:80", "10.0.0.2:80"', '"10.0.0.2:80", "10.0.0.1:80"', ["service app: order of servers changed"]),
        ('  old: ["10.0.0.9:80"]', '  new: ["10.0.0.9:80"]', ["service old: removed", "service new: added"]),
        ("app: {servers", "app: {algorithm: ewma, servers", ["service app: algorithm.name round_robin → ewma"]),
        ("path_prefix: /api", "path: [/a, /b]", ["route api: match.path_prefix [/api] removed", "route api: match.path [/a, /b] added"]),
        ("{name: rest, service: app}", "{name: rest, split: [{service: app, weight: 1}]}",
         ["route rest: service app removed", "route rest: split [{service: app, weight: 1}] added"]),
        ("{name: rest, service: app}", "{name: rest, service: app, request_headers: {set: {x-a: b}}}",
         ["route rest: request_headers {set: {x-a: b}} added"]),
        ('bind: ":80"', 'bind: ":81"', ["listener web: bind [0.0.0.0:80] → [0.0.0.0:81]"]),
        ('bind: ":80"', 'bind: ":80", limits: {max_body: 1MiB}', ["listener web: limits.max_body 0 → 1MiB"]),
        ("listeners:", "workers: 2\naccess_log: off\nlisteners:", ["workers auto → 2", "access_log {path: stdout, format: json, sample: 100%, slow: 1s, redact: {client: whole}} → off"]),
        ("listeners:", "admin: {bind: 127.0.0.1:1}\nshutdown_grace: 5m\nlisteners:",
         ["shutdown_grace 30s → 5m", "admin.bind 127.0.0.1:9900 → 127.0.0.1:1"]),
        ("listeners:", "state_dir: /tmp/a\nevents: {webhook: http://a/}\nlisteners:",
         ["state_dir /tmp/a added", "events {webhook: http://a/} added"]),
        ('"10.0.0.2:80"]', '"10.0.0.2:80", {address: "10.0.0.3:80", priority: 1}, {address: "10.0.0.4:80", backup: true}]',
         ["service app: server 10.0.0.3:80 added (priority 1)", "service app: server 10.0.0.4:80 added (backup true)"]),
        ("app: {servers", "app: {panic_threshold: 40%, slow_start: 30s, servers",
         ["service app: slow_start 0 → 30s", "service app: panic_threshold 0 → 40%"]),
        ("app: {servers", "app: {health_check: {tcp: true}, servers",
         ["service app: health_check {tcp: true, interval: 5s, jitter: 10%, timeout: 2s, rise: 2, fall: 3, initial: up} added"]),
        ("{name: rest, service: app}", "{name: rest, service: app, retry: {budget: 5%, hedge: 100ms}}",
         ["route rest: retry.budget 20% → 5%", "route rest: retry.hedge 0 → 100ms"]),
        ("{name: rest, service: app}", "{name: rest, service: app, mirror: {service: old, share: 1%}}",
         ["route rest: mirror {service: old, share: 1%, compare: {status: true, headers: [content-type], body: true}, max_body: 64KiB} added"]),
        ("routes:", "tests: [{request: GET http://a/, expect: {route: rest}}]\nroutes:", ["tests: changed (0 → 1)"]),
    ],
)  # fmt: skip
def test_one_change(old, new, lines):
    assert diff(loads(OLD), loads(OLD.replace(old, new, 1))) == lines


def test_order_of_routes():
    lines = OLD.strip().split("\n")
    lines[-1], lines[-2] = lines[-2], lines[-1]
    assert diff(loads(OLD), loads("\n".join(lines))) == ["routes: order changed"]


def test_shares_of_a_split():
    text = OLD.replace(
        "{name: rest, service: app}",
        "{name: rest, split: [{service: app, weight: 9}, {service: old, weight: 1}]}",
    )
    assert diff(loads(text), loads(text.replace("weight: 9", "weight: 5"))) == [
        "route rest: share of app weight 9 → 5"
    ]


def test_the_text_of_a_secret_is_not_shown(tmp_path):
    (tmp_path / "t").write_text("one")
    text = OLD.replace(
        "service: app}", f"service: app, request_headers: {{set: {{x-a: {{file: {tmp_path}/t}}}}}}}}"
    )
    old = loads(text)
    (tmp_path / "t").write_text("two")
    assert diff(old, loads(text)) == ["route rest: a secret's text changed"]


def test_the_secret_of_sticky_sessions_is_not_shown(tmp_path):
    (tmp_path / "t").write_text("one" * 8)
    text = OLD.replace(
        "app: {servers", f"app: {{sticky: {{cookie: c, secret: {{file: {tmp_path}/t}}}}, servers"
    )
    old = loads(text)
    (tmp_path / "t").write_text("two" * 8)
    assert diff(old, loads(text)) == ["service app: a secret's text changed"]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('"10.0.0.2:80"]', '{address: "10.0.0.2:80", weight: 5}]',
         ("changed", ("services", "app", "servers", "10.0.0.2:80", "weight"), 1, 5, False)),
        (', "10.0.0.2:80"]', "]",
         ("removed", ("services", "app", "servers", "10.0.0.2:80"), {"address": "10.0.0.2:80", "weight": 1, "backup": False, "priority": 0}, None, False)),
        ('bind: ":80"', 'bind: ":81"', ("changed", ("listeners", "web", "bind"), ["0.0.0.0:80"], ["0.0.0.0:81"], False)),
        ("listeners:", "workers: 2\nlisteners:", ("changed", ("workers",), "auto", 2, True)),
        ("listeners:", "workers: 3\nlisteners:", ("changed", ("workers",), "auto", 3, False)),
        ("listeners:", "admin: {bind: 127.0.0.1:1}\nlisteners:", ("changed", ("admin", "bind"), "127.0.0.1:9900", "127.0.0.1:1", True)),
        ("listeners:", "admin: off\nlisteners:", ("changed", ("admin",), {"bind": "127.0.0.1:9900"}, "off", True)),
        ("listeners:", "state_dir: /tmp/a\nlisteners:", ("added", ("state_dir",), None, "/tmp/a", True)),
        ("listeners:", "shutdown_grace: 5m\nlisteners:", ("changed", ("shutdown_grace",), "30s", "5m", False)),
    ],
)  # fmt: skip
def test_one_change_for_programs(old, new, expected):
    (change,) = changes(loads(OLD), loads(OLD.replace(old, new, 1)), auto=3)
    assert (change.kind, change.path, change.before, change.after, change.restart) == expected


@pytest.mark.parametrize(
    ("added", "key"),
    [
        ("workers: 2", ("workers",)), ("state_dir: /tmp/a", ("state_dir",)), ("admin: off", ("admin", "bind")),
        ("admin: {bind: 127.0.0.1:1}", ("admin", "bind")), ("cluster: {}", ("cluster",)),
    ],
)  # fmt: skip
def test_what_a_plan_marks_is_what_a_reload_says(added, key):
    old, new = loads(OLD), loads(f"{added}\n{OLD}")
    assert list(waits_for_restart(old, new, auto=3)) == [key]
    assert [change.restart for change in changes(old, new, auto=3)] == [True]
    assert waits_for_restart(new, new) == {}
