"""A real Prometheus and its promtool, out of tests.cluster.packages or the path.

Where there is none the tests are skipped by name; with CI=true they fail.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest

from tests.cluster.packages import PROMETHEUS, cache
from tests.scenarios.harness import eventually, free_address


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


class Prometheus:
    """A real one in `folder`, whose prometheus.yml the test wrote."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.address, self._held = free_address()

    def __enter__(self) -> Prometheus:
        command = [
            program("prometheus"), f"--config.file={self.folder}/prometheus.yml",
            f"--storage.tsdb.path={self.folder}/data", f"--web.listen-address={self.address}",
        ]  # fmt: skip
        with (self.folder / "prometheus.log").open("wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            eventually(self._ready, within=30, because="Prometheus is not ready")
        except BaseException as problem:
            self.__exit__()
            raise AssertionError(f"{problem}\n{(self.folder / 'prometheus.log').read_text()}") from None
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        self._held.close()

    def _ready(self) -> bool:
        assert self.process.poll() is None, "it ended"
        try:
            with urlopen(f"http://{self.address}/-/ready", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    def _get(self, path: str, asked: Mapping[str, str]) -> Any:
        """Raises ValueError with what Prometheus says against it."""
        try:
            with urlopen(f"http://{self.address}/api/v1/{path}?{urlencode(asked)}", timeout=30) as answer:
                return json.load(answer)["data"]
        except HTTPError as error:
            raise ValueError(json.load(error)["error"]) from None

    def query(self, expr: str) -> list[dict[str, Any]]:
        """The instant vector, now: a mapping with metric and value each."""
        found = self._get("query", {"query": expr})
        return (
            [{"metric": {}, "value": found["result"]}] if found["resultType"] == "scalar" else found["result"]
        )

    def series(self, selector: str) -> list[dict[str, str]]:
        """The labels of everything that was ever scraped and matches."""
        return self._get("series", {"match[]": selector})
