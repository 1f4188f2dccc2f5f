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
from lb.config.section import Section
from lb.config.spec import Spec
from lb.config.values import Checked, Written


def resolved(spec: Spec) -> str:
    """YAML with every default filled in."""
    return yaml.dump(
        plain(spec), Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=None, width=100
    )


def plain(section: BaseModel) -> dict[str, Any]:
    """A section as plain data, as the file would write it. Keys that stand for nothing (an empty list
    where empty is the default) are left out."""
    found: dict[str, Any] = {}
    refused = section.without_effect() if isinstance(section, Section) else ()
    for name, written in writers(type(section)):
        if name in refused:
            continue
        value = getattr(section, name)
        if value is None:
            if name in _OFF:
                found[name] = "off"
            elif isinstance(section, Section) and name in section.nullable:
                found[name] = None
            continue
        result = written(value)
        if result not in ({}, []) or name in _KEPT or _means_something(section, name):
            found[name] = result
    return found


@cache
def writers(kind: type[BaseModel]) -> list[tuple[str, Callable[[Any], Any]]]:
    """For each field of a model, what writes its value."""
    found: list[tuple[str, Callable[[Any], Any]]] = []
    for name, field in kind.model_fields.items():
        write = next(
            (mark.write for mark in field.metadata if isinstance(mark, Checked | Written) and mark.write),
            None,
        )
        found.append((name, write or _written))
    return found


def _means_something(section: BaseModel, name: str) -> bool:
    """Whether nothing is something else than the default."""
    default = type(section).model_fields[name].default
    return isinstance(default, tuple) and bool(default)


_OFF = ("admin", "access_log")
_KEPT = ("listeners", "routes", "services")  # what stands below them has names of its own


def _written(value: Any) -> Any:
    if isinstance(value, Secret):
        return {"file": value.file} if value.file else {"env": value.env}
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
