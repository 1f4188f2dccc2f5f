"""The status of every server: all signals together, kept over reloads, told to the workers when it changes.

Lives here: one state per (service, address), and what follows from a change: an event, a word to the
workers, a slow start. Must not live here: how signals rank (lb.upstream.status), counting results
(lb.upstream.health), where signals come from (lb.health, the admin API, the passive checks).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection
from math import inf
from typing import Any

from lb.admin.view import Checks
from lb.cluster.voting import Vote
from lb.config.spec import Spec
from lb.control.checking import probe_of
from lb.control.events import Events
from lb.control.server_state import ServerState
from lb.discovery.contract import Member
from lb.health.plan import AgentProbe, Pace, Probe, Result
from lb.plan import Plan, StatePlan
from lb.upstream.status import SIGNALS, Active, Agent, Override, Registry, effective

# What an event is called by the word for the status that a server goes over to.
KINDS = {
    "up": "server_up",
    "draining": "server_drain",
    "maintenance": "server_down",
    "ejected": "server_down",
    "down": "server_down",
}

PASSIVE = "passive"

Identity = tuple[str, str]  # service, address


class Statuses:
    """The states of all servers. `tell` gets each that changed, for the workers; `clock`: monotonic
    seconds. `recovered` hears of servers that a check had found down and finds up; `evidence` is that of
    the passive checks."""

    def __init__(
        self,
        tell: Callable[[tuple[StatePlan, ...]], None],
        events: Events,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tell = tell
        self._events = events
        self._clock = clock
        self._services: dict[str, dict[str, ServerState]] = {}
        self._overrides: dict[Identity, Override] = {}
        self._everywhere: dict[Identity, Override] = {}
        self._down_before: Collection[Identity] = ()
        self.recovered: Callable[[str, str], None] = lambda service, address: None
        self.evidence: Callable[[str, str], list[dict[str, Any]]] = lambda service, address: []
        self._started = False  # after the first configuration: its servers were there before lb was

    # --------------------------------------------------------------------------------- configuration

    def begin_with(self, down: Collection[Identity]) -> None:
        """Before the first configuration: what the lb knew that this one replaces. These servers count as
        down until the first results of their checks."""
        self._down_before = down

    def found_down(self) -> tuple[Identity, ...]:
        """The servers that their checks find down."""
        return tuple(
            (service, address)
            for service, states in self._services.items()
            for address, state in states.items()
            if state.found_down
        )

    def reconcile(self, spec: Spec, plan: Plan, whole: bool = True) -> None:
        """Follow a new configuration: servers that stay keep their state, new ones start without, those that
        went are forgotten, but for what an operator said of them; not `whole`: services that `plan` does not
        name stay as they are. The workers are told by who puts the
        plan in force: they need `states()` before it."""
        now = self._clock()
        before = self._services
        self._services = {} if whole else before
        came: list[ServerState] = []
        for service in plan.services:
            section = spec.services[service.name].health_check
            probe = probe_of(section) if section is not None else None
            known = before.get(service.name, {})
            states = self._services[service.name] = {}
            for server in service.servers:
                state = known.get(server.address)
                new = state is None
                if state is None:
                    state = ServerState(service.name, server, -inf if not self._started else now)
                    state.override = self._overrides.get((service.name, server.address))
                    state.everywhere = self._everywhere.get((service.name, server.address))
                    came.append(state)
                state.plan = server
                state.slow_start = service.slow_start
                state.follow(section, probe, new=new)
                if new and not self._started and (service.name, server.address) in self._down_before:
                    state.unknown_is_up = False
                    state.since = now  # it comes back, to others that have been at work
                states[server.address] = state
                if not new:
                    self._settle(state, "reload", now, tell=False)
        for state in came:
            state.status = effective(state.signals())
            if self._started and state.status.usable:
                self._begin_warming(state, now)
            state.told = state.state_plan()
        self._started = True

    def states(self, services: Collection[str] | None = None) -> tuple[StatePlan, ...]:
        """Of every server of which there is something to say; `services`: of those of these alone."""
        return tuple(
            state.explained()
            for service in (self._services if services is None else services)
            for state in self._services.get(service, {}).values()
            if not state.silent
        )

    # --------------------------------------------------------------------------------------- signals

    def probed(self, result: Result) -> Pace:
        """Take in the result of a check; what is no longer checked so is left aside."""
        if isinstance(result.probe, AgentProbe):
            said = result.agent
            if said is not None:
                self.agent(result.service, result.address, Agent(said.weight, said.state, said.reason))
            return "steady"
        state = self._find(result.service, result.address)
        if state is None or state.health is None or state.probe != result.probe:
            return "steady"
        before = state.active
        state.health.observe(result.ok)
        state.result, state.result_at = result, time.time()
        self._checked(state, before)
        return state.pace

    def voted(self, service: str, address: str, probe: Probe, vote: Vote | None, *, here: bool) -> None:
        """What the cluster's nodes found together counts from now on, or (None) what checks find here.
        `here`: whether such are made; where not, they would begin with what the vote says."""
        state = self._find(service, address)
        if state is None or state.health is None or state.probe != probe:
            return
        before, known, state.vote = state.active, state.vote, vote
        if vote is not None and not here:
            state.health.adopt(state.active)
            state.result = None
        if vote != known:
            self._checked(state, before)

    def found(self, service: str, address: str, probe: Probe) -> tuple[bool, str] | None:
        """What checks made here found, and why; None where there is nothing yet."""
        state = self._find(service, address)
        if state is None or state.health is None or state.probe != probe:
            return None
        if state.result is None or state.health.state is Active.UNKNOWN:
            return None
        return state.health.state is Active.UP, state.result.why

    def disagreements(self) -> Counter[str]:
        """How many servers nodes, or a vote and the passive checks, disagree about (ServerState)."""
        return Counter(
            word for states in self._services.values() for state in states.values()
            for word in state.disagreements
        )  # fmt: skip

    def agent(self, service: str, address: str, agent: Agent) -> None:
        """Take in what a server's agent says."""
        state = self._find(service, address)
        if state is not None:
            state.agent = agent
            self._settle(state, "agent", self._clock())

    def ejected(self, service: str, address: str, why: str | None) -> None:
        """The passive checks took a server out, or (None) let it in again. They tell of it themselves, with
        their evidence."""
        state = self._find(service, address)
        if state is not None:
            state.ejected = why
            self._settle(state, PASSIVE, self._clock())

    def registered(self, service: str, address: str, registry: Registry, member: Member | None) -> None:
        """What a source of servers says of one; NONE and None: nothing any more."""
        state = self._find(service, address)
        if state is not None and (state.registry is not registry or state.member != member):
            state.registry, state.member = registry, member
            self._settle(state, "registry", self._clock())

    def override(self, service: str, address: str, override: Override | None) -> None:
        """An operator's word, or (None) its end. It is kept for a server that there is not: it may come."""
        if override is None:
            self._overrides.pop((service, address), None)
        else:
            self._overrides[service, address] = override
        state = self._find(service, address)
        if state is not None:
            state.override = override
            self._settle(state, "operator", self._clock())

    def override_everywhere(self, service: str, address: str, override: Override | None) -> None:
        """The same, of what holds on all nodes of the cluster."""
        if override is None:
            self._everywhere.pop((service, address), None)
        else:
            self._everywhere[service, address] = override
        state = self._find(service, address)
        if state is not None:
            state.everywhere = override
            self._settle(state, "operator", self._clock())

    def tick(self) -> None:
        """End the slow starts that are over; about every second."""
        now = self._clock()
        for states in self._services.values():
            for state in states.values():
                if state.warm_from and now >= state.warm_from + state.slow_start:
                    state.warm_from = 0.0
                    self._say(state)

    # ------------------------------------------------------------------------------------------ looks

    def counts(self) -> dict[tuple[str, str], int]:
        """How many servers there are by service and status, a 0 where there are none."""
        found = {(service, word): 0 for service in self._services for word in KINDS}
        for service, states in self._services.items():
            for state in states.values():
                found[service, state.status.word] += 1
        return found

    def out(self) -> dict[tuple[str, str], int]:
        """How many servers get no new exchanges, by service and the signal that decides, a 0 where none."""
        found = {(service, signal): 0 for service in self._services for signal in SIGNALS}
        for service, states in self._services.items():
            for state in states.values():
                if not state.status.usable:
                    found[service, state.status.decided] += 1
        return found

    def checks(self) -> dict[str, Checks]:
        """What checks made here found at all; a server that others vote on is not waited for."""
        found = {}
        for service, states in self._services.items():
            mine = [one for one in states.values() if one.health is not None and one.vote is None]
            ends = [one.result_at for one in mine if one.result is not None]
            if mine:
                found[service] = Checks(len(mine), len(ends), min(ends, default=0.0))
        return found

    def usable(self, service: str) -> list[str]:
        """The addresses of the servers that get new exchanges."""
        states = self._services.get(service, {})
        return [address for address, state in states.items() if state.status.usable]

    def shown(self, service: str, address: str) -> dict[str, Any]:
        """A server's status, its reasons and its layers (ServerState.shown), and the passive checks' evidence
        (lb.control.evidence). Raises KeyError where there is no such server."""
        shown = self._services[service][address].shown(self._clock())
        return {**shown, "evidence": self.evidence(service, address)}

    def standing(self, service: str, address: str) -> dict[str, Any]:
        """What the live view shows of a server (ServerState.standing); nothing where there is none such."""
        state = self._find(service, address)
        return state.standing() if state is not None else {}

    # ----------------------------------------------------------------------------------------- inside

    def _find(self, service: str, address: str) -> ServerState | None:
        return self._services.get(service, {}).get(address)

    def _checked(self, state: ServerState, before: Active) -> None:
        at_start = before is Active.UNKNOWN and state.since == -inf
        self._settle(state, "check", self._clock(), at_start=at_start)
        if before is Active.DOWN and state.active is Active.UP:
            self.recovered(state.service, state.plan.address)

    def _settle(
        self, state: ServerState, cause: str, now: float, *, at_start: bool = False, tell: bool = True
    ) -> None:
        """Work out the status anew and do what follows. `at_start`: this is how lb found the server."""
        old, new = state.status, effective(state.signals())
        state.status = new
        if not new.usable:
            state.warm_from = 0.0
            if old.usable:
                state.since = now  # whatever it was before, it comes back later than that
        elif not old.usable and not at_start:
            self._begin_warming(state, now)
        if old.word != new.word and cause != PASSIVE:
            why = "; ".join(new.reasons) or "nothing speaks against it"
            self._emit(
                state, KINDS[new.word], cause, f"{old.word} → {new.word}: {why}", old=old.word, new=new.word
            )
        elif old.weight != new.weight:
            text = f"weight ×{old.weight:g} → ×{new.weight:g}: {'; '.join(new.reasons)}"
            self._emit(state, "server_weight", cause, text, old=old.weight, new=new.weight)
        if tell:
            self._say(state)
        else:
            state.told = state.state_plan()

    def _emit(self, state: ServerState, kind: str, cause: str, text: str, **facts: Any) -> None:
        self._events.emit(kind, cause, text, service=state.service, server=state.plan.address, **facts)

    def _say(self, state: ServerState) -> None:
        found = state.state_plan()
        if found != state.told:
            state.told = found
            self._tell((state.explained(),))

    def _begin_warming(self, state: ServerState, now: float) -> None:
        """A server comes into use. It starts slowly where another one that has been at work for as long as a
        slow start takes can carry the rest."""
        state.since = now
        others = self._services[state.service].values()
        settled = any(
            other is not state and other.status.usable and now - other.since >= state.slow_start
            for other in others
        )
        state.warm_from = now if state.slow_start > 0 and settled else 0.0
