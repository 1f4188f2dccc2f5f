"""What control knows of one server: its signals, what follows from them, what is told and shown of it.

Lives here: the state of one (service, address). Must not live here: what a change sets off
(lb.control.statuses) and how signals rank (lb.upstream.status).
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from lb.cluster.voting import Vote
from lb.config.health import HealthCheckSpec
from lb.discovery.contract import Member
from lb.health.plan import Pace, Probe, Result
from lb.plan import ServerPlan, StatePlan
from lb.upstream.health import Health
from lb.upstream.status import Active, Agent, Override, Registry, Signals, effective

MOST_WHY = 200  # characters of the reasons that go to the workers


class ServerState:
    """Monotonic seconds: `since`, when it last came or went, minus infinity for before lb ran; `warm_from`,
    when its slow start began, 0 while there is none. `slow_start`: seconds."""

    def __init__(self, service: str, plan: ServerPlan, since: float) -> None:
        self.service = service
        self.plan = plan
        self.since = since
        self.slow_start = 0.0
        self.warm_from = 0.0
        self.probe: Probe | None = None
        self.health: Health | None = None
        self.unknown_is_up = True
        self.result: Result | None = None
        self.result_at = 0.0  # unix seconds
        self.vote: Vote | None = None  # of the cluster's nodes, where they share health
        self.agent = Agent()
        self.override: Override | None = None
        self.everywhere: Override | None = None
        self.registry = Registry.NONE
        self.member: Member | None = None  # as discovery knows it
        self.ejected: str | None = None  # why, while it is
        self.status = effective(Signals())
        self.told = StatePlan(service, plan.address)  # what the workers know, but for `why`

    def follow(self, section: HealthCheckSpec | None, probe: Probe | None, *, new: bool) -> None:
        """Take over a health_check section and the probe that it asks for. A check that is another one than
        before begins anew; until its first result counts what the one before it found."""
        if section is None or section.agent is None:
            self.agent = Agent()
        if section is None:
            self.probe = self.health = self.result = self.vote = None
            return
        if self.health is None or probe != self.probe:
            if self.health is None:
                self.unknown_is_up = not new or section.initial == "up"
            elif self.active is not Active.UNKNOWN:
                self.unknown_is_up = self.active is Active.UP
            self.probe, self.health, self.result, self.vote = probe, Health(), None, None
        self.health.rise, self.health.fall = section.rise, section.fall

    def signals(self) -> Signals:
        return Signals(
            override=self.override,
            everywhere=self.everywhere,
            registry=self.registry,
            registry_why=self.member.why if self.member is not None else "",
            active=self.active,
            active_why=self.vote.text if self.vote is not None else self._why(),
            unknown_is_up=self.unknown_is_up,
            agent=self.agent,
            ejected=self.ejected is not None,
            passive_why=self.ejected or "",
        )

    @property
    def active(self) -> Active:
        """What checks say: the nodes' vote, where there is one, or else those made here."""
        if self.health is None:
            return Active.NONE
        if self.vote is not None:
            return Active.UP if self.vote.up else Active.DOWN
        return self.health.state

    @property
    def disagreements(self) -> tuple[str, ...]:
        """`nodes`: those that were asked found different things; `passive`: they say up, and the passive
        checks took it out here."""
        if self.vote is None:
            return ()
        found = ("nodes",) if self.vote.split else ()
        return (*found, "passive") if self.vote.up and self.ejected is not None else found

    def _why(self) -> str:
        if self.health is None or self.result is None:
            return ""
        if not self.health.changing:
            return self.result.why
        needed = self.health.fall if self.health.state is Active.UP else self.health.rise
        return f"{self.result.why} ({self.health.run} of {needed} in a row that change it)"

    @property
    def found_down(self) -> bool:
        """Whether its check finds it down, or does not know better yet."""
        return self.active is Active.DOWN or (self.active is Active.UNKNOWN and not self.unknown_is_up)

    @property
    def pace(self) -> Pace:
        if self.health is None or not self.health.changing:
            return "down" if self.health is not None and self.health.state is Active.DOWN else "steady"
        return "rising"

    @property
    def silent(self) -> bool:
        """Whether there is nothing to say to the workers."""
        return self.state_plan() == StatePlan(self.service, self.plan.address)

    def state_plan(self) -> StatePlan:
        """What the workers have to know, but for `why`. What an operator took out has no weight: panic does
        not bring it back."""
        status = self.status
        ordered = status.decided == "operator" and not status.usable and not status.draining
        return StatePlan(
            self.service, self.plan.address, status.usable, status.draining,
            weight=0.0 if ordered else status.weight, warm_from=self.warm_from,
        )  # fmt: skip

    def explained(self) -> StatePlan:
        why = "" if self.status.word == "up" else "; ".join((self.status.word, *self.status.reasons))
        return replace(self.state_plan(), why=why[:MOST_WHY])

    def shown(self, now: float) -> dict[str, Any]:
        """The status, its reasons, the last check, and the layers (file, discovery, override, everywhere) as
        plain data; `at`, `since`, `until` in unix seconds, `now` and `slow_start_left` in monotonic ones."""
        left = max(0.0, self.warm_from + self.slow_start - now) if self.warm_from else None
        return {
            "status": self.status.word,
            "reasons": list(self.status.reasons),
            "weight_factor": self.status.weight,
            "slow_start_left": None if left is None else round(left, 1),
            "check": self._check(),
            "vote": self._vote(),
            "layers": {
                "file": {
                    "weight": self.plan.weight,
                    "backup": self.plan.backup,
                    "priority": self.plan.priority,
                },
                "discovery": _discovered(self.member),
                "override": _override(self.override),
                "everywhere": _override(self.everywhere),
            },
        }

    def standing(self) -> dict[str, Any]:
        """`shown` in short, made for every server once a second. `override`: the mode that an operator
        ordered here."""
        return {
            "status": self.status.word,
            "reasons": self.status.reasons,
            "override": None if self.override is None else self.override.mode.value,
            "everywhere": None if self.everywhere is None else self.everywhere.mode.value,
            "origin": "file" if self.member is None else "discovery",
        }

    def _check(self) -> dict[str, Any] | None:
        if self.health is None:
            return None
        found: dict[str, Any] = {"state": self.health.state.value, "ok": None, "why": "", "at": None}
        if self.result is not None:
            found |= {"ok": self.result.ok, "why": self.result.why, "at": self.result_at}
        return found

    def _vote(self) -> dict[str, Any] | None:
        if self.vote is None:
            return None
        words = {True: "up", False: "down", None: None}
        return {
            "state": words[self.vote.up],
            "nodes": {one.node: {"state": words[one.up], "why": one.why} for one in self.vote.opinions},
            "disagreements": list(self.disagreements),
        }


def _discovered(member: Member | None) -> dict[str, Any] | None:
    if member is None:
        return None
    return {
        "weight": member.weight,
        "priority": member.priority,
        "state": member.state.value,
        "why": member.why,
        "name": member.name,
        "zone": member.zone,
    }


def _override(override: Override | None) -> dict[str, Any] | None:
    if override is None:
        return None
    return {
        "mode": override.mode.value,
        "weight": override.weight,
        "author": override.author,
        "reason": override.reason,
        "since": override.since,
        "until": override.until or None,
    }
