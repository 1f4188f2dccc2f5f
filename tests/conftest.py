"""What every test may ask for: a free port, a deadline instead of a sleep; and the check that the build
under test is the one in this tree."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import lb
from lb import build

ROOT = Path(__file__).resolve().parents[1]
STATE = pytest.StashKey[str]()


def pytest_configure(config: pytest.Config) -> None:
    if Path(lb.__file__).resolve().parents[1] != ROOT:
        raise pytest.UsageError(
            f"tests in {ROOT} would run lb from {lb.__file__}: run `python -m pytest` here"
        )
    try:
        build.check()
    except build.StaleBuildError as problem:
        raise pytest.UsageError(str(problem)) from None
    # A shell starts a background job with SIGINT ignored, and every lb of a test would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # What an lb of a test remembers goes with the test run, and never into the state of this machine.
    os.environ["STATE_DIRECTORY"] = config.stash[STATE] = tempfile.mkdtemp(prefix="lb-state-")


def pytest_unconfigure(config: pytest.Config) -> None:
    if STATE in config.stash:
        shutil.rmtree(config.stash[STATE], ignore_errors=True)


def pytest_report_header() -> str:
    return f"lb: {build.status()}"


def pytest_terminal_summary(terminalreporter: Any) -> None:
    terminalreporter.write_line(f"lb: {build.status()}")  # -q hides the header


@pytest.fixture
def eventually() -> Callable[..., Any]:
    """`eventually(predicate, timeout=5.0)`: the first true value of `predicate()`, polled until a
    deadline in seconds; fails with the last value after it. An AssertionError counts as not yet."""

    def wait(predicate: Callable[[], Any], timeout: float = 5.0) -> Any:
        deadline = time.monotonic() + timeout
        while True:
            try:
                value = predicate()
            except AssertionError as problem:
                value, last = None, problem
            else:
                last = AssertionError(f"still {value!r}")
            if value:
                return value
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {timeout} s: {last}") from last
            time.sleep(0.01)

    return wait


@pytest.fixture
def free_port() -> Iterator[int]:
    """A TCP port on 127.0.0.1 that nobody listens on, and that the system gives to nobody else; for
    processes that cannot be given a socket and bind with SO_REUSEADDR. Where port 0 can be asked for, ask
    for port 0."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(("127.0.0.1", 0))
        yield int(sock.getsockname()[1])
