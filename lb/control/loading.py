"""Reading the configuration for a start or a reload: the Spec, or all reasons why not.

Lives here: which findings stop a reload and which are only told. Must not live here: finding them
(lb.config).
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from lb.config import ConfigError, Problem, SharedText, Spec, lint, read, sources
from lb.control.filewatch import Look, look

TESTS = "tests"  # whether they pass is for `lb check` to decide, before a file gets here


class Reading(NamedTuple):
    """A configuration that can be put in force. `warnings`: valid, and hardly meant. `seen`: its files as
    they were before they were read."""

    spec: Spec
    warnings: tuple[Problem, ...]
    seen: Look


def read_valid(path: Path, shared: SharedText | None = None) -> Reading:
    """`shared`: what the cluster shares; then only what is this node's own is of `path`. Raises ConfigError
    with all problems, those that only a worker would find included."""
    seen = look(sources(path))
    loaded = read(path, shared=shared)
    findings = lint(loaded.spec, loaded.merged)
    fatal = [f for f in findings if f.severity == "error" and not f.path.startswith(TESTS)]
    if fatal:
        raise ConfigError(fatal)
    return Reading(loaded.spec, tuple(findings), seen)


def problems_of(path: Path, shared: SharedText) -> list[Problem]:
    """All that `lb check` would find wrong with this document, beside the own keys of `path`."""
    try:
        loaded = read(path, shared=shared)
    except ConfigError as error:
        return error.problems
    return [finding for finding in lint(loaded.spec, loaded.merged) if finding.severity == "error"]
