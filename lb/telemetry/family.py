"""What a metric family is.

Lives here: the record, and short ways to make one. Must not live here: which families there are
(lb.telemetry.families).
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Type = Literal["counter", "gauge", "histogram"]


class Family(NamedTuple):
    """`name` without `_total`. `at`: the cell in the block (the first of several); `sum`: that of the sum of
    a histogram."""

    name: str
    type: Type
    labels: tuple[str, ...]
    text: str
    at: int = 0
    sum: int = 0


def counter(name: str, labels: tuple[str, ...], text: str, at: int = 0) -> Family:
    return Family(name, "counter", labels, text, at)


def gauge(name: str, labels: tuple[str, ...], text: str, at: int = 0) -> Family:
    return Family(name, "gauge", labels, text, at)


def histogram(name: str, labels: tuple[str, ...], text: str, at: int, total: int) -> Family:
    return Family(name, "histogram", labels, text, at, total)
