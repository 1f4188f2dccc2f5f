"""The rules of Consul's blocking queries: which index to wait for, and how often to ask.

Lives here: both as small machines without I/O. Must not live here: asking (lb.discovery.consul_http).
"""

from __future__ import annotations

from collections.abc import Callable

POLL = 5.0  # seconds between two questions that do not block
BURST = 2.0  # questions that need not wait
FIRST_PAUSE = 0.25  # seconds from question to question once the burst is spent
LONGEST_PAUSE = 15.0
GROWTH_NEWS = 1.25  # of the pause, with each question that had to wait and brought news
GROWTH_NOTHING = 2.0  # the same where it brought none


class Cursor:
    """The index that the next question waits for; 0: do not wait."""

    def __init__(self) -> None:
        self.index = 0

    def advance(self, given: int | None) -> None:
        """`given`: the index of an answer, None where it has none. A lower one than before means that the
        servers began anew (a restored snapshot); 0 would mean "do not block", and make us ask without end."""
        if not given:
            self.index = 1
        elif given < self.index:
            self.index = 0
        else:
            self.index = given

    def reset(self) -> None:
        """The next answer comes at once."""
        self.index = 0


class Pace:
    """A token bucket before questions. It does not delay the first changes after a quiet time, since a pause
    before each question would make its index old; under lasting churn it slows down by and by to one question
    in LONGEST_PAUSE seconds, sooner where the answers bring nothing new."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._tokens = BURST
        self._pause = FIRST_PAUSE
        self._at = clock()

    def delay(self, news: bool) -> float:
        """Seconds to wait before the next question. `news`: whether the last answer brought any."""
        now = self._clock()
        self._tokens = min(BURST, self._tokens + (now - self._at) / self._pause)
        self._at = now
        if self._tokens >= BURST:
            self._pause = FIRST_PAUSE
        self._tokens -= 1
        if self._tokens >= 0:
            return 0.0
        self._pause = min(LONGEST_PAUSE, self._pause * (GROWTH_NEWS if news else GROWTH_NOTHING))
        return -self._tokens * self._pause
