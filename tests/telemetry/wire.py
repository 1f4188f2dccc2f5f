"""Reads delimited protobuf of io.prometheus.client.MetricFamily, by the numbers in metrics.proto alone."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

TYPES = {0: "counter", 1: "gauge", 4: "histogram"}


class Exemplar(NamedTuple):
    labels: dict[str, str]
    value: float
    at: float


class Histogram(NamedTuple):
    """`native`: counts by the number of the bucket."""

    count: int
    sum: float
    classic: dict[float, int]
    schema: int
    zero_threshold: float
    zero_count: int
    native: dict[int, int]
    exemplars: dict[float, Exemplar]


class Family(NamedTuple):
    name: str
    type: str
    text: str
    samples: dict[tuple[tuple[str, str], ...], float | Histogram]


def families(stream: bytes) -> Iterator[Family]:
    at = 0
    while at < len(stream):
        length, at = _varint(stream, at)
        assert at + length <= len(stream), "cut off"
        found = _message(stream[at : at + length])
        at += length
        metrics = [_message(one) for one in found.get(4, [])]
        samples = {_labels(one.get(1, [])): _value(one) for one in metrics}
        assert len(samples) == len(metrics), "a label set twice"
        yield Family(found[1][0].decode(), TYPES[found[3][0]], found[2][0].decode(), samples)


def _value(metric: dict[int, list]) -> float | Histogram:
    (kind,) = metric.keys() - {1}
    inner = _message(metric[kind][0])
    return _histogram(inner) if kind == 7 else inner[1][0]


def _histogram(found: dict[int, list]) -> Histogram:
    classic, exemplars = {}, {}
    for one in map(_message, found.get(3, [])):
        classic[one[2][0]] = one[1][0]
        if 3 in one:
            said = _message(one[3][0])
            moment = _message(said[3][0])
            at = moment[1][0] + moment[2][0] / 1e9
            exemplars[one[2][0]] = Exemplar(dict(_labels(said[1])), said[2][0], at)
    native, place, count, deltas = {}, 0, 0, _packed(found[13][0])
    for span in map(_message, found.get(12, [])):
        place += _zigzag(span[1][0])
        for _ in range(span[2][0]):
            count += _zigzag(deltas.pop(0))
            native[place] = count
            place += 1
    assert not deltas
    return Histogram(
        found[1][0], found[2][0], classic, _zigzag(found[5][0]), found[6][0], found[7][0], native, exemplars
    )


def _labels(pairs: list[bytes]) -> tuple[tuple[str, str], ...]:
    return tuple((one[1][0].decode(), one[2][0].decode()) for one in map(_message, pairs))


def _message(content: bytes) -> dict[int, list]:
    found: dict[int, list] = {}
    at = 0
    while at < len(content):
        tag, at = _varint(content, at)
        match tag & 7:
            case 0:
                value, at = _varint(content, at)
            case 1:
                (value,) = struct.unpack_from("<d", content, at)
                at += 8
            case 2:
                length, at = _varint(content, at)
                assert at + length <= len(content)
                value, at = content[at : at + length], at + length
            case other:
                raise AssertionError(f"wire type {other}")
        found.setdefault(tag >> 3, []).append(value)
    return found


def _varint(content: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (content[at] & 127) << shift
        at, shift = at + 1, shift + 7
        if content[at - 1] < 128:
            return value, at


def _packed(content: bytes) -> list[int]:
    found, at = [], 0
    while at < len(content):
        value, at = _varint(content, at)
        found.append(value)
    return found


def _zigzag(number: int) -> int:
    return number >> 1 if number & 1 == 0 else -(number >> 1) - 1
