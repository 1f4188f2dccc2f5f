"""The shape of the tree: size and opening of files, declarations beside sources, rooms as documented."""

from __future__ import annotations

import ast
import re

import pytest

from lb import build
from tests.architecture.rules import PURE_ROOMS, room_of
from tests.architecture.tree import DECLARATIONS, PACKAGE, ROOT, SOURCES

MOST_LINES = 400  # past this there is a second idea in the file


@pytest.mark.parametrize("module", SOURCES)
def test_file_has_one_idea_and_says_which(module):
    text = SOURCES[module].read_text()
    assert text.count("\n") <= MOST_LINES
    assert not text or ast.get_docstring(ast.parse(text)), "a module opens with what lives here"


@pytest.mark.parametrize("module", DECLARATIONS)
def test_declarations_have_their_source(module):
    assert module in SOURCES, f"{DECLARATIONS[module]} declares the types of no .py"


def test_hot_rooms_are_compiled():
    hot = {build.module_name(path) for path in build.hot_sources()}
    assert hot >= set(DECLARATIONS)
    assert set(PURE_ROOMS) <= set(build.HOT_ROOMS)
    assert {"lb.message", "lb.telemetry.cells"} <= hot


def test_rooms_are_those_of_the_documentation():
    page = (ROOT / "docs" / "architecture.md").read_text()
    listing = page.split("## Rooms", 1)[1].split("```")[1]
    listed = set(re.findall(r"^  ([\w.]+)/?", listing, re.MULTILINE))
    rooms = {room_of(name) for name, path in SOURCES.items() if path.parent != PACKAGE}
    files = {path.name for path in SOURCES.values() if path.parent == PACKAGE}
    assert listed == rooms | files
