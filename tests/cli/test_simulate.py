"""`lb simulate`: what is asked, what is answered, what is refused."""

from __future__ import annotations

import io
import json
import sys

import pytest
from typer.testing import CliRunner

from lb.cli.main import app
from lb.cli.progress import Bar
from lb.cli.simulated import time

FILE = """
listeners: [{name: web, bind: ":80"}]
services: {app: ["10.0.0.1:80", "10.0.0.2:80", "[::1]:80"], next: ["10.0.0.4:80"]}
routes: [{name: rest, service: app}]
"""
QUICK = ("--service", "app", "--rate", "200", "--seconds", "2")


@pytest.fixture
def asked(tmp_path):
    (tmp_path / "lb.yaml").write_text(FILE)

    def ask(*words):
        return CliRunner().invoke(app, ["simulate", str(tmp_path / "lb.yaml"), *words])

    return ask


def test_tables_json_and_picture(asked, tmp_path):
    ended = asked(*QUICK, "--slow", "[::1]:80=5x", "--fail", "10.0.0.1:80@1s")
    assert ended.exit_code == 0, ended.output
    for text in ("round_robin", "least_connections", "ewma", "[::1]:80", "a second"):
        assert text in ended.stdout
    wishes = (*QUICK, "--algorithm", "random, first", "--json", "--picture", str(tmp_path / "out.svg"))
    first, second = asked(*wishes), asked(*wishes)
    assert first.stdout == second.stdout
    found = json.loads(first.stdout)
    assert [one["algorithm"] for one in found["algorithms"]] == ["random", "first"]
    assert [server["share"] for server in found["algorithms"][1]["servers"]] == [1.0, 0.0, 0.0]
    assert (found["requests"], found["seed"], found["log"]) == (pytest.approx(400, abs=80), 1, None)
    assert "requests in" in first.stderr and "a second" in first.stderr
    assert (tmp_path / "out.svg").read_text().startswith("<svg ")
    assert asked(*wishes, "--seed", "2").stdout != first.stdout


def test_what_is_simulated_of_a_server_is_said(asked, tmp_path):
    picture = tmp_path / "out.svg"
    wishes = (*QUICK, "--slow", "[::1]:80=5x", "--fail", "10.0.0.1:80@1.5s", "--picture", str(picture))
    shown = asked(*wishes).stdout
    for said in ("[::1]:80 takes 5 times as long", "10.0.0.1:80 fails from 1.5 s on"):
        assert said in shown and said in picture.read_text()
    found = json.loads(asked(*wishes, "--json").stdout)
    assert found["conditions"] == {
        "[::1]:80": {"slow": 5.0, "fails": None}, "10.0.0.1:80": {"slow": 1.0, "fails": 1.5},
    }  # fmt: skip
    assert f"{found['algorithms'][0]['failed']:.2%} failed" in picture.read_text()


def test_a_picture_that_cannot_be_written_costs_no_answer(asked):
    ended = asked(*QUICK, "--picture", "/nonexistent/out.svg")
    assert ended.exit_code == 2 and "least_connections" in ended.stdout


def test_a_log(asked, tmp_path):
    log = tmp_path / "log"
    entry = {"service": "app", "duration": 0.1, "method": "GET", "host": "x", "target": "/", "sample": 0.5}
    lines = [json.dumps({"time": f"2026-01-01T00:00:0{at}Z", **entry}) for at in range(9)]
    log.write_text("\n".join([*lines, "no line"]))
    ended = asked("--service", "app", "--log", str(log), "--json")
    assert ended.exit_code == 0, ended.output
    found = json.loads(ended.stdout)
    assert (found["requests"], found["seconds"]) == (9, pytest.approx(8))
    assert found["log"] == {"bad_lines": 1, "other_services": 0, "sampled_lines": 9}
    shown = asked("--service", "app", "--log", str(log)).stdout
    assert "1 lines could not be read" in shown and "9 lines are samples" in shown
    refused = asked("--service", "app", "--log", str(log), "--rate", "5", "--constant")
    assert refused.exit_code == 2 and "leave out --rate and --constant" in refused.stderr


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--service", "nope"), "there is no service nope; there are: app, next"),
        ((), "say which service is meant with --service"),
        ((*QUICK, "--algorithm", "fastest"), "'fastest' is not known: use one of"),
        ((*QUICK, "--algorithm", "ewma,ewma"), "write different names"),
        ((*QUICK, "--algorithm", "ewma,"), "write different names"),
        ((*QUICK, "--slow", "10.0.0.1:80"), "write it like 10.0.0.1:8080=5x"),
        ((*QUICK, "--slow", "10.0.0.9:80=5x"), "no server 10.0.0.9:80; there are: 10.0.0.1:80"),
        ((*QUICK, "--slow", "10.0.0.1:80=0x"), "such as 5x"),
        ((*QUICK, "--slow", "10.0.0.1:80=fast"), "such as 5x"),
        ((*QUICK, "--fail", "10.0.0.1:80@soon"), "a time such as 10ms"),
        ((*QUICK, "--service-time", "0s"), "found 0"),
        ((*QUICK, "--service-time", "48000000s"), "a day at most"),
        (("--service", "app", "--rate", "nan"), "--rate"),
        (("--service", "app", "--rate", "1e6", "--seconds", "3600"), "ask for fewer"),
        (("--service", "app", "--log", "/nonexistent/log"), "/nonexistent/log: No such file"),
        ((*QUICK, "--picture", "/nonexistent/out.svg"), "/nonexistent/out.svg: No such file"),
        ((*QUICK, "--picture", "out.png"), "found out.png; the picture is SVG"),
        ((*QUICK, "--rate", "0"), "--rate"),
    ],
)
def test_what_is_refused(asked, words, sentence):
    ended = asked(*words)
    assert ended.exit_code == 2, ended.output
    assert sentence in ended.stderr


def test_a_file_with_problems_is_exit_1(tmp_path):
    (tmp_path / "lb.yaml").write_text("services: 5")
    ended = CliRunner().invoke(app, ["simulate", str(tmp_path / "lb.yaml")])
    assert ended.exit_code == 1 and "lb.yaml:1" in ended.stderr


def test_progress_is_for_terminals(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr("lb.cli.progress._QUIET", 0.0)
    for stream, shown in ((Terminal(), True), (io.StringIO(), False)):
        monkeypatch.setattr(sys, "stderr", stream)
        bar = Bar(200)
        bar.base = 100
        bar.tell(50)
        bar.end()
        assert ("75%" in stream.getvalue()) is shown


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "–"), (0.0, "0 µs"), (5e-5, "50 µs"), (0.0123, "12.3 ms"), (0.9999, "1 s"), (5000, "5,000 s")],
)
def test_times_for_people(seconds, text):
    assert time(seconds) == text
