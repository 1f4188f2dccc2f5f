"""The JSON Schema of the configuration, for editors.

Lives here: what pydantic's schema lacks to describe the file as it is written: defaults with their
units, a listener without a name, no null where nothing means nothing.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from lb.config.resolved import writers
from lb.config.section import Section
from lb.config.spec import Spec

DIALECT = "https://json-schema.org/draft/2020-12/schema"
NULL = {"type": "null"}


def json_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of the file as the operator writes it, short forms included. Checks
    between sections, and what patterns cannot say, are left to `lb check`."""
    schema = Spec.model_json_schema(mode="validation")
    found = schema["$defs"]
    for model in sections():
        _as_written(model, schema if model is Spec else found[model.__name__])
    found["ListenerSpec"]["required"].remove("name")  # absent: the first address
    found["ServiceSpec"]["anyOf"] = [{"required": ["servers"]}, {"required": ["discover"]}]
    schema = _plain(schema)
    return {"$schema": DIALECT, "title": "lb configuration", **schema}


def sections() -> list[type[Section]]:
    """All sections, in the order in which the file mentions them."""
    found: list[type[Section]] = []
    _collect(Spec, found)
    return found


def _collect(model: type[Section], found: list[type[Section]]) -> None:
    if model in found:
        return
    found.append(model)
    for field in model.model_fields.values():
        for inner in inner_sections(field.annotation):
            _collect(inner, found)


def inner_sections(annotation: Any) -> list[type[Section]]:
    """The sections that a type is made of."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    parts = getattr(annotation, "__args__", ())
    return [section for part in parts for section in inner_sections(part)]


def default_of(model: type[BaseModel], name: str, field: FieldInfo) -> Any:
    """The default as the file would write it; None where there is none, or where it is a whole section."""
    if field.is_required() or field.default_factory is not None or field.default is None:
        return None
    return dict(writers(model))[name](field.default)


def _as_written(model: type[Section], schema: dict[str, Any]) -> None:
    for name, field in model.model_fields.items():
        written = schema["properties"][name]
        default = default_of(model, name, field)
        written.pop("default", None)
        if default is not None:
            written["default"] = default
        if name not in model.nullable and NULL in written.get("anyOf", ()):
            written["anyOf"].remove(NULL)


def _plain(schema: Any) -> Any:
    """Without the titles that pydantic makes of names, and without choices of one."""
    if isinstance(schema, list):
        return [_plain(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    found = {
        key: _plain(value) for key, value in schema.items() if key != "title" or not isinstance(value, str)
    }
    if len(found.get("anyOf", ())) == 1:
        found |= found.pop("anyOf")[0]
    return found
