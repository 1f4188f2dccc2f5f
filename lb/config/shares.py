"""Shares: percentages as the file writes them (20%), and as the rest of lb has them (0.2)."""

from __future__ import annotations

import re

from lb.config.document import scalar
from lb.config.environment import Substituted
from lb.config.problems import shown, wrong
from lb.config.values import Checked, or_variable

_SHARE = re.compile(r"([0-9]+(?:\.[0-9]{1,2})?)%\Z")
_PATTERN = r"^[0-9]+(\.[0-9]{1,2})?%$"


def percent(least: float = 0.0, most: float = 100.0) -> Checked:
    """A share from 0 to 1, written in percent from `least` to `most`, with two digits after the point. Where
    `least` is 0, a bare 0 is allowed."""
    expected = f"a share from {least:g}% to {most:g}%" if least or most < 100 else "a share such as 20%"

    def check(value: object) -> float:
        if isinstance(value, Substituted):
            value = scalar(value)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            if value == 0 and least == 0:
                return 0.0
            better = f"{value * 100:g}%" if isinstance(value, float) and value <= 1 else f"{value:g}%"
            raise wrong(f"found {value} without %; expected {expected} (did you mean {better}?)")
        found = _SHARE.match(value) if isinstance(value, str) else None
        if found is None or not least <= float(found[1]) <= most:
            raise wrong(f"found {shown(value)}; expected {expected}")
        return round(float(found[1]) * 100) / 10_000

    written: dict[str, object] = {"type": "string", "pattern": _PATTERN, "examples": [f"{most / 2:g}%"]}
    schema = or_variable(written, {"const": 0}) if least == 0 else or_variable(written)
    return Checked(check, schema, share_text)


def share_text(share: float) -> str | int:
    """A share as the configuration writes it."""
    return f"{round(share * 10_000) / 100:g}%" if share else 0
