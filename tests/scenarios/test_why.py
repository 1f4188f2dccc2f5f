"""What happened to a request, from the worker that served it to `lb why`."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import IO, Any

import pytest

from lb.telemetry.debugtoken import make

from .harness import Exchange, Origin, Scenario, eventually

ROOT = Path(__file__).resolve().parents[2]
KEY = "0123456789abcdef" * 2
CONFIG = """
workers: 1
access_log: {path: "$log", redact: {query: [token]}}
decisions: {slow: 300ms, sample: 0, debug_key: {file: "$dir/key"}}
listeners: [{name: web, bind: "$web"}]
services: {app: ["$a"], half: ["$closed", {address: "$a", backup: true}], none: ["$closed"]}
routes:
  - {name: half, match: {path_prefix: /half}, service: half}
  - {name: none, match: {path_prefix: /none}, service: none, retry: {attempts: 1}}
  - {name: all, match: {path_prefix: /}, service: app, retry: {attempts: 2, on: [503]}}
"""


def behave(x: Exchange) -> None:
    if x.target.endswith("/slow"):
        time.sleep(0.4)
    x.respond(x.head.raw, "503 Busy" if x.target == "/busy" else "200 OK")


@pytest.fixture(scope="module")
def s() -> Iterator[Scenario]:
    scenario = Scenario(CONFIG, a=Origin(behave), quiet=True)
    (scenario.directory / "key").write_text(KEY)
    with scenario:
        yield scenario


def why(s: Scenario, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lb", "why", *words, "--admin", f"http://{s.names['admin']}"],
        capture_output=True, text=True, timeout=30, check=False, cwd=ROOT,
    )  # fmt: skip


def happened(s: Scenario, target: str) -> dict[str, Any]:
    """To the only request of this target."""

    def find() -> dict[str, Any] | None:
        found = json.loads(s.lb.admin("GET", "/api/v1/requests")[1])["requests"]
        return next((one for one in found if one["target"].startswith(target)), None)

    found = eventually(find, within=5, because=f"nothing is kept of {target}")
    assert found is not None
    return found


def test_one_that_failed(s: Scenario) -> None:
    assert s.get("/none?token=s3cret&page=2", {"X-Request-Id": "failed-1"}).status == 502
    one = happened(s, "/none")
    assert (one["request_id"], one["outcome"], one["status"]) == ("failed-1", "connect_failed", 502)
    assert one["target"] == "/none?token=***&page=2", "what the access log hides"
    said = why(s, "failed-1")
    assert said.returncode == 0
    assert "GET example.test/none?token=***&page=2 got 502 after" in said.stdout
    assert "kept because it failed" in said.stdout and "route none, service none" in said.stdout
    assert "outcome SC: the server cannot be reached (stage connect, because of the server)" in said.stdout
    assert "attempt 1 at +" in said.stdout and s.names["closed"] in said.stdout
    listed = why(s, "--only", "failed route=none")
    assert "502 SC" in listed.stdout and "failed-1" in listed.stdout and len(listed.stdout.splitlines()) == 1


def test_one_that_was_tried_again_and_failed_in_the_end(s: Scenario) -> None:
    s.get("/busy", {"X-Request-Id": "busy-1"})
    one = happened(s, "/busy")
    assert [attempt["status"] for attempt in one["attempts"]] == [503, 503, 503]
    text = why(s, "busy-1").stdout
    assert "attempt 1 at +0.0ms" in text and "attempt 2 at +" in text and "answered 503" in text
    assert json.loads(why(s, "busy-1", "--json").stdout)["requests"] == [one]


def test_one_that_was_tried_again_and_slow(s: Scenario) -> None:
    assert s.get("/half/slow").status == 200
    one = happened(s, "/half/slow")
    assert one["kept"] == ["slow"] and one["duration"] >= 0.3
    assert [attempt["server"] for attempt in one["attempts"]] == [s.names["closed"], s.names["a"]]
    text = why(s, one["request_id"]).stdout
    assert "(a backup: no other server is eligible, or all were tried)" in text
    assert "gave no response" in text and "the server cannot be reached (SC)" in text
    assert "kept because it was slow" in text and "the last server's first byte came after" in text


def test_one_that_was_good_is_not_there_and_that_is_said(s: Scenario) -> None:
    numbers = count(1)

    def quick() -> str:  # a busy machine makes any request a slow one, which is kept
        began, name = time.monotonic(), f"good-{next(numbers)}"
        assert s.get("/good", {"X-Request-Id": name}).status == 200
        return name if time.monotonic() - began < 0.3 else ""

    name = eventually(quick)
    said = why(s, name)
    assert said.returncode == 2 and not said.stdout
    assert f"nothing is kept of a request '{name}'" in said.stderr
    assert "kept are failed ones, those of 0.3s or more" in said.stderr


def test_a_signed_header_has_it_in_the_response(s: Scenario) -> None:
    token = make(KEY, int(time.time()) + 60)
    answer = s.get("/debug", {"X-LB-Debug": token, "X-Request-Id": "debug-1"})
    assert (answer.get("X-LB-Route"), answer.get("X-LB-Server")) == ("all", s.names["a"]), answer
    assert token.encode() not in answer.body and b"debug-1" in answer.body, "a token is for lb alone"
    assert "kept because a signed header asked for it" in eventually(lambda: why(s, "debug-1").stdout)
    answer = s.get("/debug", {"X-LB-Debug": make("another key, not ours", int(time.time()) + 60)})
    assert answer.status == 200 and answer.get("X-LB-Route") is None


@pytest.mark.parametrize("name", ["X-LB-Debug", "x-lb_debug", "X_LB_DEBUG"])
def test_no_server_gets_a_token(s: Scenario, name: str) -> None:
    """Not one that does not hold either, nor under a spelling that a server may read as the same."""
    assert b"debug" not in s.get("/x", {name: "123:abc"}).body.lower()


def test_what_is_hidden_without_an_access_log() -> None:
    config = CONFIG.replace('path: "$log"', "path: /dev/null, sample: 0").replace(
        ', debug_key: {file: "$dir/key"}', ""
    )
    with Scenario(config, a=Origin(behave), quiet=True) as s:
        assert s.get("/none?token=s3cret&page=2").status == 502
        assert happened(s, "/none")["target"] == "/none?token=***&page=2"


def test_tail_shows_what_ends_after_a_worker_was_replaced_too(s: Scenario) -> None:
    command = [sys.executable, "-m", "lb", "tail", "route=all", "path=/tail", "--json"]
    command += ["--admin", f"http://{s.names['admin']}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as tail:
        assert tail.stdout is not None
        try:
            until_seen(s, tail.stdout)
            replaced(s)
            until_seen(s, tail.stdout)
        finally:
            tail.send_signal(signal.SIGINT)
        assert tail.wait(10) == 0


def replaced(s: Scenario) -> None:
    """The only worker is killed, and another serves."""
    (worker,) = s.lb.workers()
    os.kill(worker, signal.SIGKILL)
    eventually(lambda: s.lb.workers() not in ([], [worker]) and s.lb.status()["ready"])


def until_seen(s: Scenario, lines: IO[str]) -> None:
    """Ask until the tail, which begins when it begins, shows one."""
    target = f"/tail/{time.monotonic_ns()}"

    def seen() -> bool:
        assert s.get("/other").status == s.get(target).status == 200
        ready, _, _ = select.select([lines], [], [], 0.2)
        return bool(ready) and json.loads(lines.readline())["target"].startswith("/tail/")

    eventually(seen)


def test_a_killed_worker_takes_none_with_it_but_its_own(s: Scenario) -> None:
    assert s.get("/none/before", {"X-Request-Id": "before-1"}).status == 502
    happened(s, "/none/before")
    replaced(s)
    assert "connect" in why(s, "before-1").stdout
    assert s.get("/none/after", {"X-Request-Id": "after-1"}).status == 502
    assert happened(s, "/none/after")["request_id"] == "after-1"
    assert "what was under way in a worker that died is lost (" in why(s, "unknown").stderr
