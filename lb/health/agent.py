"""The agent probe: one line from a small program beside the server, in the words of HAProxy's agent-check.

Lives here: the exchange, the grammar of the line, what holds from line to line. Must not live here: what
the words do to a server (lb.upstream.status). A line is taken as a whole or not at all.
"""

from __future__ import annotations

import asyncio
import re
from typing import TypeVar

from lb.health.attempt import Attempt, Outcome
from lb.health.connect import connect
from lb.health.faults import shown
from lb.health.plan import AgentProbe, AgentState

MOST_LINE = 1024  # bytes, with its end
MOST_WEIGHT = 1000  # percent
MOST_REASON = 200  # characters that are kept

_ADMIN = {"ready": "", "drain": "drain", "maint": "maint"}
_DOWN = ("down", "fail", "failed", "stopped")
_SEPARATORS = re.compile(r"[ \t,]+")
_PERCENT = re.compile(r"([0-9]{1,4})%\Z")

T = TypeVar("T")


class LineError(ValueError):
    """An agent's line that cannot be understood."""


async def probe(attempt: Attempt, settings: AgentProbe) -> Outcome:
    """Raises as `connect` does."""
    done: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    transport, _ = await connect(attempt, lambda: Listening(done), settings.port, None)
    try:
        attempt.awaits = "line"
        if settings.send:
            transport.write(settings.send.encode())
        received = await done
    finally:
        transport.abort()
    try:
        state = heard(attempt.before, received)
    except LineError as problem:
        return Outcome(False, f"the agent's line cannot be used: {problem}")
    return Outcome(True, received.decode().strip()[:MOST_REASON], state)


class Listening(asyncio.Protocol):
    """The connection; `done` gets the line, without what follows it."""

    def __init__(self, done: asyncio.Future[bytes]) -> None:
        self._done = done
        self._received = b""

    def data_received(self, data: bytes) -> None:
        self._received += data
        line, end, _ = self._received.partition(b"\n")
        if end or len(self._received) >= MOST_LINE:
            self._finish(line)

    def connection_lost(self, error: Exception | None) -> None:
        if error is not None and not self._done.done():
            self._done.set_exception(error)
        self._finish(self._received)

    def _finish(self, line: bytes) -> None:
        if not self._done.done():
            self._done.set_result(line)


def heard(before: AgentState, line: bytes) -> AgentState:
    """What holds after a line. Words: `75%` of the weight; `ready`, `drain` or `maint`; `up`, or one of
    `down`, `fail`, `failed`, `stopped`, after which, or after a "#", comes a reason. A word holds until the
    agent says another one of its kind. Raises LineError."""
    text = _text(line)
    said, _, note = text.partition("#")
    words = [word for word in _SEPARATORS.split(said) if word]
    weight: float | None = None
    admin: str | None = None
    running: str | None = None
    reason = note.strip()
    for place, spelt in enumerate(words):
        word = spelt.lower()
        if percent := _PERCENT.match(word):
            weight = _once(weight, _weight(int(percent[1]), spelt), spelt)
        elif word in _ADMIN:
            admin = _once(admin, _ADMIN[word], spelt)
        elif word == "up":
            running = _once(running, "up", spelt)
        elif word in _DOWN:
            running = _once(running, "down", spelt)
            reason = " ".join([*words[place + 1 :], *([reason] if reason else [])]) or word
            break
        else:
            raise LineError(f"{spelt!r} is not one of its words")
    if weight is None and admin is None and running is None:
        raise LineError("it is empty")
    return AgentState(
        before.weight if weight is None else weight,
        before.admin if admin is None else admin,
        before.running if running is None else running,
        reason[:MOST_REASON],
    )


def _text(line: bytes) -> str:
    line = line.rstrip(b"\r\n")
    if len(line) >= MOST_LINE:
        raise LineError(f"it is longer than {MOST_LINE} bytes")
    try:
        text = line.decode()
    except UnicodeDecodeError:
        raise LineError(f"it is not text: {shown(line)}") from None
    if not text.replace("\t", " ").isprintable():
        raise LineError(f"it is not text: {shown(line)}")
    return text


def _weight(percent: int, spelt: str) -> float:
    if percent > MOST_WEIGHT:
        raise LineError(f"{spelt!r} is above {MOST_WEIGHT}%")
    return percent / 100


def _once(before: T | None, value: T, spelt: str) -> T:
    if before is not None and before != value:
        raise LineError(f"{spelt!r} contradicts what stands before it")
    return value
