"""What a worker loads: it has to start in a fraction of a second and to stay small."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import sys, lb.worker.main, lb.proxy.plane
bad = ("pydantic", "aiohttp", "yaml", "typer", "rich", "click", "prometheus_client",
       "lb.config", "lb.control", "lb.admin", "lb.cli")
print([name for name in sys.modules if any(name == each or name.startswith(each + ".") for each in bad)])
"""


def test_a_worker_imports_only_the_data_plane():
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, timeout=30
    )
    assert ended.stdout == "[]\n"
