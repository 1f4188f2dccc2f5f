"""Decision: what happened to one request, kept where somebody may ask for it.

Lives here: the record that a worker makes at the end of an exchange that is kept, and why one is kept. Must
not live here: when that is (lb.proxy.keeping).
"""

from __future__ import annotations

from enum import IntFlag

from msgspec import Struct


class Kept(IntFlag):
    """Why a Decision was made; several may hold."""

    FAILED = 1  # the outcome is not DONE, or the status is 500 or more
    SLOW = 2
    SAMPLE = 4
    TRACE = 8
    DEBUG = 16
    TAIL = 32


class Attempt(Struct, frozen=True, array_like=True):
    """One attempt. Seconds: `began` after the exchange did, `duration` to its end, `connect` to open its
    connection, -1 where none was opened. `status` 0: no response; `flag` of lb.outcomes; `reason`: the
    lb.decisions.Select of its pick; `word`: of a lb.decisions.Attempt, "" for none; `reused`: its connection
    had served before; `span_id`: "" where it has none."""

    server: str
    began: float
    duration: float
    status: int
    flag: str
    reason: int
    word: str = ""
    reused: bool = False
    connect: float = -1.0
    span_id: str = ""


class Decision(Struct, frozen=True, array_like=True):
    """One exchange. `time`, `began`: its end and beginning, unix seconds; `duration`, `ttfb`, `connect` and
    `queue` in seconds, as in the access log (-1: unknown, or it did not happen). `outcome`, `reason`: values
    of lb.outcomes.Outcome and lb.decisions.Select; `kept`: Kept. Names are "" where there is none. `tails`:
    the tails that it is for. Text of the client's is cut off where it is long. `trace_id`, `span_id`,
    `parent_id`, `trace_flags`: as in a traceparent; `scheme`: by which the client asked; `sent`: the target
    that servers were asked for; both only where it was traced."""

    time: float
    began: float
    request_id: str
    client: str
    listener: str
    route: str
    service: str
    server: str
    method: str
    host: str
    target: str
    protocol: str
    status: int
    bytes_in: int
    bytes_out: int
    duration: float
    ttfb: float
    connect: float
    queue: float
    flag: str
    outcome: int
    reason: int
    generation: int
    worker: int
    kept: int
    attempts: tuple[Attempt, ...] = ()
    tails: tuple[int, ...] = ()
    trace_id: str = ""
    span_id: str = ""
    parent_id: str = ""
    trace_flags: str = ""
    scheme: str = ""
    sent: str = ""
