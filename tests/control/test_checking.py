"""Checks of a Spec: what they need is looked at before anything changes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lb.config import load
from lb.control.checking import lacking_of
from lb.health import grpc

CONFIG = """
listeners: [":80"]
services: {app: {servers: ["a:1"], health_check: {grpc: ""}}}
routes: {"/": app}
"""


def test_a_grpc_check_without_its_package_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "lb.yaml"
    file.write_text(CONFIG)
    spec = load(file)
    assert lacking_of(spec) is None
    for package in ("grpc", "grpc.aio"):
        monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed
    grpc._library.cache_clear()
    said = lacking_of(spec)
    grpc._library.cache_clear()
    assert said is not None and said.startswith("services.app.health_check: ") and "grpc" in said
