"""Chromium without a screen loads a page with hundreds of assets, uploads, events, a WebSocket through lb."""

from __future__ import annotations

import hashlib
import os
import queue
import signal
import subprocess
from pathlib import Path

import pytest

from ..scenarios.harness import Scenario
from .conftest import program
from .site import ASSETS, Site

FLAGS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-extensions",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-default-apps",
    "--no-proxy-server", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--remote-debugging-port=0",  # keeps a browser without a screen running
]  # fmt: skip


def test_a_page_with_many_assets(front: Scenario, site: Site, url: str, tmp_path: Path) -> None:
    """The page's script tries everything and posts what it found."""
    chromium = program("chromium", "chromium-browser", "google-chrome")
    output = tmp_path / "output"
    with output.open("wb") as out:
        browser = subprocess.Popen(
            [chromium, *FLAGS, f"--user-data-dir={tmp_path}/profile", f"{url}/"],
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        result = site.reports.get(timeout=90)
    except queue.Empty:
        pytest.fail(f"the page never reported; the browser said {output.read_text(errors='replace')[-3000:]}")
    finally:
        os.killpg(browser.pid, signal.SIGKILL)
        browser.wait()
    assert result == {
        "images": ASSETS, "scripts": ASSETS, "texts": 50, "posted": hashlib.sha256(bytes(3_000_000)).hexdigest(),
        "events": ["0", "1", "2"], "echoed": 20,
    }  # fmt: skip
    assert '"status":502' not in front.log_text()
