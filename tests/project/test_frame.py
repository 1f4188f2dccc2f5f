"""README, Makefile, CHANGELOG, licence and version say the same as the project does."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import lb
from lb.config import lint, load

ROOT = Path(__file__).resolve().parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PAGES = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "docker/README.md", "bench/README.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]


def targets():
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_make_commands_in_the_docs_exist(page):
    named = set(re.findall(r"\bmake ([a-z][a-z-]*)\b(?=[`\n#]|  )", page.read_text()))
    assert named <= targets()


def test_the_two_commands_are_in_the_readme_and_in_the_help():
    readme = (ROOT / "README.md").read_text()
    assert "make run" in readme
    assert "make test" in readme
    listed = subprocess.run(
        ["make", "--no-print-directory", "help"],
        cwd=ROOT, capture_output=True, text=True, timeout=30, check=True,
    ).stdout  # fmt: skip
    files = {name for name in targets() if name not in ("help",)}
    assert all(f"make {name}" in listed for name in files), listed


def test_ci_runs_the_linters_and_the_tests():
    script = ROOT / ".ci" / "run"
    lines = script.read_text().splitlines()
    assert "set -eu" in lines
    assert {"make lint", "make test"} <= set(lines)
    assert script.stat().st_mode & 0o111


def test_pytest_fails_where_it_finds_no_tests(tmp_path):
    """`make test` relies on it."""
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", str(tmp_path)],
        cwd=tmp_path,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode != 0


def links():
    for page in PAGES:
        prose = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
        for link in re.findall(r"\]\(([^)\s]+)\)", prose):
            if not link.startswith(("http://", "https://")):
                yield pytest.param(page, link, id=f"{page.relative_to(ROOT)}:{link}")


def anchors(page):
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize(("page", "link"), list(links()))
def test_relative_links_resolve(page, link):
    place, _, anchor = link.partition("#")
    found = (page.parent / place).resolve() if place else page
    assert found.exists(), f"{page}: {link}"
    assert found.is_relative_to(ROOT)
    if anchor:
        assert anchor in anchors(found), f"{page}: {link}"


def test_every_page_is_reachable_from_the_index():
    index = (ROOT / "docs" / "index.md").read_text()
    for page in sorted((ROOT / "docs").rglob("*.md")):
        name = str(page.relative_to(ROOT / "docs"))
        assert name == "index.md" or f"({name}" in index, f"docs/index.md does not mention {name}"


def test_every_example_is_mentioned():
    """That each loads is tested beside the loader."""
    pages = "\n".join(page.read_text() for page in PAGES)
    examples = sorted((ROOT / "config").glob("*.yaml"))
    assert examples
    assert [path.name for path in examples if path.name not in pages] == []


def test_the_configuration_in_the_image_is_good():
    assert lint(load(ROOT / "docker" / "lb.yaml")) == []


def test_changelog_has_a_place_for_the_next_release_and_the_present_version():
    text = (ROOT / "CHANGELOG.md").read_text()
    headings = re.findall(r"^## \[(.+?)\]", text, re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert len(headings) == len(set(headings))
    released = headings[1:]
    assert not released or released[0] == lb.__version__


def test_version_and_licence_have_one_source():
    assert PYPROJECT["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "lb.__version__"}
    assert "version" in PYPROJECT["project"]["dynamic"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", lb.__version__)
    assert PYPROJECT["project"]["license"] == "Apache-2.0"
    assert "Apache License" in (ROOT / "LICENSE").read_text()


def third_party(folder):
    found = set()
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                found.add(node.module.partition(".")[0])
    return found - set(sys.stdlib_module_names) - {"lb", "tests", "bench"}


def declared(*groups):
    names = {re.match(r"[\w.-]+", line)[0].lower().replace("-", "_") for group in groups for line in group}
    # what goes by another name than its distribution, and what pydantic consists of
    return names | {"yaml", "dns", "pydantic_core", "opentelemetry"}


def test_what_is_imported_is_declared():
    project = PYPROJECT["project"]
    run, extras = project["dependencies"], dict(project["optional-dependencies"])
    dev = extras.pop("dev")
    assert third_party("lb") <= declared(run, *extras.values())
    assert third_party("tests") <= declared(run, dev)
    assert {line for extra in extras.values() for line in extra} <= set(dev), "what is optional is tested too"


def test_the_script_and_the_typing_marker_are_there():
    module, _, function = PYPROJECT["project"]["scripts"]["lb"].partition(":")
    path = ROOT / f"{module.replace('.', '/')}.py"
    assert re.search(rf"^(def {function}\b|{function} = )", path.read_text(), re.MULTILINE)
    assert (ROOT / "lb" / "py.typed").exists()
