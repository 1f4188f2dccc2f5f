"""Shared health: which checks this node makes, and what all nodes' checks say of a server together.

Lives here: from what nodes found to votes, and from votes to who checks what. Must not live here: the vote
(lb.cluster.voting), how findings travel (lb.cluster.bulletin), how a vote ranks beside other signals
(lb.upstream.status).

A server that no vote speaks of is checked here. So where the engine is away, or the word of others stale, a
node is as one that is alone; nothing else has to be noticed for that.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from lb.cluster.bulletin import Bulletin, Finding, Findings
from lb.cluster.contract import Engine
from lb.cluster.voting import Opinion, choose, decide, digest
from lb.control.events import Events
from lb.control.statuses import Statuses
from lb.health.plan import AgentProbe, CheckPlan, Key, Pace, Result

FULL = 2.0  # seconds between two counts of all votes where nothing changed
PATIENCE = 3  # intervals without a result after which a finding is none any more


class Sharing:
    """One per node with `cluster.shared_health`, in control's loop. `run`: makes these what is checked."""

    def __init__(
        self,
        by: int,
        node: str,
        statuses: Statuses,
        events: Events,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`by`: how many nodes check a server."""
        self.run: Callable[[Iterable[CheckPlan]], None] = lambda checks: None
        self._by = by
        self._node = node
        self._statuses = statuses
        self._events = events
        self._clock = clock
        self._bulletin: Bulletin | None = None
        self._nodes: dict[str, int] = {node: digest(node)}
        self._keys: dict[Key, int] = {}
        self._plans: dict[int, CheckPlan] = {}
        self._agents: list[CheckPlan] = []  # each node asks them itself: they change weights, not health
        self._chosen: dict[int, tuple[str, ...]] = {}
        self._here: set[int] = set()
        self._at: dict[int, float] = {}  # when a check made here had its last result
        self._last: Mapping[str, list[Findings]] = {}
        self._counted = 0.0

    def prepare(self, engine: Engine) -> Bulletin:
        """In the loop; what is returned is to be run."""
        self._bulletin = Bulletin(engine, self._node, self._mine, self.heard, now=self._clock)
        return self._bulletin

    def follow(self, checks: Iterable[CheckPlan], services: Collection[str] | None = None) -> list[CheckPlan]:
        """Take over what is to be checked, of all services or of these; which of everything here."""
        others = [] if services is None else [
            one for one in (*self._plans.values(), *self._agents) if one.service not in services
        ]  # fmt: skip
        self._plans, self._agents, keys = {}, [], {}
        for check in (*others, *checks):
            if isinstance(check.probe, AgentProbe):
                self._agents.append(check)
                continue
            key = self._keys.get(check.key)
            if key is None:
                key = digest(check.service, check.address, repr(check.probe))
            keys[check.key] = key
            self._plans[key] = check
        self._keys = keys
        self._chosen = {}
        self._at = {key: at for key, at in self._at.items() if key in self._plans}
        self._here = self._count()
        return self._wanted()

    def probed(self, result: Result) -> Pace:
        """Take in the result of a check made here."""
        key = self._keys.get(result.key)
        before = self._own(key) if key is not None else None
        pace = self._statuses.probed(result)
        if key is not None and key in self._here:
            self._at[key] = self._clock()
            if self._own(key) != before:
                if self._bulletin is not None:
                    self._bulletin.post_soon()
                self._vote(key, self._last)
        return pace

    def heard(self) -> None:
        """Count anew, where there is something new to count; begin and end checks. Also to be called every
        second: what others found ends in its time, though the engine keeps us waiting."""
        found = self._bulletin.fresh() if self._bulletin is not None else {}
        now = self._clock()
        if found == self._last and now - self._counted < FULL:
            return
        self._last, self._counted = found, now
        nodes = {name: digest(name) for name in (*found, self._node)}
        if nodes != self._nodes:
            self._tell(nodes)
            self._nodes, self._chosen = nodes, {}
        here = self._count()
        if here != self._here:
            self._here = here
            self._at = {key: at for key, at in self._at.items() if key in here}
            self.run(self._wanted())

    @property
    def nodes(self) -> list[str]:
        """Who shares, this node among them."""
        return sorted(self._nodes)

    def disagreements(self) -> Mapping[str, int]:
        return self._statuses.disagreements()

    def shown(self) -> dict[str, Any]:
        """For the admin API: who shares, and how many of how many servers are checked here."""
        return {"by": self._by, "nodes": self.nodes, "servers": len(self._plans), "here": len(self._here)}

    def _wanted(self) -> list[CheckPlan]:
        return [*self._agents, *(plan for key, plan in self._plans.items() if key in self._here)]

    def _count(self) -> set[int]:
        """All votes; the servers to be checked here."""
        return {key for key in self._plans if self._vote(key, self._last)}

    def _vote(self, key: int, found: Mapping[str, list[Findings]]) -> bool:
        """One vote, told to the server's status; whether the server is to be checked here."""
        plan = self._plans[key]
        chosen = self._chosen.get(key)
        if chosen is None:
            chosen = self._chosen[key] = choose(key, self._nodes, self._by)
        vote = None
        if chosen != (self._node,):
            vote = decide([Opinion(node, *self._finding(node, key, found)) for node in chosen])
        here = vote is None or self._node in chosen
        self._statuses.voted(plan.service, plan.address, plan.probe, vote, here=here)
        return here

    def _finding(
        self, node: str, key: int, found: Mapping[str, list[Findings]]
    ) -> tuple[bool, str] | tuple[None, str]:
        if node == self._node:
            own = self._own(key)
            return (None, "") if own is None else own
        for part in found.get(node, ()):
            if key in part:
                return part[key]
        return (None, "")

    def _own(self, key: int) -> Finding | None:
        """What the check made here found; None where there is no result, or none for too long."""
        plan, at = self._plans[key], self._at.get(key)
        if at is None:
            return None
        slowest = max(plan.interval, plan.interval_down or 0.0, plan.interval_rising or 0.0)
        if self._clock() - at > PATIENCE * slowest * (1 + plan.jitter) + plan.timeout:
            return None
        found = self._statuses.found(plan.service, plan.address, plan.probe)
        if found is None:
            return None
        up, why = found
        return Finding(up, "" if up else why)  # a reason to be up may be another one each time

    def _mine(self) -> Findings:
        own = ((key, self._own(key)) for key in self._here)
        return {key: finding for key, finding in own if finding is not None}

    def _tell(self, nodes: Mapping[str, int]) -> None:
        names = ", ".join(sorted(nodes))
        reason = "shared" if len(nodes) > 1 else "alone"
        text = f"health is shared by {names}" if len(nodes) > 1 else f"{names} checks all servers itself"
        self._events.emit("cluster_health", reason, text, nodes=sorted(nodes))
