"""The section `decisions`: what is refused, what a worker gets."""

from __future__ import annotations

import pytest

from lb.config import resolved
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
        ("debug_key: in-the-open-in-the-open", "decisions.debug_key", "write it to a file"),
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


def test_a_debug_key_is_read_from_a_file_and_shown_nowhere(tmp_path):
    path = tmp_path / "key"
    path.write_text("k" * 32 + "\n")
    spec = loads(BASE + f"decisions: {{debug_key: {{file: {path}}}}}\n")
    assert decisions_plan(spec.decisions).debug_key == "k" * 32
    assert "kkkk" not in resolved(spec) + repr(spec) and str(path) in resolved(spec)
