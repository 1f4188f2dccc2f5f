"""Where things are: the checkout, what the benchmark builds and installs, where results go."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "bench"
RESULTS = SOURCES / "results"
BUILT = ROOT / ".bench"  # the venv of the benchmark and its two C programs; ignored by git
VENV = BUILT / "venv"
ORIGIN = BUILT / "origin"
LOAD = BUILT / "load"

PROXY_CORE = 0
OTHER_CORE = 1  # servers, load generator and this program
