"""The scheduler of active checks: every check at its time, not too many at once.

Lives here: when a probe runs. Must not live here: how (lb.health.probe), and what its result means.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from lb.health.plan import CheckPlan, Pace, Result

LIMIT = 100  # probes at a time


class Checks:
    """The checks of one lb, in the running loop. `report` gets every result, must not block, and says how the
    server stands after it (lb.health.plan.Pace)."""

    def __init__(self, report: Callable[[Result], Pace], *, limit: int = LIMIT) -> None:
        raise NotImplementedError

    def reconcile(self, wanted: Iterable[CheckPlan]) -> None:
        """Make `wanted` what is checked: new keys are probed at once, those that stay go on in their rhythm,
        those that went are stopped and not reported any more."""
        raise NotImplementedError

    async def close(self) -> None:
        """Stop all; returns when no probe is left."""
        raise NotImplementedError
