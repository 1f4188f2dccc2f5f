"""Tails: what the workers are told, what each is shown, and its rate."""

from __future__ import annotations

from msgspec.structs import replace

from lb.control.tails import MOST, Tails
from lb.telemetry.condition import Condition, read_condition
from tests.control.test_kept import BASE


class Looking:
    def __init__(self):
        self.told = []
        self.now = 0.0
        self.tails = Tails(2, self.told.append, lambda: self.now)
        self.got = []

    def open(self, words="", rate=10):
        return self.tails.open(
            read_condition(words), rate, lambda shown, more: self.got.append((shown, more))
        )


def test_the_workers_hear_of_every_change():
    looking = Looking()
    close = looking.open("failed", 3)
    assert [(one.id, one.condition, one.rate) for one in looking.told[-1]] == [
        (1, Condition(failed="any"), 2)
    ]
    looking.open()
    assert [one.id for one in looking.told[-1]] == [1, 2]
    close()
    close()
    assert [one.id for one in looking.told[-1]] == [2] and len(looking.told) == 3


def test_each_is_shown_its_own_up_to_its_rate():
    looking = Looking()
    looking.open("", 2)
    one, other = replace(BASE, tails=(1,)), replace(BASE, tails=(7,))
    looking.tails.take([one, other, one, one], {1: 4})
    assert looking.got == [([one, one], 5)]
    looking.tails.take([one], {})
    assert looking.got[1:] == [([], 1)]
    looking.now = 1.0
    looking.tails.take([one], {})
    looking.tails.take([other], {7: 1})
    assert looking.got[2:] == [([one], 0)]


def test_there_are_not_too_many():
    looking = Looking()
    closes = [looking.open() for _ in range(MOST)]
    assert all(closes) and looking.open() is None
    closes[0]()
    assert looking.open() is not None
