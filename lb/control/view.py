"""What the admin API may see of control and ask of it: the implementation of lb.admin.view.ControlView.

Lives here: reading facts together. Must not live here: HTTP (lb.admin), or doing anything itself.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lb.admin import view
from lb.admin.view import Checks, Question, Reload
from lb.config import resolved
from lb.config.problems import nearest
from lb.control.cataloguing import Cataloguing
from lb.control.certificates import Certificates
from lb.control.clusterview import ClusterView
from lb.control.discovering import Discovering
from lb.control.events import Event, Events
from lb.control.everywhere import Everywhere
from lb.control.lag import Lag
from lb.control.live import Live
from lb.control.overrides import Overrides
from lb.control.reload import Reloader
from lb.control.sight import Identity
from lb.control.statuses import Statuses
from lb.control.supervisor import Supervisor
from lb.control.tails import Tails
from lb.control.tracing import SpanExport
from lb.control.webhook import Webhook
from lb.plan import Plan
from lb.telemetry.cells import Cells
from lb.telemetry.condition import Condition
from lb.telemetry.decision import Decision
from lb.telemetry.exemplars import Exemplars
from lb.telemetry.facts import ClusterFacts, WorkerFacts
from lb.telemetry.ledger import Ledger
from lb.upstream.status import Override


class View:
    """A ControlView. `draining` is set when lb is about to end."""

    def __init__(
        self,
        reloader: Reloader,
        supervisor: Supervisor,
        statuses: Statuses,
        overrides: Overrides,
        events: Events,
        webhook: Webhook,
        discovering: Discovering,
        cataloguing: Cataloguing,
        probes_waiting: Callable[[], int] = lambda: 0,
        cluster: ClusterView | None = None,
        registration: Callable[[], Mapping[str, Any] | None] = lambda: None,
        decisions: Callable[[], list[bytes]] = list,
        tails: Tails | None = None,
        spans: SpanExport | None = None,
    ) -> None:
        self.started = time.time()
        self.draining = False
        self._reloader = reloader
        self._supervisor = supervisor
        self._statuses = statuses
        self._overrides = overrides
        self._events = events
        self._webhook = webhook
        self._discovering = discovering
        self._cataloguing = cataloguing
        self._probes_waiting = probes_waiting
        self._cluster = cluster
        self._registration = registration
        self._decisions = decisions
        self._tails = tails
        self._spans = spans if spans is not None else SpanExport()
        self._certificates = Certificates()
        self.exemplars = Exemplars()
        self.lag = Lag()
        self.live = Live(lambda: self.cells, lambda: self.plan, self._standing, self._summary, self._origins)

    @property
    def generation(self) -> int:
        return self._reloader.generation

    @property
    def plan(self) -> Plan | None:
        return self._reloader.plan

    @property
    def cells(self) -> Cells:
        return self._supervisor.cells

    @property
    def ledger(self) -> Ledger:
        return self._supervisor.ledger

    @property
    def reloads(self) -> Mapping[str, int]:
        return self._reloader.counts

    @property
    def last_reload(self) -> Reload | None:
        return self._reloader.last

    @property
    def last_reload_ok(self) -> bool:
        return self.last_reload is not None and self.last_reload.ok

    @property
    def last_reload_at(self) -> float:
        return self.last_reload.at if self.last_reload is not None else 0.0

    @property
    def in_force_since(self) -> float:
        return self._reloader.since

    def checks(self) -> Mapping[str, Checks]:
        return self._statuses.checks()

    @property
    def cluster(self) -> ClusterView | None:
        return self._cluster

    def cluster_facts(self) -> ClusterFacts | None:
        return self._cluster.facts() if self._cluster is not None else None

    def workers(self) -> Sequence[WorkerFacts]:
        return self._supervisor.facts()

    def server_counts(self) -> Mapping[tuple[str, str], int]:
        return self._statuses.counts()

    def servers_out(self) -> Mapping[tuple[str, str], int]:
        return self._statuses.out()

    @property
    def loop_lag(self) -> tuple[float, float]:
        return self.lag.last, self.lag.most

    def conditions(self) -> Sequence[view.Condition]:
        """Ready is who has a configuration and a worker for every listener. One worker of several that is
        being replaced does not take the machine out of service: the others go on."""
        running = sum(worker.state == "running" for worker in self.workers())
        loaded = self.plan is not None
        return (
            view.Condition(
                "configuration", loaded, f"generation {self.generation}" if loaded else "not in force yet"
            ),
            view.Condition("workers", running > 0, f"{running} of {self._supervisor.count} running"),
            view.Condition("draining", not self.draining, "lb is about to end" if self.draining else "no"),
        )

    def _standing(self, service: str, address: str) -> Mapping[str, Any]:
        return self._statuses.standing(service, address)

    def _summary(self) -> Mapping[str, Any]:
        """Of the whole lb, for the live view."""
        cluster = self.cluster_facts()
        return {
            "ready": all(condition.ok for condition in self.conditions()),
            "workers": sum(worker.state == "running" for worker in self.workers()),
            "workers_wanted": self._supervisor.count,
            "cluster": None if cluster is None else {
                "leading": cluster.leading, "reachable": cluster.reachable, "revision": cluster.revision,
                "away": None if cluster.reachable else cluster.age,
                "trouble": cluster.trouble, "rollout": cluster.rollout,
            },
        }  # fmt: skip

    def _origins(self) -> Mapping[Identity, str]:
        """Of what is not in the file, or has its servers from elsewhere."""
        found: dict[Identity, str] = {("service", one.service): one.source for one in self._discovering.all()}
        return found | self._cataloguing.origins()

    def resolved(self) -> str:
        return resolved(self._reloader.spec)

    async def server_states(self) -> Mapping[str, Mapping[str, str]]:
        """A server that the workers see differently is shown with all its states."""
        seen: dict[str, dict[str, set[str]]] = {}
        for described in await self._supervisor.describe():
            for name, service in described["services"].items():
                states = seen.setdefault(name, {})
                for server in service["servers"]:
                    states.setdefault(server["address"], set()).add(_state(server))
        return {
            service: {address: "/".join(sorted(states)) for address, states in servers.items()}
            for service, servers in seen.items()
        }

    def server_status(self, service: str, address: str) -> Mapping[str, object]:
        try:
            return self._statuses.shown(service, address)
        except KeyError:  # a plan and its states change one after the other
            return {}

    # ------------------------------------------------------------------------ overrides and events

    @property
    def overrides(self) -> Mapping[tuple[str, str], Override]:
        return self._overrides.all

    @property
    def overrides_saved(self) -> bool:
        return self._overrides.saved

    @property
    def everywhere(self) -> Everywhere | None:
        return self._cluster.everywhere if self._cluster is not None else None

    def known(self, service: str, address: str) -> None:
        services = self.plan.services if self.plan is not None else ()
        names = [one.name for one in services]
        if service not in names:
            raise LookupError(f"there is no service {service}{nearest(service, names)}")
        addresses = [server.address for one in services if one.name == service for server in one.servers]
        if address not in addresses:
            raise LookupError(f"service {service} has no server {address}{nearest(address, addresses)}")

    def override(self, service: str, address: str, override: Override) -> None:
        self.known(service, address)
        self._overrides.set(service, address, override)

    def clear_override(self, service: str, address: str, author: str) -> None:
        if not self._overrides.clear(service, address, author):
            held = [f"{service}/{address}" for service, address in self._overrides.all]
            raise LookupError(
                f"nothing is ordered of {service}/{address}{nearest(f'{service}/{address}', held)}"
            )

    @property
    def event_counts(self) -> Mapping[tuple[str, str, str], int]:
        return self._events.counts

    @property
    def spans_exported(self) -> int:
        return self._spans.exported

    @property
    def spans_dropped(self) -> Mapping[str, int]:
        return self._spans.dropped

    @property
    def webhook_lost(self) -> int:
        return self._webhook.lost

    def discovery(self) -> Sequence[Mapping[str, Any]]:
        return self._discovering.shown()

    def catalog(self) -> Mapping[str, Any] | None:
        return self._cataloguing.shown()

    def certificates(self) -> Mapping[tuple[str, str], float]:
        return self._certificates.ends(self._reloader.spec)

    def registration(self) -> Mapping[str, Any] | None:
        return self._registration()

    def accept_discovery(self, service: str) -> None:
        names = [one["service"] for one in self.discovery()]
        if service not in names:
            raise LookupError(f"no service {service} follows a source{nearest(service, names)}")
        believed = [self._discovering.accept(service), self._cataloguing.let_go(service)]
        if not any(believed):
            raise LookupError(f"nothing of {service} is held")

    @property
    def probes_waiting(self) -> int:
        return self._probes_waiting()

    def kept_decisions(self) -> list[bytes]:
        return self._decisions()

    def tail(
        self, condition: Condition, rate: int, listener: Callable[[Sequence[Decision], int], None]
    ) -> Callable[[], None] | None:
        return self._tails.open(condition, rate, listener) if self._tails is not None else None

    def last_events(self) -> Sequence[Event]:
        return tuple(self._events.last)

    def follow(self, listener: Callable[[Event], None]) -> Callable[[], None]:
        self._events.listeners.add(listener)
        return lambda: self._events.listeners.discard(listener)

    async def reload(self) -> Reload:
        return await self._reloader.reload("api")

    async def explain(self, question: Question) -> Mapping[str, object]:
        plan = self._reloader.plan
        if plan is None:
            raise ValueError("no configuration is in force yet")
        from lb.control.explain import explain

        seen = await self._supervisor.describe()
        found = await asyncio.to_thread(explain, plan, question, self.cells, self._statuses.states(), seen)
        origin = self._cataloguing.origin(str(found["route"]))
        return found if origin is None else {**found, "origin": origin.text}


def _state(server: Mapping[str, Any]) -> str:
    if server["eligible"]:
        return "breaker open" if server["breaker"] in {"open", "half open"} else "eligible"
    if not server["usable"]:
        return "draining" if server["draining"] else "down"
    return "standby" if server["backup"] else "off"
