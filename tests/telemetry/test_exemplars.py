"""The last traced exchange of each route."""

import pytest

from lb.telemetry import exemplars as module
from lb.telemetry.exemplars import Exemplar, Exemplars

ONE, TWO = "a" * 32, "b" * 32


def test_the_last_is_kept_and_what_was_taken_stays():
    exemplars = Exemplars()
    exemplars.note("r", "s", 0.1, ONE, 1.0)
    taken = exemplars.taken()
    exemplars.note("r", "s", 0.2, TWO, 2.0)
    assert taken == {("r", "s"): Exemplar(ONE, 0.1, 1.0)}
    assert exemplars.taken() == {("r", "s"): Exemplar(TWO, 0.2, 2.0)}


@pytest.mark.parametrize("bad", ["", "A" * 32, "a" * 31, 'a"} 1\n' + "a" * 26, "a" * 33])
def test_only_trace_ids_are_kept(bad):
    exemplars = Exemplars()
    exemplars.note("r", "s", 0.1, bad, 1.0)
    assert not exemplars.taken()


def test_the_one_that_was_quiet_longest_is_forgotten(monkeypatch):
    monkeypatch.setattr(module, "MOST", 2)
    exemplars = Exemplars()
    for route in ("a", "b", "a", "c"):
        exemplars.note(route, "s", 0.1, ONE, 1.0)
    assert [route for route, _ in exemplars.taken()] == ["a", "c"]
