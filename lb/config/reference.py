"""The reference tables of docs/configuration.md, made of the models.

`python -m lb.config.reference docs/configuration.md` writes them between the two markers of the page; a
test fails while the page says something else. The prose around them is written by hand.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from lb.config.schema import default_of, inner_sections, json_schema, sections
from lb.config.section import Section
from lb.config.spec import Spec
from lb.config.values import VARIABLE

BEGIN = "<!-- made by `python -m lb.config.reference docs/configuration.md`: begin -->"
END = "<!-- end -->"


def reference() -> str:
    """All tables, and the keys that are refused, in Markdown."""
    schema = json_schema()
    places = _places()
    parts = []
    for model in sections():
        own = schema if model is Spec else schema["$defs"][model.__name__]
        parts.append(_table(model, own, schema["$defs"], places[model]))
    return "\n".join([*parts, _refused(places)])


def with_reference(page: str) -> str:
    """The page with its tables made anew. Raises ValueError where it has no markers."""
    before, _, rest = page.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise ValueError(f"the page needs the two markers {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{reference()}\n{END}{after}"


def _places() -> dict[type[Section], str]:
    """Where a section stands in the file: `services.NAME.servers[]`; the first place where it has several."""
    found: dict[type[Section], str] = {Spec: ""}
    waiting: list[type[Section]] = [Spec]
    while waiting:
        model = waiting.pop(0)
        for name, field in model.model_fields.items():
            text = str(field.annotation)
            suffix = ".NAME" if "dict[" in text else "[]" if "tuple[" in text else ""
            for inner in inner_sections(field.annotation):
                if inner not in found:
                    found[inner] = f"{found[model]}.{name}{suffix}".removeprefix(".")
                    waiting.append(inner)
    return found


def _table(model: type[Section], own: dict[str, Any], defs: dict[str, Any], place: str) -> str:
    lines = [
        f"### {f'`{place}`' if place else 'The file'}",
        "",
        " ".join((model.__doc__ or "").split()),
        "",
        "| Key | Value | Default | Meaning |",
        "|---|---|---|---|",
    ]
    required = own.get("required", ())
    for name, field in model.model_fields.items():
        written = own["properties"][name]
        default = default_of(model, name, field)
        if name in required:
            shown = "required"
        elif default is None or default in ([], {}, ""):
            shown = ""
        else:
            shown = f"`{json.dumps(default, ensure_ascii=False).replace(chr(34), '')}`"
        words = [f"`{name}`", _kind(written, defs), shown, field.description or ""]
        lines.append("| " + " | ".join(word.replace("|", "\\|") for word in words) + " |")
    return "\n".join([*lines, ""])


def _kind(schema: dict[str, Any], defs: dict[str, Any]) -> str:
    """What may be written, in a few words."""
    if schema.get("pattern") == VARIABLE:
        return ""
    if "$ref" in schema:
        return "mapping"
    if "anyOf" in schema:
        words = [_kind(part, defs) for part in schema["anyOf"]]
        return " or ".join(dict.fromkeys(word for word in words if word))
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{json.dumps(schema['const']).strip(chr(34))}`"
    kind = schema.get("type")
    if kind == "array":
        return f"list of {_kind(schema['items'], defs)}"
    if kind == "object":
        inner = schema.get("additionalProperties") or next(
            iter(schema.get("patternProperties", {}).values()), None
        )
        return f"mapping of names to {_kind(inner, defs)}" if isinstance(inner, dict) else "mapping"
    if kind == "integer":
        return f"number, {schema['minimum']} to {schema['maximum']}" if "minimum" in schema else "number"
    if kind == "number":
        return f"number, {schema['minimum']:g} to {schema['maximum']:g}" if "minimum" in schema else "number"
    if kind == "boolean":
        return "`true` or `false`"
    if isinstance(kind, list):
        return " or ".join(
            "`null`" if name == "null" else "text" for name in kind if name in ("null", "string")
        )
    if "ms|s" in schema.get("pattern", ""):
        return "duration"
    if "%" in schema.get("pattern", ""):
        return "share"
    return "size" if "KiB" in schema.get("pattern", "") else "text"


def _refused(places: dict[type[Section], str]) -> str:
    lines = [
        "### Not supported yet",
        "",
        "These keys are planned. A file that has one is refused, so that nothing is ignored in silence.",
        "",
        "| Key | What it will be |",
        "|---|---|",
    ]
    for model, place in places.items():
        for key, what in model.later.items():
            lines.append(f"| `{f'{place}.{key}'.removeprefix('.')}` | {what} |")
    lines.append("| `listeners[].proxy_protocol: true` | the PROXY protocol (`false` is accepted) |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    page = Path(sys.argv[1])
    page.write_text(with_reference(page.read_text("utf-8")), "utf-8")
