"""One YAML file → plain data, with the place of every key and value.

Lives here: YAML as configuration needs it. The tags are those of YAML 1.2 (so `on`, `yes` and `1:30`
are text), a duplicate key is a problem, tags are refused, and what aliases multiply is bounded. The
parser's events are read in one loop: the composer of PyYAML recurses and can be made to overflow the
stack by nesting. Must not live here: any key's name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import yaml

from lb.config.environment import Environment, UnsetError, substitute
from lb.config.problems import Problem

MAX_DEPTH = 64
MAX_REPEATED = 200_000  # values that aliases may add to those written out

Loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)  # libyaml where PyYAML was built with it

_INT = re.compile(r"[-+]?[0-9]+\Z")
_FLOAT = re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+)\Z")
_WORDS = {"": None, "~": None, "null": None, "Null": None, "NULL": None} | {
    word: word.lower() == "true" for word in ("true", "True", "TRUE", "false", "False", "FALSE")
}


class Place:
    """Where a value stands: line and column from 1, the places of its children and of its keys."""

    __slots__ = ("children", "column", "keys", "line")

    def __init__(self, line: int, column: int) -> None:
        self.line = line
        self.column = column
        self.children: dict[str, Place] | list[Place] | None = None
        self.keys: dict[str, tuple[int, int]] | None = None


@dataclass(slots=True)
class Document:
    """A parsed file: its data, the place of the root, and the problems of its form."""

    file: str
    data: object = None
    place: Place = field(default_factory=lambda: Place(1, 1))
    problems: list[Problem] = field(default_factory=list)


@dataclass(slots=True)
class _Open:
    """A mapping or list that is being read."""

    value: dict[str, object] | list[object]
    place: Place
    anchor: str | None
    count: int  # values read before it began
    key: str | None = None
    key_place: tuple[int, int] = (0, 0)
    skip: bool = False  # the value of a duplicate or impossible key


def scalar(text: str) -> object:
    """The value of a plain scalar by the core schema of YAML 1.2 (without octal and hexadecimal)."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] in "0123456789-+.":
        if _INT.match(text):
            return int(text) if len(text) < 20 else text  # no number of ours is longer
        if _FLOAT.match(text):
            return float(text)
    return text


def parse(text: str, file: str, environment: Environment) -> Document:
    """Reads `text`. Never raises: what is wrong is in the document's problems."""
    document = Document(file)
    try:
        _Reader(document, environment).read(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        document.problems.append(Problem(file, line, column, "", _explained(error, text, line)))
    except yaml.YAMLError as error:
        document.problems.append(Problem(file, 0, 0, "", f"not YAML: {' '.join(str(error).split())}"))
    return document


def _explained(error: yaml.MarkedYAMLError, text: str, line: int) -> str:
    lines = text.splitlines()
    words = error.problem or "unreadable"
    if (
        0 < line <= len(lines)
        and "\t" in lines[line - 1][: len(lines[line - 1]) - len(lines[line - 1].lstrip())]
    ):
        return "not YAML: a tab in the indentation; indent with spaces"
    if "mapping values are not allowed" in words:
        words += '; quote a value that contains ": ", and check the indentation'
    elif "could not find expected ':'" in words:
        words += "; a key is missing its colon, or a quote or bracket is not closed"
    elif "did not find expected" in words:
        words += "; check the indentation, the brackets and the quotes of this line and the one before"
    elif "cannot start any token" in words:
        words += "; quote the value"
    elif "maximum nesting depth" in words:  # PyYAML 6.0.4 reads ahead, and stops at 1,000
        return f"nested more than {MAX_DEPTH} deep"
    return f"not YAML: {words}"


def _tag_words(tag: str) -> str:
    return f"the tag {tag.replace('tag:yaml.org,2002:', '!!')} is not allowed; write plain values"


def _spot(event: yaml.Event) -> tuple[int, int]:
    mark = event.start_mark
    assert mark is not None
    return mark.line + 1, mark.column + 1


class _Reader:
    def __init__(self, document: Document, environment: Environment) -> None:
        self.document = document
        self.environment = environment
        self.stack: list[_Open] = []
        self.anchors: dict[str, tuple[object, Place, int]] = {}
        self.count = 0
        self.repeated = 0
        self.documents = 0

    def problem(self, line: int, column: int, message: str) -> None:
        path = "".join(
            f"[{len(part.value)}]" if isinstance(part.value, list) else f".{part.key}"
            for part in self.stack
            if isinstance(part.value, list) or part.key is not None
        )
        self.document.problems.append(
            Problem(self.document.file, line, column, path.removeprefix("."), message)
        )

    def read(self, text: str) -> None:
        for event in yaml.parse(text, Loader=Loader):
            if isinstance(event, yaml.ScalarEvent):
                self.scalar(event)
            elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
                if not self.begin(event, {} if isinstance(event, yaml.MappingStartEvent) else []):
                    return
            elif isinstance(event, yaml.CollectionEndEvent):
                self.finish()
            elif isinstance(event, yaml.AliasEvent):
                if not self.alias(event):
                    return
            elif isinstance(event, yaml.DocumentStartEvent):
                self.documents += 1
                if self.documents > 1:
                    self.problem(*_spot(event), "a second document (---); write one document in a file")
                    return

    def scalar(self, event: yaml.ScalarEvent) -> None:
        line, column = _spot(event)
        self.count += 1
        top = self.stack[-1] if self.stack else None
        if top is not None and top.key is None and isinstance(top.value, dict):
            if event.value == "<<" and event.implicit[0]:
                self.problem(line, column, 'merge keys ("<<") are not supported; write the keys out')
                top.key, top.skip = "", True
            else:
                self.key(top, event.value, line, column)
            return
        if event.tag is not None and event.tag != "!":
            self.problem(line, column, _tag_words(event.tag))
        value: object = event.value
        if "${" in event.value:
            try:
                value = substitute(event.value, self.environment)
            except UnsetError as error:
                self.problem(line, column, str(error))
        elif event.implicit[0]:
            value = scalar(event.value)
        self.add(value, Place(line, column), event.anchor, 1)

    def key(self, top: _Open, key: str, line: int, column: int) -> None:
        assert isinstance(top.value, dict) and top.place.keys is not None
        top.skip = False
        if key in top.value:
            first = top.place.keys[key]
            self.problem(line, column, f'the key "{key}" is here twice; the first is on line {first[0]}')
            top.skip = True
        top.key = key
        top.key_place = (line, column)

    def begin(self, event: yaml.CollectionStartEvent, value: dict[str, object] | list[object]) -> bool:
        line, column = _spot(event)
        if len(self.stack) >= MAX_DEPTH:
            self.problem(line, column, f"nested more than {MAX_DEPTH} deep")
            return False
        if event.tag is not None and event.tag != "!":
            self.problem(line, column, _tag_words(event.tag))
        if self.stack and isinstance(self.stack[-1].value, dict) and self.stack[-1].key is None:
            self.problem(line, column, "a key must be text; found a list or a mapping")
            return False
        place = Place(line, column)
        if isinstance(value, dict):
            place.children, place.keys = {}, {}
        else:
            place.children = []
        self.stack.append(_Open(value, place, event.anchor, self.count))
        self.count += 1
        return True

    def finish(self) -> None:
        done = self.stack.pop()
        self.add(done.value, done.place, done.anchor, self.count - done.count)

    def alias(self, event: yaml.AliasEvent) -> bool:
        line, column = _spot(event)
        if self.stack and isinstance(self.stack[-1].value, dict) and self.stack[-1].key is None:
            self.problem(line, column, f"an alias (*{event.anchor}) cannot be a key")
            return False
        found = self.anchors.get(event.anchor or "")
        if found is None:
            names = "".join(f" &{name}" for name in self.anchors) or " none"
            self.problem(line, column, f"*{event.anchor} has no anchor before it; there are:{names}")
            self.add(None, Place(line, column), None, 1)
            return True
        value, place, count = found
        self.count += count
        self.repeated += count
        if self.repeated > MAX_REPEATED:
            self.problem(line, column, f"aliases multiply to more than {MAX_REPEATED} values")
            return False
        self.add(value, place, None, count)
        return True

    def add(self, value: object, place: Place, anchor: str | None, count: int) -> None:
        if anchor is not None:
            self.anchors[anchor] = (value, place, count)
        if not self.stack:
            self.document.data, self.document.place = value, place
            return
        top = self.stack[-1]
        if isinstance(top.value, list):
            assert isinstance(top.place.children, list)
            top.value.append(value)
            top.place.children.append(place)
            return
        key = top.key
        top.key = None
        if key is None or top.skip:
            return
        assert isinstance(top.place.children, dict) and top.place.keys is not None
        top.value[key] = value
        top.place.children[key] = place
        top.place.keys[key] = top.key_place
