"""One attempt at a probe, as every kind of probe gets it and what it gives back.

Lives here: the two records. Must not live here: sockets, and times (lb.health.probe).
"""

from __future__ import annotations

from typing import NamedTuple

from lb.health.plan import AgentState, CheckPlan


class Outcome(NamedTuple):
    """`ok`, `why` and `agent` as in lb.health.plan.Result."""

    ok: bool
    why: str
    agent: AgentState | None = None


class Attempt:
    """What is tried. `awaits`: what has not come yet; a probe that goes on to its next stage says so, and
    the time-out names it. `before`: what an agent has said so far."""

    __slots__ = ("awaits", "before", "plan")

    def __init__(self, plan: CheckPlan, before: AgentState) -> None:
        self.plan = plan
        self.before = before
        self.awaits = "connection"
