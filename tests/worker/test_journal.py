"""lb's own log lines."""

from __future__ import annotations

import io
import logging
import re

import pytest

from lb.worker import journal
from lb.worker.journal import Journal, quoted


@pytest.fixture
def stream():
    root = logging.getLogger()
    before = root.handlers[:], root.level
    found = io.StringIO()
    journal.start("worker 1: ", found)
    yield found
    root.handlers[:], level = before
    root.setLevel(level)


def test_a_line_has_time_level_message_and_fields(stream):
    Journal("lb.test").warning("worker ended", worker=1, status="signal 9", path="/a=b")
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z warning worker 1: worker ended "
        r'worker=1 status="signal 9" path="/a=b"\n',
        stream.getvalue(),
    )


def test_a_bug_comes_with_its_traceback(stream):
    try:
        raise KeyError("x")
    except KeyError as error:
        Journal("lb.test").bug("cannot be", error, generation=3)
    first, *rest = stream.getvalue().splitlines()
    assert first.endswith("error worker 1: cannot be generation=3")
    assert rest[0].startswith("Traceback")
    assert rest[-1] == "KeyError: 'x'"


def test_a_percent_sign_is_only_a_percent_sign(stream):
    Journal("lb.test").note("100 %s done", path="%d")
    assert stream.getvalue().endswith("100 %s done path=%d\n")


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("plain", "plain"),
        ("", '""'),
        ("two words", '"two words"'),
        ('say "x"', r'"say \"x\""'),
        ("a\nb", r'"a\nb"'),
    ],
)
def test_values_stay_on_their_line(value, written):
    assert quoted(value) == written


def test_colours_only_on_a_terminal(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.delenv("NO_COLOR", raising=False)
    root = logging.getLogger()
    before = root.handlers[:], root.level
    try:
        terminal = Terminal()
        journal.start("", terminal)
        Journal("lb.test").error("red")
        assert "\x1b[31merror\x1b[0m red" in terminal.getvalue()
        monkeypatch.setenv("NO_COLOR", "1")
        plain = Terminal()
        journal.start("", plain)
        Journal("lb.test").error("not red")
        assert "\x1b" not in plain.getvalue()
    finally:
        root.handlers[:], level = before
        root.setLevel(level)
