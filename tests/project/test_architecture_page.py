"""docs/architecture.md and the code it describes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lb.cli.main import app
from lb.outcomes import TABLE, Outcome

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text()


def table_of_errors():
    """The table as it must stand on the page: `python -m tests.project.test_architecture_page` prints it."""
    rows = ["| outcome | flag | status | stage | side | retry | meaning |", "|---|---|---|---|---|---|---|"]
    for outcome, row in TABLE.items():
        cells = (outcome.name, f"`{row.flag}`", row.status, row.stage, row.side, row.retry, row.text)
        rows.append("| " + " | ".join(str(cell) for cell in cells) + " |")
    return "\n".join(rows)


def test_errors_on_the_page_are_those_of_the_code():
    on_page = PAGE.split("<!-- errors -->\n", 1)[1].split("\n<!-- /errors -->", 1)[0]
    assert on_page == table_of_errors(), "python -m tests.project.test_architecture_page prints the new table"


def test_every_outcome_has_one_row_and_its_own_flag():
    assert set(TABLE) == set(Outcome)
    flags = [row.flag for row in TABLE.values()]
    assert len(flags) == len(set(flags))


LIVES = {"Life of a request": 12, "Life of a reload": 7, "Life of a status": 3}


@pytest.mark.parametrize(("heading", "steps"), LIVES.items())
def test_lives_have_their_steps(heading, steps):
    section = PAGE.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    assert re.findall(r"^(\d+)\. ", section, re.MULTILINE) == [str(n) for n in range(1, steps + 1)]


def test_the_rooms_on_the_page_are_those_of_the_code():
    block = PAGE.split("## Rooms\n\n```\nlb/\n", 1)[1].split("```", 1)[0]
    files = {path.name for path in (ROOT / "lb").glob("*.py")}
    rooms = {f"{path.parent.name}/" for path in (ROOT / "lb").glob("*/__init__.py")}
    assert set(re.findall(r"^  (\w+(?:\.py|/)) ", block, re.MULTILINE)) == files | rooms
    cli = block.split("  cli/ ", 1)[1].split("  config/", 1)[0]
    registered = {command.name or command.callback.__name__ for command in app.registered_commands}
    registered |= {group.name or group.typer_instance.info.name for group in app.registered_groups}
    assert set(re.findall(r"[a-z]+", cli.replace("the commands:", ""))) == registered


def test_files_and_names_that_the_page_mentions_exist():
    for path in re.findall(r"`(lb/[\w./]+)`", PAGE):
        assert (ROOT / path).exists(), path
    for module, name in re.findall(r"`(lb(?:\.\w+)+)\.(\w+)(?:\(\))?`", PAGE):
        source = ROOT / f"{module.replace('.', '/')}.py"
        assert source.exists(), f"{module}.{name}"
        assert re.search(rf"\b(def|class) {name}\b|^{name}\b", source.read_text(), re.MULTILINE), (
            f"{module}.{name}"
        )


if __name__ == "__main__":
    print(table_of_errors())
