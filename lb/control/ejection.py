"""Ejections: the passive checks, which take a server out for what clients' requests met there.

Lives here: when the servers of a service are compared, and what follows from a verdict or a suspect: shadow
or enforce, for how long, how many at a time, and the way back. Must not live here: the comparison
(lb.upstream.outliers), the count of failures in a row (lb.proxy.account), what else speaks for or against a
server (lb.control.statuses).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection
from typing import Any, Protocol

from lb.config.resilience import OutlierSpec
from lb.config.spec import Spec
from lb.control.events import Events
from lb.control.evidence import CONSECUTIVE, Evidence, counts_of, read, text_of
from lb.plan import Plan, ServicePlan
from lb.telemetry import layout
from lb.telemetry.cells import Cells
from lb.telemetry.ledger import Ledger
from lb.upstream.outliers import Counts, Verdict, failing, slow
from lb.worker.messages import Suspect

KEPT = 20  # pieces of evidence for each server
RECENT = 1.0  # seconds for which the counts of others are good enough as evidence

_NOTHING = Counts(0, 0, (0,) * layout.BUCKETS)


class Statuses(Protocol):
    """Who makes one status of all signals (lb.control.statuses)."""

    def ejected(self, service: str, address: str, why: str | None) -> None: ...
    def usable(self, service: str) -> Collection[str]: ...


class _Place:
    """What is known of one server. Monotonic seconds: `until` None while it is not ejected, `returned` when
    it last came back, `withheld` when it was last said that it may not be ejected. `times`: ejections in a
    row."""

    def __init__(self) -> None:
        self.slot: int | None = None  # None: its counters are not its own
        self.cells: list[int] = []  # at the last comparison
        self.until: float | None = None
        self.returned = self.withheld = float("-inf")
        self.times = 0
        self.noted: set[str] = set()  # by what it was an outlier at the last comparison
        self.evidence: deque[Evidence] = deque(maxlen=KEPT)


class _Watch:
    """One service. Monotonic seconds: `looked` of the last comparison, `counted` of `recent`."""

    def __init__(self, name: str, rules: OutlierSpec, looked: float) -> None:
        self.name = name
        self.rules = rules
        self.looked = looked
        self.places: dict[str, _Place] = {}
        self.counted = float("-inf")
        self.recent: dict[str, Counts] = {}


class Ejections:
    """One per control process; what it knows of a server outlives reloads. `clock`: monotonic seconds."""

    def __init__(
        self,
        statuses: Statuses,
        events: Events,
        cells: Cells,
        ledger: Ledger,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._statuses = statuses
        self._events = events
        self._cells = cells
        self._ledger = ledger
        self._clock = clock
        self._watches: dict[str, _Watch] = {}

    # -------------------------------------------------------------------------------------- what comes in

    def reconcile(self, spec: Spec, plan: Plan, whole: bool = True) -> None:
        """Follow a new configuration; to be called after the statuses did. Not `whole`: services that `plan`
        does not name stay as they are. An ejection under way ends when it
        would have, or at once where the service has no passive checks any more."""
        before = self._watches
        self._watches = {} if whole else before.copy()
        for service in plan.services:
            rules = spec.services[service.name].outlier
            old = before.get(service.name)
            if rules is not None:
                self._watches[service.name] = self._watch(service, rules, old)
            elif old is not None:
                for address, place in old.places.items():
                    if place.until is not None:
                        self._let_in(old, address, "configuration")

    def suspect(self, said: Suspect) -> None:
        """A worker met failures in a row. A server that is out already is left alone: exchanges that were
        under way there end late."""
        watch, place = self._find(said.service, said.address)
        now = self._clock()
        if watch is None or place is None or not self._may_be_told(watch, place, said.address, now):
            return
        if now >= watch.counted + RECENT:
            watch.counted, watch.recent = now, self._counts(watch)
        counts = {**watch.recent, said.address: self._counts_of(place)}
        requests, failures, _ = counts[said.address]
        after = watch.rules.consecutive_failures
        verdict = Verdict(
            said.address, CONSECUTIVE, requests, failures, said.failures, after, 0.0, len(counts)
        )
        text = f"{said.failures} failures in a row, the last: {said.last}"
        self._enforce(watch, verdict, self._evidence(watch, verdict, text, counts))

    def recovered(self, service: str, address: str) -> None:
        """The active check had found the server down and finds it up: what was held against it is past."""
        watch, place = self._find(service, address)
        if watch is not None and place is not None and place.until is not None:
            self._let_in(watch, address, "check")

    def tick(self) -> None:
        """Let those in whose time is over, compare the servers of services whose interval is over; about
        every second."""
        now = self._clock()
        for watch in self._watches.values():
            for address, place in watch.places.items():
                if place.until is not None and now >= place.until:
                    self._let_in(watch, address, "time")
            if now >= watch.looked + watch.rules.interval:
                self._compare(watch)

    def evidence(self, service: str, address: str) -> list[dict[str, Any]]:
        """The last pieces of Evidence as plain data, the oldest first; none where there is no such server."""
        _, place = self._find(service, address)
        return [one._asdict() for one in place.evidence] if place is not None else []

    # ----------------------------------------------------------------------------------------- comparison

    def _watch(self, service: ServicePlan, rules: OutlierSpec, old: _Watch | None) -> _Watch:
        watch = _Watch(service.name, rules, old.looked if old is not None else self._clock())
        for server in service.servers:
            place = old.places.get(server.address) if old is not None else None
            if place is None:
                place = _Place()
                place.returned = self._clock()  # not compared before it was there for a whole interval
            slot = self._ledger.own(service.name, server.address)
            if slot is not None and slot != place.slot:
                place.cells = read(self._cells, slot)
            place.slot = slot
            watch.places[server.address] = place
        return watch

    def _counts(self, watch: _Watch) -> dict[str, Counts]:
        """What the servers did since the last comparison."""
        return {address: self._counts_of(place) for address, place in watch.places.items()}

    def _counts_of(self, place: _Place) -> Counts:
        if place.slot is None:
            return _NOTHING
        return counts_of(place.cells, read(self._cells, place.slot))

    def _compare(self, watch: _Watch) -> None:
        rules, since, now = watch.rules, watch.looked, self._clock()
        counts = self._counts(watch)
        # Who was out in the meantime had less than its share of the requests.
        there = {
            address
            for address, place in watch.places.items()
            if place.until is None and place.returned <= since
        }
        compared = {address: counts[address] for address in watch.places if address in there}
        found: dict[str, set[str]] = {address: set() for address in watch.places}
        for mode, judge in ((rules.success_rate, failing), (rules.latency, slow)):
            if mode == "off":
                continue
            for verdict in judge(compared, rules.min_requests, rules.min_servers):
                found[verdict.server].add(verdict.kind)
                evidence = self._evidence(watch, verdict, text_of(verdict, now - since), counts)
                if mode == "enforce":
                    self._enforce(watch, verdict, evidence)
                else:
                    self._note(watch, verdict, evidence)
        for address, place in watch.places.items():
            place.noted = found[address]
            if place.until is None and address in there:
                place.times = max(0, place.times - 1)
            if place.slot is not None:
                place.cells = read(self._cells, place.slot)
        watch.looked = now

    def _evidence(self, watch: _Watch, verdict: Verdict, text: str, counts: dict[str, Counts]) -> Evidence:
        others = [other for address, other in counts.items() if address != verdict.server]
        return Evidence(
            at=time.time(), reason=verdict.kind, text=text, window=round(self._clock() - watch.looked, 3),
            requests=verdict.requests, failures=verdict.failures,
            value=verdict.value, threshold=verdict.threshold,
            usual=None if verdict.kind == CONSECUTIVE else verdict.usual,
            others=len(others), others_requests=sum(other.requests for other in others),
            others_failures=sum(other.failures for other in others),
        )  # fmt: skip

    # ---------------------------------------------------------------------------------------- what follows

    def _enforce(self, watch: _Watch, verdict: Verdict, evidence: Evidence) -> None:
        """Eject it, or say why not."""
        rules, now = watch.rules, self._clock()
        place = watch.places[verdict.server]
        if not self._may_be_told(watch, place, verdict.server, now):
            return
        refused = self._refused(watch, verdict.server)
        if refused:
            place.withheld = now
            self._tell("ejection_withheld", watch, verdict.server, evidence, f"{evidence.text}; {refused}")
            return
        # No further than max_ejection needs, as Envoy does it: one that behaves is forgiven in finite time.
        if rules.ejection * place.times < rules.max_ejection:
            place.times += 1
        lasts = min(rules.ejection * place.times, rules.max_ejection)
        place.until = now + lasts
        evidence = evidence._replace(enforced=True, until=evidence.at + lasts)
        place.evidence.append(evidence)
        text = f"{evidence.text}; ejected for {lasts:g}s"
        self._statuses.ejected(watch.name, verdict.server, text)
        self._tell("server_ejected", watch, verdict.server, evidence, text, times=place.times)

    def _may_be_told(self, watch: _Watch, place: _Place, address: str, now: float) -> bool:
        """Whether there is anything to be done about it: it is in use, and not only just kept there."""
        return (
            place.until is None
            and now >= place.withheld + watch.rules.interval
            and address in self._statuses.usable(watch.name)
        )

    def _refused(self, watch: _Watch, address: str) -> str:
        """Why no further server may be ejected; "" where it may."""
        out = sum(place.until is not None for place in watch.places.values())
        most = allowed(len(watch.places), watch.rules.max_ejected)
        if out >= most:
            return f"not ejected: {out} of {len(watch.places)} servers are, and max_ejected allows {most}"
        if all(other == address for other in self._statuses.usable(watch.name)):
            return "not ejected: no other server is usable"
        return ""

    def _note(self, watch: _Watch, verdict: Verdict, evidence: Evidence) -> None:
        """Shadow: tell it when it begins."""
        place = watch.places[verdict.server]
        if verdict.kind not in place.noted:
            place.evidence.append(evidence)
            text = f"{evidence.text}; would be ejected (shadow)"
            self._tell("outlier_shadow", watch, verdict.server, evidence, text)

    def _let_in(self, watch: _Watch, address: str, reason: str) -> None:
        place = watch.places[address]
        place.until = None
        place.returned = self._clock()
        self._statuses.ejected(watch.name, address, None)
        text = {
            "time": "its ejection is over",
            "check": "the active check found it down, and up again",
            "configuration": "the service has no passive checks any more",
        }[reason]
        self._events.emit("server_returned", reason, text, service=watch.name, server=address)

    def _tell(
        self, kind: str, watch: _Watch, address: str, evidence: Evidence, text: str, **facts: Any
    ) -> None:
        known = {name: value for name, value in evidence._asdict().items() if name not in ("reason", "text")}
        self._events.emit(kind, evidence.reason, text, service=watch.name, server=address, **known, **facts)

    def _find(self, service: str, address: str) -> tuple[_Watch | None, _Place | None]:
        watch = self._watches.get(service)
        return watch, watch.places.get(address) if watch is not None else None


def allowed(servers: int, share: float) -> int:
    """How many of the servers may be ejected at a time: at least one unless `share` (0..1) is 0, and never
    all."""
    if share <= 0:
        return 0
    return min(max(1, int(servers * share + 1e-9)), servers - 1)
