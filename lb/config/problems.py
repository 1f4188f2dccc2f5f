"""Problems: what is wrong in a configuration, where, and what to do about it.

Lives here: the record, the error that carries all of them, and the few words that every message is
made of. Must not live here: any rule.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from pydantic_core import PydanticCustomError

SHOWN = 60  # characters of a wrong value that a message repeats
LISTED = 24  # names that a message lists in full

KEY_PROBLEM = "lb_key"  # the problem is about a key: point at the key, not at its value
VALUE_PROBLEM = "lb_value"


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding. `line` and `column` count from 1; 0: not known (the whole file, or no file)."""

    file: str
    line: int
    column: int
    path: str  # of the key: routes[api].timeout.connect
    message: str
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        place = ":".join([self.file, *(str(number) for number in (self.line, self.column) if number)])
        return ": ".join(part for part in (place, self.path, self.message) if part)


class ConfigError(Exception):
    """A configuration that cannot be used. `problems` are all of them, in the order of the files."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = sorted(problems, key=lambda problem: (problem.file, problem.line, problem.column))
        super().__init__("\n".join(str(problem) for problem in self.problems))


def wrong(message: str) -> PydanticCustomError:
    """An error about a value; its message goes to the operator as it is."""
    return PydanticCustomError(VALUE_PROBLEM, message)


def wrong_key(message: str) -> PydanticCustomError:
    """The same, about a key."""
    return PydanticCustomError(KEY_PROBLEM, message)


def shown(value: object) -> str:
    """What was found, as a message names it."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        text = value if len(value) <= SHOWN else value[: SHOWN - 1] + "…"
        return '"' + "".join(c if c.isprintable() else repr(c)[1:-1] for c in text) + '"'
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, (list, tuple)):
        return "a list"
    return str(value)


def one_of(names: Iterable[str]) -> str:
    """The names that are allowed, cut off where there are too many to read."""
    listed = list(names)
    if len(listed) > LISTED:
        return ", ".join(listed[:LISTED]) + f", … ({len(listed)} in all)"
    return ", ".join(listed)


def nearest(wanted: str, names: Iterable[str]) -> str:
    """` (did you mean "x"?)`, or nothing where no name is near."""
    plain = {name.lower().replace("-", "_"): name for name in names}
    found = get_close_matches(wanted.lower().replace("-", "_"), list(plain), n=1, cutoff=0.6)
    return f' (did you mean "{plain[found[0]]}"?)' if found else ""
