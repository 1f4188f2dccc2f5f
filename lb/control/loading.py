"""Reading the configuration for a start or a reload: the Spec, or all reasons why not.

Lives here: which findings stop a reload and which are only told. Must not live here: finding them
(lb.config).
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from lb.config import ConfigError, Problem, Spec, lint, read, sources
from lb.control.filewatch import Look, look

TESTS = "tests"  # whether they pass is for `lb check` to decide, before a file gets here


class Reading(NamedTuple):
    """A configuration that can be put in force. `warnings`: valid, and hardly meant. `seen`: its files as
    they were before they were read."""

    spec: Spec
    warnings: tuple[Problem, ...]
    seen: Look


def read_valid(path: Path) -> Reading:
    """Raises ConfigError with all problems, those that only a worker would find included."""
    seen = look(sources(path))
    loaded = read(path)
    findings = lint(loaded.spec, loaded.merged)
    fatal = [f for f in findings if f.severity == "error" and not f.path.startswith(TESTS)]
    if fatal:
        raise ConfigError(fatal)
    return Reading(loaded.spec, tuple(findings), seen)
