"""The resolved configuration: everything with its defaults, as YAML that loads to an equal Spec.

Lives here: writing values back in the units that the file uses. A secret is written as the file that it
is read from, never as its text.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import yaml
from pydantic import BaseModel

from lb.config.document import scalar
from lb.config.environment import escaped
from lb.config.fields import Secret
from lb.config.routes import IDEMPOTENT, RetrySpec, RouteSpec
from lb.config.section import Section
from lb.config.spec import Spec
from lb.config.values import Checked


def resolved(spec: Spec) -> str:
    """YAML with every default filled in."""
    return yaml.dump(
        plain(spec), Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=None, width=100
    )


def plain(section: BaseModel) -> dict[str, Any]:
    """A section as plain data, as the file would write it. Keys that stand for nothing (an empty list
    where empty is the default) are left out."""
    found: dict[str, Any] = {}
    for name, written in writers(type(section)):
        value = getattr(section, name)
        if (
            name in _SERVERS_ONLY
            and isinstance(section, RouteSpec)
            and not (section.service or section.split)
        ):
            continue
        if value is None:
            if name in _OFF:
                found[name] = "off"
            elif isinstance(section, Section) and name in section.nullable:
                found[name] = None
            continue
        result = written(value)
        if result not in ({}, []) or name in _KEPT:
            found[name] = result
    return found


@cache
def writers(kind: type[BaseModel]) -> list[tuple[str, Callable[[Any], Any]]]:
    """For each field of a model, what writes its value."""
    found: list[tuple[str, Callable[[Any], Any]]] = []
    for name, field in kind.model_fields.items():
        write = next(
            (mark.write for mark in field.metadata if isinstance(mark, Checked) and mark.write), None
        )
        if write is not None:
            found.append((name, write))
        elif kind is RetrySpec and name in _RETRY:
            found.append((name, _RETRY[name]))
        else:
            found.append((name, _written))
    return found


def _methods(value: tuple[str, ...]) -> Any:
    return "idempotent" if value == IDEMPOTENT else _written(value)


def _on(value: tuple[str, ...]) -> Any:
    return [int(item) if item.isdigit() else item for item in value]


_RETRY: dict[str, Callable[[Any], Any]] = {"methods": _methods, "on": _on}
_SERVERS_ONLY = ("timeout", "retry")  # no effect where a route answers by itself, and refused there
_OFF = ("admin", "access_log")
_KEPT = ("on", "methods", "forwarded_headers", "listeners", "routes", "services")  # empty means something


def _written(value: Any) -> Any:
    if isinstance(value, Secret):
        return {"file": value.file}
    if isinstance(value, BaseModel):
        return plain(value)
    if isinstance(value, dict):
        return {key: _written(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_written(item) for item in value]
    return escaped(value) if isinstance(value, str) else value


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Never writes aliases, and quotes text that lb.config.document would read as something else."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: Any, value: str) -> Any:
    style = None if isinstance(scalar(value), str) else "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)
