"""`make docs`: the pages become a site that asks no other host for anything, and a link that leads nowhere is
an error, in whichever page it stands."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BROKEN = {
    "README.md": "[gone](docs/gone.md)",
    "docker/README.md": "[gone](../docs/operations.md#no-such-heading)",
    "bench/README.md": "[gone](results/gone.png)",
    "docs/index.md": "[gone](routing.md#no-such-heading)",
}


def build(root: Path, site: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)],
        cwd=root, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_make_docs_builds_this_way():
    assert "$(BIN)/python -m mkdocs build --strict" in (ROOT / "Makefile").read_text()


def test_every_link_and_anchor_leads_somewhere_and_nothing_is_asked_of_other_hosts(tmp_path):
    built = build(ROOT, tmp_path)
    assert built.returncode == 0, built.stdout + built.stderr
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        fetched = re.findall(r'<(?:script|img|iframe)\b[^>]*src="(\w+:)?//', page.read_text())
        fetched += re.findall(r'<link\b(?![^>]*rel="canonical")[^>]*href="(\w+:)?//', page.read_text())
        assert fetched == [], page


def test_a_broken_link_or_anchor_fails_the_build(tmp_path):
    for name in ("mkdocs.yml", "README.md", "CHANGELOG.md", "LICENSE", "docs", "config", "docker", "bench"):
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, tmp_path / name)
    for page, link in BROKEN.items():
        with (tmp_path / page).open("a") as file:
            file.write(f"\n{link}\n")
    built = build(tmp_path, tmp_path / "site")
    assert built.returncode != 0
    told = built.stdout + built.stderr
    for page in BROKEN:
        assert page in told, f"{page}: its broken link was not told\n{told}"
