"""A push to some nodes first, as the admin API is asked for it: from a query to a Stage.

Lives here: the parameters, their ranges and what is said of others. Must not live here: what a rollout does
(lb.cluster.rollout).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from lb.cluster.records import Stage
from lb.config.values import duration

MOST_NODES = 100
SHORTEST, LONGEST = 1.0, 24 * 3600.0  # seconds of a watch

_NODE = re.compile(r"[A-Za-z0-9._-]{1,100}\Z")


def stage_of(query: Mapping[str, str]) -> Stage | None:
    """None where all nodes are meant. Raises ValueError with a sentence for who asked."""
    given = {name: query[name] for name in READ if name in query}
    if "first" not in query:
        if given:
            raise ValueError(f"{next(iter(given))} has no effect without first: the nodes that try it")
        return None
    names = list(dict.fromkeys(query["first"].split(",")))
    for name in names:
        if not _NODE.match(name):
            raise ValueError(f"first: found {name[:100]!r}; expected names of nodes, separated by commas")
    if len(names) > MOST_NODES:
        raise ValueError(f"first: {len(names)} nodes; at most {MOST_NODES}")
    found = {}
    for name, text in given.items():
        try:
            found[name] = READ[name](text)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    return msgspec.structs.replace(Stage(first=names), **found)


def _watch(text: str) -> float:
    seconds: float = duration().check(text)
    if not SHORTEST <= seconds <= LONGEST:
        raise ValueError(f"found {text}; expected 1s to 24h")
    return seconds


def _errors(text: str) -> float:
    found = re.fullmatch(r"([0-9]{1,3}(?:\.[0-9]{1,3})?)%", text)
    if found is None or float(found[1]) > 100:
        raise ValueError(f"found {text[:40]!r}; expected a share such as 1%")
    return float(found[1]) / 100


def _latency(text: str) -> float:
    if not re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,3})?", text) or float(text) < 1:
        raise ValueError(f"found {text[:40]!r}; expected how many times the others' time, from 1 to 999")
    return float(text)


def _requests(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise ValueError(f"found {text[:40]!r}; expected a number of requests")
    return int(text)


READ: dict[str, Callable[[str], Any]] = {
    "watch": _watch, "errors": _errors, "latency": _latency, "requests": _requests
}  # fmt: skip
