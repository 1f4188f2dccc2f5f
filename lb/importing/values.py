"""Values that all formats share, as lb writes them.

Lives here: what has no counterpart, times, regular expressions. Must not live here: one format's grammar.
"""

from __future__ import annotations

import re


class UnmappableError(ValueError):
    """A value has no counterpart; the text says why."""


def milliseconds(total: int) -> str | int:
    """A number of milliseconds as lb writes durations."""
    for unit, size in (("h", 3_600_000), ("m", 60_000), ("s", 1000)):
        if total and total % size == 0:
            return f"{total // size}{unit}"
    return f"{total}ms" if total else 0


def regex(value: str, ignore_case: bool = False) -> str:
    """A regular expression of PCRE as Python's. Raises UnmappableError."""
    made = ("(?i)" if ignore_case else "") + re.sub(r"\(\?<(?![=!])", "(?P<", value)
    try:
        re.compile(made)
    except re.error as error:
        raise UnmappableError(f"the regular expression is none of Python's: {error}") from None
    return made
