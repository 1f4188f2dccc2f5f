"""Values: numbers, truth, text, durations and sizes, as types of the models.

Lives here: one type per kind of value, with the message for everything that it is not, its JSON
Schema, and how it is written back. Must not live here: addresses (lb.config.addresses) and what HTTP
says about text (lb.config.fields).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from lb.config.document import scalar
from lb.config.environment import Substituted
from lb.config.problems import nearest, one_of, shown, wrong

YEAR = 365 * 24 * 3600.0  # longest duration, seconds

VARIABLE = r"\$\{[A-Z_]"  # where a JSON Schema allows a reference to the environment

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)\Z")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)(B|KiB|MiB|GiB|KB|MB|GB)\Z")
_BYTES = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "KB": 10**3, "MB": 10**6, "GB": 10**9}

DURATION_WORDS = "a duration such as 250ms, 5s, 2m or 1h"
SIZE_WORDS = "a size such as 512B, 64KiB or 10MiB"


@dataclass(frozen=True)
class Checked:
    """Marks a field whose values `check` reads: it gives the value, or raises. `write` gives back what
    the file would say, where that is not the value itself."""

    check: Callable[[object], Any]
    schema: dict[str, Any] = field(compare=False)
    write: Callable[[Any], Any] | None = None

    def __get_pydantic_core_schema__(self, source: Any, proceed: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.check)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, proceed: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return dict(self.schema)


@dataclass(frozen=True)
class Written:
    """Marks a field that is written back by `write`, where what reads it does not know."""

    write: Callable[[Any], Any]


@dataclass(frozen=True)
class Sequence:
    """Marks a tuple that is written as a list; `single`: or as one value, and never empty."""

    single: bool = False

    def __get_pydantic_core_schema__(self, source: Any, proceed: GetCoreSchemaHandler) -> CoreSchema:
        check = _one_or_more if self.single else _only_list
        return core_schema.no_info_before_validator_function(check, proceed(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, proceed: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        written = dict(proceed(schema))
        return {"anyOf": [written["items"], {**written, "minItems": 1}]} if self.single else written


def or_variable(*written: dict[str, Any]) -> dict[str, Any]:
    """The schema of what is written, or of a reference to the environment in its place."""
    return {"anyOf": [*written, {"type": "string", "pattern": VARIABLE}]}


def whole(least: int, most: int) -> Checked:
    """A whole number from `least` to `most`."""

    def check(value: object) -> int:
        if isinstance(value, Substituted):
            value = scalar(value)
        if isinstance(value, bool) or not isinstance(value, int):
            hint = ""
            if isinstance(value, str) and re.fullmatch(r"-?[0-9]+", value):
                hint = f" (remove the quotes: {value})"
            raise wrong(f"found {shown(value)}; expected a whole number from {least} to {most}{hint}")
        if not least <= value <= most:
            raise wrong(f"found {value}; expected a whole number from {least} to {most}")
        return value

    return Checked(check, or_variable({"type": "integer", "minimum": least, "maximum": most}))


def fraction(least: float, most: float) -> Checked:
    """A number from `least` to `most`."""

    def check(value: object) -> float:
        if isinstance(value, Substituted):
            value = scalar(value)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most:
            raise wrong(f"found {shown(value)}; expected a number from {least:g} to {most:g}")
        return float(value)

    schema = or_variable({"type": "number", "minimum": least, "maximum": most})
    return Checked(check, schema, lambda value: int(value) if value == int(value) else value)


def _truth(value: object) -> bool:
    if isinstance(value, Substituted):
        value = scalar(value)
    if not isinstance(value, bool):
        plain = {"yes": "true", "on": "true", "no": "false", "off": "false"}.get(str(value).lower())
        hint = f" (write {plain})" if plain and isinstance(value, str) else ""
        raise wrong(f"found {shown(value)}; expected true or false{hint}")
    return value


Truth = Annotated[bool, Checked(_truth, or_variable({"type": "boolean"}))]


def plain_text(value: object) -> str:
    """Text as the operator wrote it; raises for anything else."""
    if not isinstance(value, str):
        simple = isinstance(value, (bool, int, float))
        hint = f' (quote it: "{shown(value)}")' if simple else ""
        raise wrong(f"found {shown(value)}; expected text{hint}")
    return str(value)


def text(check: Callable[[str], str] | None = None, **schema: object) -> Checked:
    """Text that `check` accepts; `check` gives the normal form, or raises."""

    def validate(value: object) -> str:
        found = plain_text(value)
        return found if check is None else check(found)

    return Checked(validate, {"type": "string", **schema})


Text = Annotated[str, text()]


def choice(*names: str) -> Checked:
    """One of `names`."""

    def check(value: str) -> str:
        if value not in names:
            raise wrong(f"found {shown(value)}; expected {one_of(names)}{nearest(value, names)}")
        return value

    return Checked(text(check).check, or_variable({"enum": list(names)}))


def duration(zero: str = "") -> Checked:
    """A duration: seconds as a float, whole milliseconds. `zero`: what a bare 0 means; "": not allowed."""

    def check(value: object) -> float:
        expected = DURATION_WORDS + (f", or 0 for {zero}" if zero else "")
        if isinstance(value, Substituted):
            value = scalar(value)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            if value == 0 and zero:
                return 0.0
            if value == 0:
                raise wrong(f"found 0; a limit is needed here: {DURATION_WORDS}")
            raise wrong(f"found {value} without a unit; write {expected} (did you mean {value}s?)")
        found = _DURATION.match(value) if isinstance(value, str) else None
        if found is None:
            raise wrong(f"found {shown(value)}; expected {expected}{_unit(value, _SECONDS)}")
        milliseconds = float(found[1]) * _SECONDS[found[2]] * 1000
        if abs(milliseconds - round(milliseconds)) > 1e-6 * max(1.0, milliseconds):
            raise wrong(f"found {shown(value)}; the smallest step is 1ms")
        seconds = round(milliseconds) / 1000
        if seconds > YEAR:
            raise wrong(f"found {shown(value)}; the longest duration is a year (8760h)")
        if seconds == 0 and not zero:
            raise wrong(f"found {shown(value)}; a limit is needed here: {DURATION_WORDS}")
        return seconds

    return Checked(check, _unit_schema(_DURATION, bool(zero), "250ms", "5s"), duration_text)


def size(zero: str = "") -> Checked:
    """A size: bytes as an int. `zero`: what a bare 0 means; "": not allowed."""

    def check(value: object) -> int:
        expected = SIZE_WORDS + (f", or 0 for {zero}" if zero else "")
        if isinstance(value, Substituted):
            value = scalar(value)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            if value == 0 and zero:
                return 0
            if value == 0:
                raise wrong(f"found 0; a limit is needed here: {SIZE_WORDS}")
            raise wrong(f"found {value} without a unit; write {expected} (did you mean {value}B?)")
        found = _SIZE.match(value) if isinstance(value, str) else None
        if found is None:
            raise wrong(f"found {shown(value)}; expected {expected}{_unit(value, _BYTES)}")
        count = float(found[1]) * _BYTES[found[2]]
        if count != int(count) or count > 2**50:
            raise wrong(f"found {shown(value)}; expected a whole number of bytes, at most 1048576GiB")
        if count == 0 and not zero:
            raise wrong(f"found {shown(value)}; a limit is needed here: {SIZE_WORDS}")
        return int(count)

    return Checked(check, _unit_schema(_SIZE, bool(zero), "64KiB", "10MiB"), size_text)


def _unit(value: object, units: dict[str, Any]) -> str:
    """The nearest right spelling of a wrong unit: 5sec → 5s, 64kb → 64KB, 10M → 10MiB."""
    found = re.fullmatch(r"([0-9.]+)\s*([A-Za-z]+)", value) if isinstance(value, str) else None
    if found is None:
        return ""
    number, unit = found[1], found[2].lower()
    times = "h" in units
    if times and unit in {"d", "day", "days"}:
        return f" (did you mean {float(number) * 24:g}h?)"
    known = {name.lower(): name for name in units} | (_TIME_WORDS if times else _SIZE_WORDS)
    return f" (did you mean {number}{known[unit]}?)" if unit in known else ""


_TIME_WORDS = {
    **dict.fromkeys(("sec", "secs", "second", "seconds"), "s"),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), "m"),
    **dict.fromkeys(("hour", "hours"), "h"),
}
_SIZE_WORDS = {"k": "KiB", "m": "MiB", "g": "GiB", "byte": "B", "bytes": "B"}


def _unit_schema(pattern: re.Pattern[str], zero: bool, *examples: str) -> dict[str, Any]:
    expression = "^" + pattern.pattern.replace("(?:", "(").removesuffix(r"\Z") + "$"
    written: dict[str, Any] = {"type": "string", "pattern": expression, "examples": list(examples)}
    return or_variable(written, {"const": 0}) if zero else or_variable(written)


def duration_text(seconds: float) -> str | int:
    """A duration as the configuration writes it, in the largest unit that keeps it whole."""
    milliseconds = round(seconds * 1000)
    if milliseconds == 0:
        return 0
    for unit in ("h", "m", "s"):
        length = round(_SECONDS[unit] * 1000)
        if milliseconds % length == 0:
            return f"{milliseconds // length}{unit}"
    return f"{milliseconds}ms"


def size_text(count: int) -> str | int:
    """A size as the configuration writes it, in the largest unit that keeps it whole."""
    if count == 0:
        return 0
    for unit in ("GiB", "MiB", "KiB"):
        if count % _BYTES[unit] == 0:
            return f"{count // _BYTES[unit]}{unit}"
    return f"{count}B"


def _one_or_more(value: object) -> object:
    """One or more: a single value stands for a list of one."""
    if isinstance(value, (list, tuple)):
        if not value:
            raise wrong("found an empty list; write at least one value, or leave the key out")
        return tuple(value)
    if isinstance(value, dict) or value is None:
        raise wrong(f"found {shown(value)}; expected a value or a list of values")
    return (value,)


def _only_list(value: object) -> object:
    if not isinstance(value, (list, tuple)):
        raise wrong(f"found {shown(value)}; expected a list")
    return tuple(value)


LIST = Sequence()
ONE_OR_MORE = Sequence(single=True)
