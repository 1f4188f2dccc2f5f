"""What telemetry asks of the control process: the figures that do not lie in the cells.

Lives here: plain records and one Protocol that lb.control implements. Must not live here: anything that
reads or renders them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from lb.telemetry.exemplars import Exemplars


class WorkerFacts(NamedTuple):
    """One place for a worker process. `worker` is its region of the cells; `pid` 0 where none runs;
    `state` one of starting, running, draining, stopped; `generation` the last that it acknowledged;
    `started` unix seconds; `restarts` how often a dead worker was replaced here."""

    worker: int
    pid: int
    state: str
    generation: int
    started: float
    restarts: int = 0


class ClusterFacts(NamedTuple):
    """`name`: of the cluster; `node`: of this lb in it. `epoch`: of the term held here, or the highest that
    was published to us. `transitions`: how often leadership changed here, by reason. `renewal`, `lateness`:
    seconds, of the last renewal; `age`: seconds since the engine answered, None: never; `trouble`: what is
    published is not what runs here; `rollout`: a revision is tried on some nodes. Of shared health, where it
    is configured: the servers on which there are `disagreements`, by between whom, and how many share."""

    name: str
    node: str
    engine: str
    leading: bool
    epoch: int
    revision: int
    transitions: Mapping[str, int]
    renewal: float
    lateness: float
    reachable: bool
    age: float | None
    trouble: bool
    rollout: bool
    disagreements: Mapping[str, int] | None = None
    health_nodes: int = 0


class ProcessFacts(Protocol):
    """Facts about the running control process; every attribute is cheap to read."""

    @property
    def started(self) -> float:
        """When control started, unix seconds."""

    @property
    def generation(self) -> int:
        """The generation in force; 0 before the first."""

    @property
    def reloads(self) -> Mapping[str, int]:
        """How many reloads ended "success", "unchanged" or "failure" (the first load is not one)."""

    @property
    def last_reload_ok(self) -> bool:
        """Whether the last load or reload gave a generation that is in force."""

    @property
    def last_reload_at(self) -> float:
        """When the last load or reload ended, unix seconds; 0.0 before the first."""

    @property
    def event_counts(self) -> Mapping[tuple[str, str, str], int]:
        """How many events there were, by kind, reason and service ("" where none is involved)."""

    @property
    def webhook_lost(self) -> int:
        """How many events the webhook did not take."""

    @property
    def spans_exported(self) -> int:
        """How many spans a collector took."""

    @property
    def spans_dropped(self) -> Mapping[str, int]:
        """How many spans control lost, by reason; every reason."""

    @property
    def probes_waiting(self) -> int:
        """How many probes are due and wait, because too many are under way."""

    @property
    def exemplars(self) -> Exemplars:
        """Of the histograms of routes."""

    def cluster_facts(self) -> ClusterFacts | None:
        """None where this lb is in no cluster."""

    def server_counts(self) -> Mapping[tuple[str, str], int]:
        """How many servers of a service have a status, by service and the status in one word; every word."""

    def servers_out(self) -> Mapping[tuple[str, str], int]:
        """How many servers of a service get no new requests, by service and the signal that decides; every
        signal."""

    @property
    def loop_lag(self) -> tuple[float, float]:
        """How late the last tick of control's loop was, and the latest of all, seconds."""

    def discovery(self) -> Sequence[Mapping[str, Any]]:
        """Of every source of servers: service, members, age (seconds, None where it never answered), held
        (addresses), unusable (entries), errors, updates."""

    def catalog(self) -> Mapping[str, Any] | None:
        """Of the catalogue that makes routes: routes, held, unusable, errors, age (as above); None where
        there is none."""

    def certificates(self) -> Mapping[tuple[str, str], float]:
        """When the certificates that lb shows or trusts end, unix seconds, by the key of the configuration
        and the file; those that can be read."""

    def workers(self) -> Sequence[WorkerFacts]:
        """All places for workers in the order of `worker`, dead ones too."""
