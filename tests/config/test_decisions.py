"""The section `decisions`: what is refused, what a worker gets."""

from __future__ import annotations

import pytest

from lb.config.decisions import decisions_plan
from tests.config.conftest import BASE, loads, problems_of


@pytest.mark.parametrize(
    ("section", "place", "words"),
    [
        ("keep: 1KiB", "decisions.keep", "expected a size from 64KiB to 256MiB"),
        ("keep: 1GiB", "decisions.keep", "expected a size from 64KiB to 256MiB"),
        ("keep: 16", "decisions.keep", "without a unit"),
        ("sample: 0.1", "decisions.sample", "did you mean 10%?"),
        ("slow: 1", "decisions.slow", "1"),
        ("slo: 1s", "decisions.slo", "slow"),
    ],
)
def test_what_is_refused(section, place, words):
    (problem,) = problems_of(BASE + f"decisions: {{{section}}}\n")
    assert place in str(problem) and words in str(problem)


def test_what_a_worker_gets():
    spec = loads(BASE + "decisions: {slow: 0, sample: 50%, keep: 1MiB}\n")
    assert spec.decisions.keep == 1024 * 1024
    plan = decisions_plan(spec.decisions)
    assert (plan.slow, plan.sample, plan.debug_key) == (0.0, 0.5, "")
