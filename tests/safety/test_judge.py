"""Every rule of the judge finds a history that breaks it, and nothing in one that does not."""

from __future__ import annotations

import asyncio

import pytest

from tests.cluster.checker import Published
from tests.safety import judge
from tests.safety.judge import judged, last_publication, lies

A, B = Published(1, 1, "a"), Published(2, 1, "b")


def line(what, one, **more):
    return {"what": what, **one._asdict(), **more}


class Silent:
    """A node that writes `lines` down; with `keeps`, what it is asked to publish too."""

    def __init__(self, name, *lines, keeps=None):
        self.name, self.lines, self.keeps, self.lives = name, list(lines), keeps, True

    def heard(self):
        return self.lines

    def order(self, words):
        if self.keeps is not None:
            self.lines += [line("promised", self.keeps, number=int(words.split()[1]))]

    async def kill(self):
        self.lives = False

    def pause(self, on): ...
    def trouble(self): ...
    def late(self, until): ...


class Ended:
    """A run whose faults are over."""

    def __init__(self, *nodes):
        self.nodes, self.healed, self.first = nodes, 0.2, {}
        self.faults = {"kill-for-good": 0}

    def leader(self):
        return self.nodes[0]

    async def until(self, condition, within):
        await asyncio.sleep(within if not condition() else 0)
        return condition()


def test_what_is_told_truly_is_no_lie():
    lines = [line("tried", B), line("accepted", B), line("promised", B, number=7), line("refused", A)]
    assert lies([A, B], {"x": lines, "y": []}) == []


@pytest.mark.parametrize(
    ("said", "told", "words"),
    [
        ([A], line("accepted", B), "was accepted; the store has None"),
        ([A, B], line("accepted", B._replace(digest="other")), "was accepted; the store has Published"),
        ([A, B], line("accepted", B._replace(epoch=2)), "was accepted; the store has Published"),
        ([A], line("promised", B, number=7), "revision 2 was promised by x, and is not there"),
        ([A, B], line("promised", B._replace(digest="other"), number=7), "not the document that x was"),
        ([A], {"what": "bug", "text": "KeyError(1)"}, "x: KeyError(1)"),
    ],
)
def test_a_lie_is_found(said, told, words):
    (found,) = lies(said, {"x": [told], "y": []})
    assert words in found


def test_that_nobody_could_publish_is_found():
    found = asyncio.run(last_publication(Ended(), [Silent("x"), Silent("y")]))
    assert len(found) == 1 and "nobody could publish within 0.2s" in found[0]
    assert asyncio.run(last_publication(Ended(), [Silent("x", keeps=B), Silent("y", keeps=B)])) == []


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([line("applied", A), line("applied", B)], None),
        ([line("applied", A)], "y ended at"),
        ([line("applied", B), line("applied", A), line("applied", B)], "y went back"),
        ([line("applied", B._replace(digest="other")), line("applied", B)], "never accepted"),
        ([line("accepted", B._replace(digest="other")), line("applied", B)], "was accepted; the store has"),
        ([line("applied", A._replace(revision=1)), line("applied", B)], None),
    ],
)
def test_the_verdict_has_the_rules_of_both(lines, words, monkeypatch):
    """`y` lives, `x` is the leader that is killed for good: it need not reach the end."""

    async def stored(run):
        return [A, B]

    monkeypatch.setattr(judge, "stored", stored)
    monkeypatch.setattr(judge, "SILENT", 0.0)
    found = asyncio.run(judged(Ended(Silent("x"), Silent("y", *lines, keeps=B))))
    assert bool(found) == bool(words) and all(words in one for one in found), found


def test_who_ran_what_is_for_another_first_is_found(monkeypatch):
    async def stored(run):
        run.first = {1: ["x"]}
        return [A, B]

    monkeypatch.setattr(judge, "stored", stored)
    y = Silent("y", line("applied", A), line("applied", B), keeps=B)
    (found,) = asyncio.run(judged(Ended(Silent("x"), y)))
    assert "y ran" in found and "which is for x" in found
