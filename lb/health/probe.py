"""Running one probe, whatever its kind, within its time.

Lives here: which kind is which file, the time-out. Must not live here: when (lb.health.checks).
"""

from __future__ import annotations

from lb.health.plan import Probe


def lacking(probe: Probe) -> str | None:
    """What this lb lacks to run such a probe, as a text for the operator; None where nothing."""
    raise NotImplementedError
