"""What is written to the store: its keys, its records, and how they are read.

Lives here: the shape of each record. Must not live here: who writes it when (lb.cluster.desk,
lb.cluster.following).

    current/head      the revision in force (a Revision)
    revisions/N       what revision N was (a Revision)
    pieces/DIGEST/I   the documents, by their sha256, in pieces that fit the engine
    wishes/ID         what somebody asks of the leader (a Wish); its document is in wished/ID/I
    answers/ID        what the leader said to it (an Answer)
    nodes/NAME        what this node runs (a Report)
    rollout/progress  what a staged revision has shown so far (a Progress)
    overrides/all     what operators ordered of servers everywhere (Orders)
    obeyed/NAME       what this node obeys, where the store says something older (Orders)
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar

import msgspec

HEAD = "current/head"
PROGRESS = "rollout/progress"
MOST_TEXT = 300  # characters of a sentence: what is written fits into one value of any engine

Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
_Seen = Annotated[int, msgspec.Meta(ge=0, le=2**52)]  # what is given above it is a Count still
Moment = Annotated[
    float, msgspec.Meta(ge=0, le=32_503_680_000)
]  # unix seconds, to the year 3000: a date can be shown


class CorruptError(Exception):
    """An entry of the store is not there, not whole or makes no sense; the text names it."""


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """A publication that is for some nodes first. `first`: their names; `stable`: the revision that the
    others go on with; `watch`: seconds that the leader compares them. `errors`: by how much the share of
    failed requests may be above that of the others, 0 to 1; `latency`: how many times as long as theirs nine
    requests in ten may take; `requests`: with fewer on the first nodes nothing is decided."""

    first: list[str]
    stable: Count = 0
    watch: Annotated[float, msgspec.Meta(gt=0, le=86_400)] = 300.0
    errors: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.01
    latency: Annotated[float, msgspec.Meta(ge=1, le=1000)] = 2.0
    requests: Count = 100


class Revision(msgspec.Struct, frozen=True, kw_only=True):
    """One publication. `digest`: sha256 of the document, in hexadecimal; `size`: its bytes; `at`: unix
    seconds; `previous`: the revision that it took the place of; `restores`: the one whose document it has
    again, 0 for none; `stage`: for some nodes first, None: for all."""

    revision: Count
    epoch: Count
    digest: str
    size: Count
    pieces: Count
    author: str
    message: str
    at: Moment
    previous: Count
    restores: Count = 0
    stage: Stage | None = None


_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=300)]
_Time = Annotated[float, msgspec.Meta(ge=0, le=253_402_300_799)]  # the end of the year 9999, unix seconds


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator ordered of one server everywhere; as lb.upstream.status.Override. `number`: of the
    Orders that it came with."""

    service: _Name
    address: _Name
    mode: Literal["drain", "maintenance", "up", "auto"] = "auto"
    weight: Annotated[float, msgspec.Meta(gt=0, le=100)] | None = None
    author: Annotated[str, msgspec.Meta(max_length=100)] = ""
    reason: Annotated[str, msgspec.Meta(max_length=500)] = ""
    since: _Time = 0.0
    until: _Time = 0.0
    number: Annotated[int, msgspec.Meta(ge=0)] = 0


class Orders(msgspec.Struct, frozen=True):
    """All orders in force. `number` grows by one with each that is given or lifted; `epoch`: of the leader
    that wrote it; `author`: who gave or lifted the last one."""

    number: Annotated[int, msgspec.Meta(ge=0)] = 0
    epoch: Annotated[int, msgspec.Meta(ge=0)] = 0
    orders: list[Order] = []
    author: str = ""


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """`kind`: push, rollback, promote, abort, resign, override or clear. `base`: the revision (of an order:
    the order's number, 0 for none) that it is meant to take the place of; None: whichever there is.
    `revision`: of a rollback. `file`: what the author calls the document. `order`: what is ordered, or of
    which server everything is lifted. `at`: unix seconds. `stage`: of a push to some nodes first; `stable` is
    the leader's to say."""

    kind: str
    author: str
    at: Moment
    message: str = ""
    base: Count | None = None
    revision: Count = 0
    file: str = ""
    digest: str = ""
    size: Count = 0
    pieces: Count = 0
    stage: Stage | None = None
    order: Order | None = None


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """`error`: a word, "" where it was done. `revision`: what is in force now, or the Orders' number.
    `problems`: of a document that is not valid, with the keys file, line, column, path, message."""

    at: Moment
    revision: Count = 0
    error: str = ""
    message: str = ""
    problems: list[dict[str, str | int]] = []


class Traffic(msgspec.Struct, frozen=True, kw_only=True):
    """Requests that were answered, those of them that failed, and how long they took: a count for each bucket
    of lb.telemetry.layout.BOUNDS_US. `life`: counts of two lives of a node cannot be compared."""

    life: float = 0.0
    requests: Count = 0
    failures: Count = 0
    buckets: Annotated[list[Count], msgspec.Meta(max_length=100)] = []


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What a node runs: `revision` 0 is its own file. `refused`: the revision that it could not put in force,
    0 for none, and why as `error`. `seen`, `seen_epoch`: the highest revision and epoch that it saw. `at`:
    unix seconds. `traffic`: since it started, while a staged revision is watched."""

    node: str
    revision: Count
    epoch: Count
    generation: Count
    at: Moment
    refused: Count = 0
    error: str = ""
    seen: _Seen = 0
    seen_epoch: _Seen = 0
    traffic: Traffic | None = None


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """What the staged `revision` has shown in `watched` seconds, on the nodes that run it and on the others;
    `text` in words."""

    revision: Count
    watched: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    first: Traffic = Traffic()
    others: Traffic = Traffic()
    text: str = ""


R = TypeVar("R", bound=msgspec.Struct)


def cut(text: str) -> str:
    """At most MOST_TEXT characters of it."""
    return text if len(text) <= MOST_TEXT else text[: MOST_TEXT - 1] + "…"


def encode(record: msgspec.Struct) -> bytes:
    return msgspec.json.encode(record)


def decode(key: str, value: bytes, kind: type[R]) -> R:
    """Raises CorruptError."""
    try:
        return msgspec.json.decode(value, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CorruptError(f"the entry {key} makes no sense: {error}") from None
