"""A load out of a JSON access log.

Lives here: reading lines, strictly; what is no line of the service's requests is counted. Must not live here:
files, and where requests go.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated

import msgspec

from lb.simulate.load import MOST, Load, LoadError

MOST_LINE = 64 * 1024  # bytes; a longer line is a bad one
_Seconds = Annotated[float, msgspec.Meta(ge=0, le=86_400)]


class Line(msgspec.Struct):
    """What a line says of an exchange: `time` is that of its end, `duration` and `ttfb` are seconds. A log
    may leave out what has a default (`access_log.redact`)."""

    time: Annotated[datetime, msgspec.Meta(tz=True)]
    service: str
    duration: _Seconds
    method: str = "GET"
    host: str = ""
    target: str = "/"
    ttfb: _Seconds | None = None
    client: str = ""
    sample: Annotated[float, msgspec.Meta(gt=0, le=1)] = 1.0


class Reading(msgspec.Struct):
    """`bad`: lines that are none of an access log; `others`: of other services; `sampled`: lines that stand
    for more requests than themselves."""

    load: Load
    bad: int = 0
    others: int = 0
    sampled: int = 0


def recorded(lines: Iterable[bytes], service: str) -> Reading:
    """The requests to `service`, in the order in which they came. A request takes its `ttfb` to serve, or its
    `duration` where no server answered. Raises LoadError where there are none."""
    decoder = msgspec.json.Decoder(Line)
    found: list[tuple[float, float, int]] = []
    senders: dict[tuple[str, bytes], int] = {}
    reading = Reading(Load(0.0))
    for text in lines:
        try:
            line = decoder.decode(text) if len(text) <= MOST_LINE else None
        except msgspec.MsgspecError:
            line = None
        if line is None:
            reading.bad += 1
        elif line.service != service:
            reading.others += 1
        else:
            reading.sampled += line.sample < 1
            sender = senders.setdefault((line.client, _head(line)), len(senders))
            seconds = line.duration if line.ttfb is None else line.ttfb
            found.append((line.time.timestamp() - line.duration, seconds, sender))
            if len(found) > MOST:
                raise LoadError(f"the log has more than {MOST:,} requests: take fewer with --last")
    if not found:
        raise LoadError(
            f"no line of the log is a request to the service {service}"
            f" ({reading.others:,} to other services, {reading.bad:,} that are none of a JSON access log)"
        )
    found.sort()
    load = reading.load
    load.senders = list(senders)
    for at, seconds, sender in found:
        load.at.append(at - found[0][0])
        load.seconds.append(seconds)
        load.sender.append(sender)
    load.seconds_long = max(load.at[-1], 1e-3)
    return reading


def _head(line: Line) -> bytes:
    return f"{line.method} {line.target} HTTP/1.1\r\nhost: {line.host}\r\n\r\n".encode(errors="replace")
