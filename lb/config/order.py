"""Two keys of a section of which one may not be above the other, defaults included."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lb.config.problems import wrong
from lb.config.section import Finding, Section
from lb.config.values import Checked


def in_order(section: type[Section], given: Mapping[str, Any], low: str, high: str) -> Iterator[Finding]:
    """A finding where `low` is above `high`, at the one that was written. Values that cannot be read are
    reported by their fields."""
    try:
        first, first_text = _value(section, given, low)
        second, second_text = _value(section, given, high)
    except ValueError:
        return
    if first > second:
        written = high if high in given else low
        yield (written,), wrong(f"{low} ({first_text}) is above {high} ({second_text})")


def _value(section: type[Section], given: Mapping[str, Any], key: str) -> tuple[float, str]:
    field = section.model_fields[key]
    mark = next(mark for mark in field.metadata if isinstance(mark, Checked))
    value = mark.check(given[key]) if key in given else field.default
    return value, str(mark.write(value) if mark.write else value)
