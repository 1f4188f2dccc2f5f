"""A rollout followed on a terminal, and in a log."""

import pytest

from lb.cli import rollout
from lb.cli.rollout import follow, trial

TRIED = {"revision": 2, "first": ["a"], "watch": 60.0, "watched": 12.4, "text": "5 requests"}


def status(revision, rollout=None, restores=0, author="lb", message="done"):
    published = {"revision": revision, "author": author, "message": message, "restores": restores}
    return {"published": published, "rollout": rollout}


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    monkeypatch.setattr(rollout.time, "sleep", lambda _: None)


def test_words():
    assert trial(TRIED) == "12s of 60s; 5 requests"
    assert trial({"watch": 60.0}) == "0s of 60s; nothing is known yet"


@pytest.mark.parametrize(("restores", "code"), [(2, 0), (1, 5), (0, 5)])
def test_its_end_is_told_and_decides_the_exit_code(capsys, restores, code):
    said = iter([status(2, TRIED), status(2, TRIED), status(2, None), status(3, None, restores)])
    assert follow(lambda: next(said), 2, 60.0) == code
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["12s of 60s; 5 requests", "revision 3 by lb: done"]


def test_who_waits_no_longer_is_told_that_it_goes_on(capsys):
    assert follow(lambda: status(2, TRIED), 2, 0.0) == 5
    assert "still tried, and goes on by itself" in capsys.readouterr().err


def test_a_terminal_gets_one_line_that_changes(capsys, monkeypatch):
    monkeypatch.setattr(rollout, "coloured", lambda _: True)
    said = iter([status(2, TRIED), status(2, {**TRIED, "watched": 13.0}), status(3, None, 2)])
    assert follow(lambda: next(said), 2, 60.0) == 0
    assert capsys.readouterr().out.count("\r\x1b[K") == 2
