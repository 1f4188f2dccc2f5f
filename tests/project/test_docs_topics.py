"""Every topic of the configuration has an example, and every example a page that leads to it.

That examples load, and their own tests pass: tests/config/test_examples.py.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from lb.config.spec import Spec

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted(path.name for path in (ROOT / "config").glob("*.yaml"))
PAGES = {path.name: path.read_text() for path in (ROOT / "docs").glob("*.md")}
LINK = re.compile(r"\]\(\.\./config/([\w-]+\.yaml)\)")


@pytest.mark.parametrize("key", sorted(Spec.keys))
def test_a_topic_has_an_example_of_its_own(key: str) -> None:
    """full.yaml has them all, and shows none."""
    shown = [name for name in EXAMPLES if name != "full.yaml"]
    assert [name for name in shown if key in yaml.safe_load((ROOT / "config" / name).read_text())]


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_in_the_list_and_on_the_page_of_its_topic(name: str) -> None:
    leading = {page for page, text in PAGES.items() if name in LINK.findall(text)}
    assert "index.md" in leading
    assert leading - {"index.md", "configuration.md"} or name in (
        "full.yaml",
        "minimal.yaml",
        "quickstart.yaml",
    )
