"""Loading: a file or a folder → a Spec, or all of its problems.

Lives here: reading the files, and validating them piece by piece, so that a mistake in one route does
not hide one in another. Must not live here: the rules (the models, lb.config.references).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import TypeAdapter, ValidationError

from lb.config.document import Document, parse
from lb.config.environment import Environment
from lb.config.fields import Name
from lb.config.listeners import ListenerItem
from lb.config.merge import LISTS, NAMED, Loc, Merged, merge
from lb.config.problems import ConfigError, Problem, nearest
from lb.config.references import check
from lb.config.section import about_key, words
from lb.config.services import ServiceItem
from lb.config.sharing import SharedText, own_part, shared_part
from lb.config.spec import CaseSpec, RouteSpec, Spec

MAX_BYTES = 64 * 2**20  # of one file

FIRST_FILE = 'a first file: listeners: [":8080"], services: {app: ["127.0.0.1:9001"]}, routes: {"/": app}'


class Loaded(NamedTuple):
    """A valid Spec, and where its parts stand."""

    spec: Spec
    merged: Merged


def sources(path: Path) -> list[Path]:
    """The files that make up the configuration at `path`, in the order in which they are merged.

    Raises ConfigError where there is none.
    """
    if path.is_dir():
        found = sorted(file for file in path.glob("*.yaml") if not file.name.startswith("."))
        if not found:
            raise ConfigError([Problem(str(path), 0, 0, "", "the folder has no *.yaml file")])
        return found
    if not path.exists():
        raise ConfigError([Problem(str(path), 0, 0, "", "there is no such file or folder")])
    return [path]


def load(path: Path, environment: Environment | None = None) -> Spec:
    """The Spec at `path` (a file, or a folder of *.yaml). Raises ConfigError with all problems."""
    return read(path, environment).spec


def loads(text: str, file: str = "lb.yaml", environment: Environment | None = None) -> Spec:
    """The Spec of a text; `file` is its name in messages. Raises ConfigError."""
    return _loaded([parse(text, file, _variables(environment))]).spec


def read(path: Path, environment: Environment | None = None, shared: SharedText | None = None) -> Loaded:
    """As `load`, with the places of everything, for lint. With `shared` only what a node has for itself is
    of `path`."""
    documents = [_document(file, _variables(environment)) for file in sources(Path(path))]
    if shared is not None:
        documents = [*map(own_part, documents), shared_part(shared, _variables(environment))]
    return _loaded(documents)


def _variables(environment: Environment | None) -> Environment:
    return os.environ if environment is None else environment


def _document(file: Path, environment: Environment) -> Document:
    try:
        content = file.read_bytes()
        if len(content) > MAX_BYTES:
            raise ValueError(f"larger than {MAX_BYTES // 2**20} MiB")
        return parse(content.decode("utf-8-sig"), str(file), environment)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        column = error.start - content.rfind(b"\n", 0, error.start)
        problem = Problem(str(file), line, column, "", "not UTF-8 text; save the file as UTF-8")
    except OSError as error:
        problem = Problem(str(file), 0, 0, "", f"cannot be read: {error.strerror or error}")
    except ValueError as error:
        problem = Problem(str(file), 0, 0, "", str(error))
    return Document(str(file), problems=[problem])


def _loaded(documents: list[Document]) -> Loaded:
    merged = merge(documents)
    unreadable = any(document.data is None and document.problems for document in documents)
    if not merged.pieces and not merged.problems:
        raise ConfigError([Problem(documents[0].file, 0, 0, "", f"nothing in it; {FIRST_FILE}")])
    checked = _Checked(merged)
    checked.all(unreadable)
    if merged.problems:
        raise ConfigError(_without_echoes(documents, merged.problems))
    return Loaded(checked.spec(), merged)


def _without_echoes(documents: list[Document], problems: list[Problem]) -> list[Problem]:
    """One problem per place where the form is wrong already: the value is wrong only because of it."""
    broken = {(p.file, p.line, p.column) for document in documents for p in document.problems}
    form = {id(p) for document in documents for p in document.problems}
    kept = [p for p in problems if id(p) in form or (p.file, p.line, p.column) not in broken]
    return list(dict.fromkeys(kept))


def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


_NAME = _adapter(Name)
_KINDS: dict[str, TypeAdapter[Any]] = {
    "listeners": _adapter(ListenerItem),
    "routes": _adapter(RouteSpec),
    NAMED: _adapter(ServiceItem),
    "tests": _adapter(CaseSpec),
}
_WHOLE: dict[str, TypeAdapter[Any]] = {
    name: _adapter(Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation)
    for name, field in Spec.model_fields.items()
}


class _Checked:
    """The pieces as models, as far as they are valid."""

    def __init__(self, merged: Merged) -> None:
        self.merged = merged
        self.values: dict[Loc, Any] = {}

    def all(self, unreadable: bool) -> None:
        merged = self.merged
        present = {str(loc[0]): merged.pieces[loc] for loc in merged.pieces}
        for loc, error in Spec.unknown(present):
            merged.problem(loc, error.message(), key=True)
        for loc, value in list(merged.pieces.items()):
            if loc[0] not in Spec.keys or (len(loc) == 1 and value == [] and loc[0] in LISTS):
                continue
            self.piece(loc, value)
        if not unreadable:
            misspelt = any(nearest(key, ["listeners"]) for key in present if key not in Spec.keys)
            if (
                merged.pieces.get(("listeners",), []) == []
                and not any(merged.items("listeners"))
                and not misspelt
            ):
                merged.problem(("listeners",), 'at least one listener is needed: listeners: [":8080"]')
            check(merged)

    def piece(self, loc: Loc, value: object) -> None:
        adapter = _KINDS[str(loc[0])] if len(loc) == 2 else _WHOLE[str(loc[0])]
        if len(loc) == 2 and loc[0] == NAMED:
            try:
                _NAME.validate_python(loc[1])
            except ValidationError as error:
                self.merged.problem(loc, error.errors()[0]["msg"], key=True)
        try:
            self.values[loc] = adapter.validate_python(value)
        except ValidationError as error:
            for found in error.errors(include_url=False, include_input=False):
                self.merged.problem((*loc, *found["loc"]), words(found), about_key(found))

    def spec(self) -> Spec:
        """The whole, from valid pieces only."""
        parts: dict[str, Any] = {name: [] for name in LISTS} | {NAMED: {}}
        for loc, value in self.values.items():
            if len(loc) == 1:
                parts[str(loc[0])] = value
            elif loc[0] == NAMED:
                parts[NAMED][loc[1]] = value
            else:
                parts[str(loc[0])].append(value)
        for name in LISTS:
            parts[name] = tuple(parts[name])
        return Spec.model_construct(**parts)
