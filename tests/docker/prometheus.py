"""A real Prometheus and its promtool, out of tests.cluster.packages or the path.

Where there is none the tests are skipped by name; with CI=true they fail.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.cluster.packages import PROMETHEUS, cache


def program(name: str) -> str:
    """The path of `prometheus` or `promtool`."""
    unpacked = cache(PROMETHEUS) / "usr/bin" / name
    if found := shutil.which(name) or (str(unpacked) if unpacked.exists() else None):
        return found
    missing = f"there is no {name} (python -m tests.cluster.packages)"
    if os.environ.get("CI") == "true":
        raise FileNotFoundError(missing)
    pytest.skip(missing)


def promtool(*words: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """What it says about `words`; the exit code says whether it found fault."""
    return subprocess.run(
        [program("promtool"), *map(str, words)],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
