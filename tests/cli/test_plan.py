"""`lb plan`: changes, hidden routes, and requests that go elsewhere."""

from __future__ import annotations

import gzip
import io
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from lb.cli.plan import plan

ROOT = Path(__file__).resolve().parents[2]

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
    def ask(new, lines=(), old=OLD, log=None):
        (tmp_path / "old.yaml").write_text(old)
        (tmp_path / "new.yaml").write_text(new)
        (tmp_path / "log").write_text("".join(f"{line}\n" for line in lines))
        code = plan(
            tmp_path / "new.yaml", tmp_path / "old.yaml", "", Path(log or tmp_path / "log"), 100, True
        )
        return code, json.loads(capsys.readouterr().out)

    return ask


def line(target):
    return json.dumps(
        {"method": "GET", "host": "x", "target": target, "listener": "web", "client": "10.0.0.9"}
    )


def test_nothing_changes(asked):
    code, found = asked(OLD, [line("/api/1")])
    assert code == 0
    assert (found["changes"], found["replay"]["by"], found["replay"]["requests"]) == ([], [], 1)


def test_requests_that_go_elsewhere_and_lines_that_cannot_be_read(asked):
    new = OLD.replace("path_prefix: /api}, service: app", "path_prefix: /api}, service: next")
    code, found = asked(new, [line("/api/1"), line("/api/2"), line("/"), "no json", line("bad target")])
    assert code == 7
    assert found["changes"] == [{
        "kind": "changed", "path": ["routes", "api", "service"], "before": "app", "after": "next",
        "in_force_after": "reload", "line": "route api: service app → next",
    }]  # fmt: skip
    replayed = found["replay"]
    assert (replayed["change_service"], replayed["requests"], replayed["bad_lines"]) == (2, 3, 2)
    assert replayed["by"] == [{
        "requests": 2, "from": {"route": "api", "service": "app"}, "to": {"route": "api", "service": "next"},
        "example": "GET x/api/1",
    }]  # fmt: skip
    assert (replayed["uncertain"], replayed["uncertain_by"]) == (3, [{"route": "beta", "requests": 3}])


def test_what_people_read(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2})
    (tmp_path / "old.yaml").write_text(OLD)
    new = OLD.replace("path_prefix: /api}, service: app", "path_prefix: /api}, service: next")
    (tmp_path / "new.yaml").write_text("workers: 2\n" + new.replace("name: rest", "name: other"))
    (tmp_path / "log").write_text("".join(f"{line(f'/api/{n}')}\n" for n in range(1200)) + f"{line('/')}\n")
    assert plan(tmp_path / "new.yaml", tmp_path / "old.yaml", "", tmp_path / "log", 5000, False) == 7
    said = capsys.readouterr()
    assert "  workers auto → 2  (after a restart of lb)\n" in said.out, "of the three that run"
    assert "\n1,200 of 1,201 requests change service\n1 more match another route to the same" in said.out
    assert "    1,200  api → app  becomes  api → next  such as GET x/api/0\n" in said.out
    assert "1,201 depend on headers or cookies, which the log does not have:\n" in said.out
    assert "    1,201  may be for route beta\n" in said.out and not said.err, "no bar where no terminal is"


def test_a_redirect_that_leads_elsewhere_changes_service(asked):
    old, new = (
        OLD.replace("path_prefix: /api}, service: app", f"path_prefix: /api}}, redirect: {{to: /{to}}}")
        for to in "ab"
    )
    assert asked(new, [line("/api/1")], old)[1]["replay"]["by"][0]["to"] == {
        "route": "api", "service": "redirect 308 to /b"
    }  # fmt: skip


def test_a_route_that_can_never_win_any_more_and_what_hides_it(asked):
    new = OLD.replace(
        "name: rest", "name: all, priority: 1, match: {path_prefix: /api}, service: app}\n  - {name: rest"
    )
    assert asked(new)[1]["unreachable"] == [{"route": "api", "by": ["all"]}]


def test_lines_of_a_sample_are_told(asked):
    sampled = line("/")[:-1] + ', "sample": 0.1}'
    assert asked(OLD, [line("/"), sampled])[1]["replay"]["sampled_lines"] == 1


def test_a_log_from_stdin(asked, monkeypatch):
    text = f"{line('/1')}\n{line('/2')}\n".encode()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(text)))
    assert asked(OLD, log="-")[1]["replay"]["requests"] == 2


@pytest.mark.parametrize("content", [None, gzip.compress(b"{}\n", mtime=0)], ids=["missing", "gzip"])
def test_a_log_that_cannot_be_read_says_why(tmp_path, capsys, content):
    (tmp_path / "old.yaml").write_text(OLD)
    if content is not None:
        (tmp_path / "log").write_bytes(content)
    assert plan(tmp_path / "old.yaml", tmp_path / "old.yaml", "", tmp_path / "log", 9, True) == 2
    why = "is compressed: gzip -dc" if content is not None else "No such file or directory"
    assert f"the access log {tmp_path}/log: {why}" in capsys.readouterr().err


def test_a_configured_log_that_is_elsewhere_is_no_error(tmp_path, capsys):
    (tmp_path / "old.yaml").write_text(f"access_log: {{path: {tmp_path}/elsewhere}}{OLD}")
    assert plan(tmp_path / "old.yaml", tmp_path / "old.yaml", "", None, 9, False) == 0
    assert "no requests were replayed: the configured access log" in capsys.readouterr().out


@pytest.fixture
def files(tmp_path):
    (tmp_path / "old.yaml").write_text(OLD)
    (tmp_path / "bad.yaml").write_text("nothing: 1\n")
    (tmp_path / "log").write_text(f"{line('/api/1')}\n")
    moved = OLD.replace("path_prefix: /api}, service: app", "path_prefix: /api}, service: next")
    (tmp_path / "new.yaml").write_text(moved)
    return tmp_path


def command(*words):
    return [sys.executable, "-m", "lb", "plan", *words]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("old.yaml", "--against", "old.yaml", "--log", "log"), 0, "nothing changes"),
        (("bad.yaml", "--against", "old.yaml"), 1, "bad.yaml:1:1"),
        (("old.yaml", "--against", "bad.yaml"), 1, "bad.yaml:1:1"),
        (("old.yaml", "--against", "old.yaml", "--log", "none"), 2, "the access log none: No such file"),
        (("old.yaml", "--against", "old.yaml", "--last", "0"), 2, "--last"),
        (("old.yaml", "--admin", "127.0.0.1:9900"), 2, "write it like http://127.0.0.1:9900"),
        (("old.yaml", "--admin", "http://127.0.0.1:1"), 4, "http://127.0.0.1:1 does not answer"),
        (("new.yaml", "--against", "old.yaml", "--log", "log"), 7, "1 of 1 requests change service"),
    ],
)
def test_exit_codes(files, words, code, said):
    ended = subprocess.run(
        command(*words), cwd=files, capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert (ended.returncode, said in ended.stdout + ended.stderr) == (code, True), ended
    assert f"\n| {code} | " in (ROOT / "docs" / "plan.md").read_text()


def test_a_terminal_sees_how_far_it_is_and_nothing_of_it_at_the_end(files):
    """On a log that takes some seconds."""
    count = 150_000
    (files / "log").write_text(f"{line('/api/1')}\n" * count)
    ours, theirs = pty.openpty()
    words = ("new.yaml", "--against", "old.yaml", "--log", "log", "--last", str(count))
    with subprocess.Popen(
        command(*words), cwd=files, stdout=subprocess.PIPE, stderr=theirs,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as ran:  # fmt: skip
        os.close(theirs)
        seen = b""
        try:
            while piece := os.read(ours, 4096):
                seen += piece
        except OSError:  # EIO: nobody holds the other end any more
            pass
        os.close(ours)
        assert ran.stdout is not None
        said = ran.stdout.read().decode()
        assert ran.wait(60) == 7
    assert f"{count:,} of {count:,} requests change service\n" in said and "\x1b" not in said
    shown = seen.decode()
    shares = [int(share) for share in re.findall(r"\r█*░* +(\d+)%", shown)]
    assert len(set(shares)) > 3 and shares == sorted(shares) and shares[-1] > 90, shown[-200:]
    assert all(len(bar) == 30 for bar in re.findall(r"\r([█░]+)", shown))
    assert shown.endswith("\r\x1b[K"), "the last of it is wiped away"
