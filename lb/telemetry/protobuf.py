"""The exposition as Prometheus' protobuf: the only format that can hold native histograms.

Lives here: the message MetricFamily and what is in it (io/prometheus/client/metrics.proto), written as bytes,
each with its length before it. Must not live here: what is shown (lb.telemetry.metrics).

Written by hand because no maintained package has the messages, and because what a general library takes for
5,000 routes is a multiple of it. A histogram has both kinds of buckets, as those of Prometheus' own libraries
do.
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import accumulate

from prometheus_client.core import Metric

from lb.telemetry import layout, traffic
from lb.telemetry.buckets import CLASSIC_ENDS, FIRST, NATIVE_ENDS, SCHEMA, ZERO_THRESHOLD
from lb.telemetry.cells import Cells
from lb.telemetry.exemplars import Exemplar
from lb.telemetry.rows import BlockKind, Identity, Row

MEDIA = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"

_TYPES = {"counter": 0, "gauge": 1, "histogram": 4}
_VALUES = {
    "counter": b"\x1a\x09\x09",
    "gauge": b"\x12\x09\x09",
}  # Metric.counter or .gauge, its only field: value
_DOUBLE = struct.Struct("<d").pack
_SMALL = [bytes((number,)) for number in range(128)]
_BOUNDS = [bound / 1e6 for bound in layout.BOUNDS_US]
_UPPER = [b"\x11" + _DOUBLE(bound) for bound in _BOUNDS]  # Bucket.upper_bound


def _varint(number: int) -> bytes:
    """`number`: not negative."""
    if number < 128:
        return _SMALL[number]
    found = bytearray()
    while number >= 128:
        found.append(number & 127 | 128)
        number >>= 7
    found.append(number)
    return bytes(found)


def _signed(number: int) -> bytes:
    """sint32 and sint64."""
    return _varint(number << 1 if number >= 0 else (-number << 1) - 1)


def _field(number: int, content: bytes) -> bytes:
    """A field of a length: a text, a message or packed numbers. `number` < 16."""
    return _SMALL[number << 3 | 2] + _varint(len(content)) + content


def _label(name: str, value: str) -> bytes:
    return _field(1, _field(1, name.encode()) + _field(2, value.encode()))


def _family(name: str, text: str, kind: str, metrics: Sequence[bytes]) -> bytes:
    """With its length before it."""
    head = _field(1, name.encode()) + _field(2, text.encode()) + b"\x18" + _SMALL[_TYPES[kind]]
    whole = head + b"".join([b"\x22" + _varint(len(metric)) + metric for metric in metrics])
    return _varint(len(whole)) + whole


def small(metric: Metric) -> bytes:
    """A family of counters or gauges that prometheus-client collected."""
    value = _VALUES[metric.type]
    metrics = [
        b"".join(_label(*label) for label in sample.labels.items()) + value + _DOUBLE(sample.value)
        for sample in metric.samples
    ]
    name = metric.name + ("_total" if metric.type == "counter" else "")
    return _family(name, metric.documentation, metric.type, metrics)


def blocks(
    written: bytearray,
    kind: BlockKind,
    cells: Cells,
    rows: Sequence[Row],
    exemplars: Mapping[Identity, Exemplar],
) -> None:
    """Append all families of a kind of blocks; the exemplars are those of the histograms of routes."""
    first, second = kind.labels
    labelled = [(row, _label(first, row.identity[0]) + _label(second, row.identity[1])) for row in rows]
    for family in kind.families:
        name, at = family.name, family.at
        if family.type == "histogram":
            known = exemplars if family is traffic.EXEMPLARY else {}
            metrics = [
                labels + _field(7, histogram)
                for row, labels in labelled
                if (histogram := _histogram(row, cells, at, family.sum, known.get(row.identity)))
            ]
        else:
            value = _VALUES[family.type]
            if family.type == "counter":
                name += "_total"
            if "code" in family.labels:
                codes = [(digit, _label("code", f"{digit}xx") + value) for digit in range(1, 6)]
                metrics = [
                    labels + code + _DOUBLE(row.plain[at + digit])
                    for row, labels in labelled
                    for digit, code in codes
                    if row.plain[at + digit]
                ]
            elif words := traffic.WORDS.get(family.labels[-1]):
                states = [(place, _label(family.labels[-1], word) + value) for word, place in words]
                metrics = [
                    labels + state + _DOUBLE(row.plain[place])
                    for row, labels in labelled
                    for place, state in states
                ]
            else:
                metrics = [labels + value + _DOUBLE(row.plain[at]) for row, labels in labelled]
        written += _family(name, family.text, family.type, metrics)


def _histogram(row: Row, cells: Cells, at: int, total: int, exemplar: Exemplar | None) -> bytes:
    """The message Histogram; nothing where there is nothing in it."""
    native = row.filled(cells, at, NATIVE_ENDS)
    if not native:
        return b""
    zeros = native.pop(0)[1] if native[0][0] == 0 else 0
    parts = [
        b"\x08",
        _varint(zeros + sum(count for _, count in native)),
        b"\x11",
        _DOUBLE(row.plain[total] / 1e6),
    ]
    last, head = -1, b""
    below = accumulate(row.grouped(cells, at, CLASSIC_ENDS))
    for number, upper in zip(below, _UPPER, strict=False):
        if number != last:
            last, count = number, b"\x08" + _varint(number)
            head = b"\x1a" + _SMALL[len(count) + len(upper)] + count
        parts.append(head + upper)
    if exemplar is not None and (marked := bisect_left(_BOUNDS, exemplar.seconds)) < len(_BOUNDS):
        # At its classic bucket, which is where Prometheus before 2.51 looks for those of native histograms.
        place = marked - len(_UPPER)
        parts[place] = _field(3, parts[place][2:] + _field(3, _exemplar(exemplar)))
    parts.append(_NATIVE + _varint(zeros))
    spans, deltas = _positive(native)
    parts += [_field(12, span) for span in spans]
    parts.append(_field(13, deltas))
    return b"".join(parts)


# Histogram.schema, .zero_threshold, and the tag of .zero_count.
_NATIVE = b"\x28" + _signed(SCHEMA) + b"\x31" + _DOUBLE(ZERO_THRESHOLD) + b"\x38"


def _positive(native: Sequence[tuple[int, int]]) -> tuple[list[bytes], bytes]:
    """Runs of buckets that are not empty (BucketSpan), and the difference of each bucket to the one before in
    any run. `native`: counts by place, which is above 0, ascending; that of the bucket `number` is `number` -
    FIRST."""
    spans: list[bytes] = []
    deltas: list[bytes] = []
    last = 0
    after = began = end = -FIRST  # offsets count from the bucket with the number 0, then from the run before
    for place, count in native:
        if place != end:
            if end > began:
                spans.append(_span(began - after, end - began))
                after = end
            began = place
        end = place + 1
        deltas.append(_signed(count - last))
        last = count
    if native:
        spans.append(_span(began - after, end - began))
    return spans, b"".join(deltas)


def _span(offset: int, length: int) -> bytes:
    return b"\x08" + _signed(offset) + b"\x10" + _varint(length)


def _exemplar(exemplar: Exemplar) -> bytes:
    seconds, rest = divmod(exemplar.at, 1.0)
    moment = b"\x08" + _varint(int(seconds)) + b"\x10" + _varint(int(rest * 1e9))
    return _label("trace_id", exemplar.trace_id) + b"\x11" + _DOUBLE(exemplar.seconds) + _field(3, moment)
