"""`lb plan`: changes, hidden routes, and requests that go elsewhere."""

from __future__ import annotations

import json

import pytest

from lb.cli.plan import plan

OLD = """
listeners: [{name: web, bind: ":80"}]
services: {app: ["10.0.0.1:80"], next: ["10.0.0.2:80"]}
routes:
  - {name: api, match: {path_prefix: /api}, service: app}
  - {name: beta, match: {path_prefix: /, header: {x-beta: "1"}}, service: next}
  - {name: rest, service: app}
"""


@pytest.fixture
def asked(tmp_path, capsys):
    def ask(new, lines=()):
        (tmp_path / "old.yaml").write_text(OLD)
        (tmp_path / "new.yaml").write_text(new)
        (tmp_path / "log").write_text("".join(f"{line}\n" for line in lines))
        code = plan(tmp_path / "new.yaml", tmp_path / "old.yaml", "", tmp_path / "log", 100, True)
        return code, json.loads(capsys.readouterr().out)

    return ask


def line(target):
    return json.dumps(
        {"method": "GET", "host": "x", "target": target, "listener": "web", "client": "10.0.0.9"}
    )


def test_nothing_changes(asked):
    code, found = asked(OLD, [line("/api/1")])
    assert code == 0
    assert (found["changes"], found["replay"]["moved"], found["replay"]["requests"]) == ([], 0, 1)


def test_requests_that_go_elsewhere_and_lines_that_cannot_be_read(asked):
    new = OLD.replace("path_prefix: /api}, service: app", "path_prefix: /api}, service: next")
    code, found = asked(new, [line("/api/1"), line("/api/2"), line("/"), "no json", line("bad target")])
    assert code == 7
    assert found["changes"] == ["route api: service app → next"]
    replayed = found["replay"]
    assert (replayed["moved"], replayed["requests"], replayed["bad_lines"]) == (2, 3, 2)
    assert replayed["by"] == [{
        "requests": 2, "from": {"route": "api", "service": "app"}, "to": {"route": "api", "service": "next"},
        "example": "GET x/api/1",
    }]  # fmt: skip
    assert replayed["uncertain"] == 3


def test_a_route_that_can_never_win_any_more(asked):
    new = OLD.replace(
        "name: rest", "name: all, priority: 1, match: {path_prefix: /api}, service: app}\n  - {name: rest"
    )
    assert asked(new)[1]["unreachable"] == ["api"]
