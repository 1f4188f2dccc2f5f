"""Several documents → one set of pieces, each with where it came from.

Lives here: which keys add up over the files of a folder and which may stand only once, and the way from
the path of a key to its place in a file. Must not live here: what values mean.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from lb.config.document import Document, Place
from lb.config.problems import Problem, shown
from lb.config.routes import long_form

Loc = tuple[str | int, ...]

LISTS = ("listeners", "routes", "tests")  # these add up over files
NAMED = "services"  # and so does this mapping


@dataclass(slots=True)
class Merged:
    """`pieces` are the values by their place in the whole: ("routes", 3), ("services", "app"),
    ("workers",), in the order of the files."""

    pieces: dict[Loc, object] = field(default_factory=dict)
    origins: dict[Loc, tuple[Document, Loc]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    root: Document = field(default_factory=lambda: Document(""))

    def add(self, loc: Loc, value: object, document: Document, local: Loc) -> None:
        self.pieces[loc] = value
        self.origins[loc] = (document, local)

    def items(self, kind: str) -> Iterator[tuple[Loc, object]]:
        """The pieces of a list or of the services."""
        return ((loc, value) for loc, value in self.pieces.items() if loc[0] == kind and len(loc) == 2)

    def where(self, loc: Loc, key: bool = False) -> tuple[str, int, int]:
        """File, line and column of a value, or of its `key`; of the nearest thing above it where it was
        not written."""
        return self._find(loc, key)[:3]

    def _find(self, loc: Loc, key: bool = False) -> tuple[str, int, int, Loc]:
        for length in (2, 1):
            found = self.origins.get(loc[:length])
            if found is not None:
                document, local = found
                break
        else:
            document, local, length = self.root, (), 0
        line, column, steps = _walk(document.place, (*local, *loc[length:]), key)
        return document.file, line, column, (*loc[:length], *steps[len(local) :])

    def near(self, loc: Loc, key: bool = False) -> str:
        """The same as `file:line`, for messages that point elsewhere."""
        file, line, _ = self.where(loc, key)
        return f"{file}:{line}"

    def path(self, loc: Loc, key: bool = False) -> str:
        """The path of a key as messages show it: as written, and list items by name where they have one."""
        found = self._find(loc, key)[3]
        text = ""
        for depth, step in enumerate(found):
            if isinstance(step, int):
                name = self.name(loc[:2]) if depth == 1 else None
                text += f"[{step if name is None else name}]"
            else:
                text += f".{step}" if text else step
        return text

    def name(self, loc: Loc) -> str | None:
        """The name of a listener or route as written, or None."""
        value = self.pieces.get(loc)
        name = value.get("name") if isinstance(value, dict) else None
        return name if isinstance(name, str) else None

    def problem(self, loc: Loc, message: str, key: bool = False) -> None:
        self.problems.append(Problem(*self.where(loc, key), self.path(loc, key), message))


def _walk(place: Place, loc: Loc, key: bool) -> tuple[int, int, Loc]:
    """Line, column, and the steps that lead there: those of `loc` that were written."""
    last: tuple[int, int] | None = None  # of the key that led to `place`
    steps: list[str | int] = []
    for at, step in enumerate(loc):
        children = place.children
        if isinstance(children, dict):
            keys = place.keys or {}
            if isinstance(step, int):  # the short form of routes: by order
                name = list(children)[step] if step < len(children) else ""
                value = children.get(name, place)
                on_value = not key and loc[at + 1 : at + 2] in ((), ("service",))
                spot = (value.line, value.column) if on_value else keys.get(name, (place.line, place.column))
                return (*spot, (*steps, step))
            elif step in children:
                last, place = keys[step], children[step]
                steps.append(step)
            elif step == "[key]":
                key = True
        elif isinstance(children, list):
            if isinstance(step, int) and step < len(children):
                last, place = None, children[step]
                steps.append(step)
            elif step == "[key]":
                key = True
        elif step == "[key]":
            key = True
    return (*(last if key and last is not None else (place.line, place.column)), tuple(steps))


def merge(documents: list[Document]) -> Merged:
    """The pieces of all documents. What stands twice, or is not a mapping at the top, is a problem."""
    merged = Merged(root=documents[0])
    for document in documents:
        merged.problems += document.problems
        data = document.data
        if data is None:
            continue
        if not isinstance(data, dict):
            spot = (document.file, document.place.line, document.place.column)
            message = f"found {shown(data)}; expected a mapping with the keys listeners, routes, services, …"
            merged.problems.append(Problem(*spot, "", message))
            continue
        for key, value in data.items():
            _add(merged, document, key, value)
    return merged


def _add(merged: Merged, document: Document, key: str, value: object) -> None:
    if key in LISTS and isinstance(value, list):
        _append(merged, document, key, value)
    elif key == "routes" and isinstance(value, dict):
        _append(merged, document, key, long_form(value))
    elif key == NAMED and isinstance(value, dict):
        for name, service in value.items():
            loc = (NAMED, name)
            if loc in merged.pieces:
                first = merged.near(loc, key=True)
                spot = _walk(document.place, loc, key=True)[:2]
                message = f'the service "{name}" is defined twice: the first is in {first}'
                merged.problems.append(Problem(document.file, *spot, f"{NAMED}.{name}", message))
                continue
            merged.add(loc, service, document, loc)
    elif (key,) in merged.pieces:
        spot = _walk(document.place, (key,), key=True)[:2]
        first = merged.near((key,), key=True)
        merged.problems.append(Problem(document.file, *spot, key, f"is in two files: the first is {first}"))
    else:
        merged.add((key,), value, document, (key,))


def _append(merged: Merged, document: Document, key: str, values: object) -> None:
    assert isinstance(values, (list, tuple))
    start = sum(1 for _ in merged.items(key))
    if not values:
        merged.add((key,), [], document, (key,))
    for index, value in enumerate(values):
        merged.add((key, start + index), value, document, (key, index))
