"""The messages between control and a worker, and how a plan is cut into pieces and put together.

Lives here: plain tagged records and the pure functions on plans. Must not live here: sockets
(lb.worker.channel) or what is done on a message (lb.worker.work, lb.control.supervisor).

A plan travels as PlanBegin, pieces, PlanEnd, so that decoding 5,000 routes never holds the worker's loop
for more than a few milliseconds. It takes effect in two steps: the worker answers PlanEnd with
Prepared (built, or why not), and goes over to it on Commit; Discard drops it. An Update of the plan in force
travels the same way, opened by UpdateBegin.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from lb.plan import Plan, RoutePlan, ServicePlan, StatePlan, TailPlan, Update
from lb.telemetry.decision import Decision

PIECE = 100  # routes or services in a message
PIECE_SERVERS = 500  # a piece of services is closed early when it holds this many servers


class Message(Struct, frozen=True, tag=True):
    """Base of all messages. The class name is the tag on the wire."""


# ------------------------------------------------------------------------------- control to worker


class PlanBegin(Message, frozen=True):
    """Opens a plan: all of it but routes and services."""

    plan: Plan


class UpdateBegin(Message, frozen=True):
    """Opens an Update: all of it but the services."""

    update: Update


class RoutesPiece(Message, frozen=True):
    routes: tuple[RoutePlan, ...]


class ServicesPiece(Message, frozen=True):
    services: tuple[ServicePlan, ...]


class PlanEnd(Message, frozen=True):
    """The plan is whole: build it and answer with Prepared."""


class Commit(Message, frozen=True):
    """Publish the prepared plan of this generation and answer with Applied."""

    generation: int


class Discard(Message, frozen=True):
    """Another worker refused this generation: drop it."""

    generation: int


class States(Message, frozen=True):
    """What control knows of servers beside the plan; `whole`: a server that is not named has none, `of`: the
    same for those of these services. Sent to a new worker before its first Commit, before the Commit of every
    plan and update, and whenever it changes."""

    states: tuple[StatePlan, ...]
    whole: bool = False
    of: tuple[str, ...] = ()


class Serve(Message, frozen=True):
    """A listening socket for this listener travels with the message. `address`: the text of the
    configuration that it was bound for."""

    listener: str
    address: str = ""


class StopServing(Message, frozen=True):
    """Stop accepting for this listener; connections stay."""

    listener: str


class Drain(Message, frozen=True):
    """Stop accepting, let exchanges finish, say Bye, end."""


class Abort(Message, frozen=True):
    """Close everything at once, say Bye, end."""


class ReopenLog(Message, frozen=True):
    """Open the access log again under its name (after it was rotated)."""


class Watch(Message, frozen=True):
    """These look on from now on, and nobody else."""

    tails: tuple[TailPlan, ...]


class Describe(Message, frozen=True):
    """Answer with Described of the same id."""

    id: int


# ------------------------------------------------------------------------------- worker to control


class Ready(Message, frozen=True):
    """The worker runs and waits for its plan."""


class Prepared(Message, frozen=True):
    """The plan is built, or `error` says why not. Times in microseconds; `stall_us` is the longest
    time for which the worker's loop stood still."""

    generation: int
    error: str | None = None
    build_us: int = 0
    stall_us: int = 0


class Applied(Message, frozen=True):
    """The plan of this generation is in force."""

    generation: int
    stall_us: int = 0


class Suspect(Message, frozen=True):
    """`failures` exchanges in a row failed on this server in this worker; `last`: the flag or the status of
    the last one. Sent when the service's suspect_after is reached, and again after every further so many."""

    service: str
    address: str
    failures: int
    last: str


class Tripped(Message, frozen=True):
    """The breaker of this server, or of the whole service where `address` is "", opened in this worker, or
    closed."""

    service: str
    address: str
    open: bool


class Different(Message, frozen=True):
    """A sample: the copy of a request of this route was answered otherwise by the service that mirrors it.
    `place`: status, header or body; `text` says how, without bodies and secrets; `request`: method and
    path."""

    route: str
    service: str
    place: str
    text: str
    request: str
    request_id: str


class Decisions(Message, frozen=True):
    """What happened to requests since the last tick, as far as it is kept. `left_out`: by tail, how many more
    it would have shown."""

    decisions: tuple[Decision, ...]
    left_out: dict[int, int] = {}


class Described(Message, frozen=True):
    id: int
    data: dict[str, Any]


class Bye(Message, frozen=True):
    """The worker ends now, as told. `cut`: exchanges that were not finished."""

    cut: int = 0


ToWorker = (
    PlanBegin
    | UpdateBegin
    | RoutesPiece
    | ServicesPiece
    | PlanEnd
    | Commit
    | Discard
    | States
    | Serve
    | StopServing
    | Drain
    | Abort
    | ReopenLog
    | Watch
    | Describe
)
ToControl = Ready | Prepared | Applied | Suspect | Tripped | Different | Decisions | Described | Bye


# --------------------------------------------------------------------------------- plans in pieces


def pieces(plan: Plan | Update) -> Iterator[Message]:
    """The messages that carry `plan`, from PlanBegin or UpdateBegin to PlanEnd."""
    if isinstance(plan, Update):
        yield UpdateBegin(replace(plan, services=()))
    else:
        yield PlanBegin(replace(plan, routes=(), services=()))
        for start in range(0, len(plan.routes), PIECE):
            yield RoutesPiece(plan.routes[start : start + PIECE])
    piece: list[ServicePlan] = []
    servers = 0
    for service in plan.services:
        piece.append(service)
        servers += len(service.servers)
        if len(piece) == PIECE or servers >= PIECE_SERVERS:
            yield ServicesPiece(tuple(piece))
            piece, servers = [], 0
    if piece:
        yield ServicesPiece(tuple(piece))
    yield PlanEnd()


class PlanAssembly:
    """Puts the pieces of one plan or update together again."""

    def __init__(self, begin: PlanBegin | UpdateBegin) -> None:
        self.head = begin.plan if isinstance(begin, PlanBegin) else begin.update
        self.routes: list[RoutePlan] = []
        self.services: list[ServicePlan] = []

    def add(self, piece: RoutesPiece | ServicesPiece) -> None:
        if isinstance(piece, RoutesPiece):
            self.routes.extend(piece.routes)
        else:
            self.services.extend(piece.services)

    def plan(self) -> Plan | Update:
        if isinstance(self.head, Update):
            return replace(self.head, services=tuple(self.services))
        return replace(self.head, routes=tuple(self.routes), services=tuple(self.services))


def updated(plan: Plan, update: Update) -> Plan:
    """`plan`, which is that of the update's base, with what the update changes."""
    fresh = {service.name: service for service in update.services}
    services = tuple(fresh.get(service.name, service) for service in plan.services)
    return replace(plan, generation=update.generation, services=services)
