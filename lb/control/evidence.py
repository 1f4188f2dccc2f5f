"""Evidence: why a server was ejected, or would have been, as it is kept, told and shown.

Lives here: the record, and what of a server's counters belongs to it. Must not live here: decisions
(lb.control.ejection, lb.upstream.outliers).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from lb.telemetry import layout
from lb.telemetry.buckets import CLASSIC_ENDS
from lb.telemetry.cells import Cells
from lb.upstream.outliers import SUCCESS_RATE, Counts, Verdict

CONSECUTIVE = "consecutive_failures"


class Evidence(NamedTuple):
    """`requests` and `failures` are those of the server in `window` seconds, `others_*` those of the other
    servers in the same time. `value`, `threshold` and `usual` (the median of the servers, None where it is
    not asked) are failures in a row, shares of failures or seconds to the first byte, by `reason`.
    `enforced`: it was ejected. `at`, `until`: unix seconds; `until` None where it was not."""

    at: float
    reason: str
    text: str
    window: float
    requests: int
    failures: int
    value: float
    threshold: float
    usual: float | None
    others: int
    others_requests: int
    others_failures: int
    enforced: bool = False
    until: float | None = None


def read(cells: Cells, slot: int) -> list[int]:
    """A reading of a server's block."""
    return cells.summary(slot, layout.SERVER_DURATION_CELLS, CLASSIC_ENDS)


def counts_of(before: Sequence[int], now: Sequence[int]) -> Counts:
    """What a server did between two readings of its block. An attempt failed if it ended in an
    outcome of the server's side or was answered 500 to 599; a response that broke off counts as two
    requests."""
    grown = [late - early for early, late in zip(before, now, strict=True)]
    answers = sum(grown[layout.SERVER_CLASS + 1 : layout.SERVER_CLASS + 6])
    broken = grown[layout.SERVER_FAILURES]
    buckets = grown[layout.SERVER_DURATION_CELLS :]
    return Counts(answers + broken, grown[layout.SERVER_CLASS + 5] + broken, tuple(buckets))


def text_of(verdict: Verdict, window: float) -> str:
    """A verdict in words."""
    if verdict.kind == SUCCESS_RATE:
        return (
            f"{verdict.value:.1%} of {verdict.requests} requests failed in {window:.3g}s; "
            f"usual are {verdict.usual:.1%}, allowed {verdict.threshold:.1%}"
        )
    return (
        f"half of {verdict.requests} requests in {window:.3g}s waited longer than {_time(verdict.value)} for "
        f"the first byte; usual are {_time(verdict.usual)}, allowed {_time(verdict.threshold)}"
    )


def _time(seconds: float) -> str:
    return f"{seconds:.3g}s" if seconds >= 1 else f"{seconds * 1000:.3g}ms"
