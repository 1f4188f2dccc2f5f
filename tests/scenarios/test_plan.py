"""`lb plan` against a running lb, with the log that it wrote itself; and what that log says of attempts."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .harness import Origin, Scenario, eventually

ROOT = Path(__file__).resolve().parents[2]
CONFIG = """
listeners: [{name: web, bind: "$web"}]
services: {app: ["$a"], half: ["$closed", {address: "$a", backup: true}]}
routes:
  - {name: half, match: {path_prefix: /half}, service: half}
  - {name: api, match: {path_prefix: /api}, service: app}
  - {name: rest, match: {path_prefix: /}, service: app, request_headers: {set: {x-key: {file: "$dir/key"}}}}
"""


@pytest.fixture(scope="module")
def s() -> Iterator[Scenario]:
    scenario = Scenario(CONFIG, a=Origin())
    (scenario.directory / "key").write_text("a secret text")
    with scenario:
        for target in ("/api/1", "/api/2", "/", "/half"):
            assert scenario.get(target).status == 200
        eventually(lambda: scenario.log.read_text().count("\n") == 4, because="4 lines")
        yield scenario


def planned(s: Scenario, config: str, *words: str) -> subprocess.CompletedProcess[str]:
    new = s.directory / "next.yaml"
    new.write_text(s.render(config))
    return subprocess.run(
        [sys.executable, "-m", "lb", "plan", str(new), "--admin", f"http://{s.names['admin']}", *words],
        capture_output=True, text=True, timeout=30, check=False, cwd=ROOT,
    )  # fmt: skip


def test_the_running_file_changes_nothing(s: Scenario) -> None:
    said = planned(s, CONFIG)
    assert (said.returncode, said.stderr) == (0, "")
    assert said.stdout == "  nothing changes in the configuration\n0 of 4 requests change service\n"


def test_another_one_says_what_its_own_log_would_see(s: Scenario) -> None:
    new = CONFIG.replace("path_prefix: /api}, service: app", "path_prefix: /api}, service: half")
    said = planned(s, new, "--json")
    found = json.loads(said.stdout)
    assert said.returncode == 7
    assert [change["line"] for change in found["changes"]] == ["route api: service app → half"]
    replayed = found["replay"]
    assert (replayed["requests"], replayed["change_service"], replayed["bad_lines"]) == (4, 2, 0)
    assert replayed["by"][0]["example"] == "GET example.test/api/1"


def test_as_many_workers_as_auto_means_there_need_no_restart() -> None:
    scenario = Scenario("workers: auto\n" + CONFIG, a=Origin())
    (scenario.directory / "key").write_text("a secret text")
    with scenario as s:
        count = len(s.lb.workers())
        for wanted, mark in ((count, ""), (count + 1, "  (after a restart of lb)")):
            said = planned(s, f"workers: {wanted}\n" + CONFIG).stdout
            assert said.startswith(f"  workers auto → {wanted}{mark}\n"), said
