"""What the admin API may see and do: the Protocol that lb.control implements.

Lives here: the records and the one Protocol between the admin application and the control process.
The application asks for plain facts and shapes the JSON itself; it never touches control's own state.
Must not live here: HTTP (lb.admin.app) and behaviour.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from lb.cluster.records import Stage
from lb.plan import Plan
from lb.telemetry.cells import Cells
from lb.telemetry.condition import Condition as TailCondition
from lb.telemetry.decision import Decision
from lb.telemetry.facts import ProcessFacts
from lb.telemetry.ledger import Ledger
from lb.telemetry.series import Points
from lb.upstream.status import Override


class Problem(Protocol):
    """One problem of a configuration file, as lb.config reports it. `line` and `column` count from 1."""

    @property
    def file(self) -> str: ...
    @property
    def line(self) -> int: ...
    @property
    def column(self) -> int: ...
    @property
    def path(self) -> str: ...
    @property
    def message(self) -> str: ...


class Condition(NamedTuple):
    """One condition of readiness. `name` is a word such as "workers"; `text` says why it does not hold,
    or what holds."""

    name: str
    ok: bool
    text: str = ""


class Reload(NamedTuple):
    """The result of one load or reload. Where `ok`, `generation` is in force and `changes` are the lines
    of the diff (none: nothing changed). Otherwise the old generation stays and `problems` says why;
    `error` is set where the files were right and something else failed (a worker, a socket).
    `at`: unix seconds. `trigger`: start, signal, file, api."""

    ok: bool
    generation: int
    at: float
    trigger: str
    changes: Sequence[str] = ()
    problems: Sequence[Problem] = ()
    error: str = ""


class Checks(NamedTuple):
    """The health checks of a service: of how many `servers`, how many of them `checked` at least once, and
    when the one ended that is the longest ago (unix seconds; 0.0: none)."""

    servers: int
    checked: int
    oldest: float


class Question(NamedTuple):
    """A request to explain. `url` is absolute, or a path (then the host comes from `headers`); names in
    `headers` in lower case; `client_ip` "" for unknown; `listener` "" for the first."""

    method: str
    url: str
    headers: Sequence[tuple[str, str]] = ()
    client_ip: str = ""
    listener: str = ""


class Event(Protocol):
    """One event, as lb.control.events keeps it. `number` grows by one from event to event; `at`: unix
    seconds; `kind` and `reason` are words, `text` a sentence."""

    @property
    def number(self) -> int: ...
    @property
    def at(self) -> float: ...
    @property
    def kind(self) -> str: ...
    @property
    def reason(self) -> str: ...
    @property
    def service(self) -> str: ...
    @property
    def server(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def facts(self) -> Mapping[str, Any]: ...


class Unavailable(Exception):  # noqa: N818  (how it is)
    """The cluster's engine cannot be asked now; the text says why."""


class ClusterAnswer(NamedTuple):
    """What became of an order to the cluster. `error`: a word, "" where it was done; `revision`: the one in
    force where it is known, else 0; `problems`: of a document that is not valid."""

    error: str
    message: str = ""
    revision: int = 0
    problems: Sequence[Mapping[str, object]] = ()


class ClusterView(Protocol):
    """This node's cluster. What only the store knows is asked of it; where that cannot be, `status` and
    `history` give what was read last, with its `age` in seconds (None: never), and all others raise
    Unavailable."""

    def engine(self) -> Mapping[str, Any]:
        """`name`, `reachable`, `age` (seconds since it answered; None: never), `error`; asks nobody."""

    async def status(self) -> Mapping[str, object]:
        """Role, leader, engine, the revision published and the one that runs, what every node runs."""

    async def history(self) -> Mapping[str, object]:
        """`revisions`, the newest first, and `age`. Raises Unavailable where nothing was read yet."""

    async def document(self, number: int) -> tuple[Mapping[str, object], str]:
        """A revision and its document. Raises LookupError with a sentence for the user."""

    async def diff(self, one: int, other: int) -> str:
        """From one document to the other, as a unified diff. Raises LookupError likewise."""

    async def push(
        self, text: bytes, base: int | None, file: str, author: str, message: str, stage: Stage | None
    ) -> ClusterAnswer:
        """Have the leader publish `text`, if `base` is in force (None: whatever is); to some nodes first
        where there is a `stage`."""

    async def end_rollout(self, promote: bool, base: int | None, author: str, message: str) -> ClusterAnswer:
        """Have the leader publish to all what is tried on some nodes, or take it back from them."""

    async def rollback(self, number: int, base: int | None, author: str, message: str) -> ClusterAnswer:
        """Have the leader publish the document of revision `number` again."""

    async def resign(self, author: str) -> ClusterAnswer:
        """Have the leader give leadership to another node."""


class Ordered(NamedTuple):
    """An order that holds on all nodes of the cluster; `number`: what to name to take its place."""

    override: Override
    number: int


class EverywhereView(Protocol):
    """What operators order of servers on all nodes of the cluster. `base`: the number of the order that the
    author has seen, 0 for none; None: whichever there is."""

    @property
    def all(self) -> Mapping[tuple[str, str], Ordered]:
        """By service and address; of servers that are not in the plan too."""

    def standing(self) -> Mapping[str, object]:
        """`number`, `age` of the engine's word in seconds (None: never heard), `error`, `trouble`."""

    async def order(self, service: str, address: str, override: Override, base: int | None) -> ClusterAnswer:
        """Have the leader order it; this node obeys when it returns without an error."""

    async def lift(self, service: str, address: str, author: str, base: int | None) -> ClusterAnswer:
        """Have the leader lift an order; likewise."""


Row = dict[str, Any]
Rows = dict[str, Any]


class LiveView(Protocol):
    """What every listener, route, service and server does, looked at once a second."""

    def whole(self) -> Rows:
        """`at` (unix seconds), `tick`, `generation`, `total`, and the rows of `listeners`, `routes`,
        `services` and `servers`; JSON-ready."""

    def follow(self, listener: Callable[[Rows, bool], None]) -> Callable[[], None]:
        """Call `listener`, which must not block or raise, at once with all rows (True), then every second
        with those that changed, or all, until the function that is returned is called."""

    def history(self, identity: tuple[str, ...], hour: bool) -> Points | None:
        """The last hour, or the last two minutes, of ("total",), ("listener", name), ("route", name),
        ("service", name) or ("server", service, address); None where there is none such."""


class ControlView(ProcessFacts, Protocol):
    """The control process as the admin application sees it. All calls come from control's own event
    loop; nothing here may block it."""

    @property
    def plan(self) -> Plan | None:
        """The plan in force; None before the first."""

    @property
    def cells(self) -> Cells:
        """The shared-memory cells of all workers."""

    @property
    def ledger(self) -> Ledger:
        """Which cells belong to which listener, route and server."""

    @property
    def last_reload(self) -> Reload | None:
        """The last load or reload, whatever its result; None before the first."""

    @property
    def in_force_since(self) -> float:
        """When what the files say came into force, unix seconds; 0.0 before the first time."""

    def checks(self) -> Mapping[str, Checks]:
        """By service, where there are any that are made here."""

    @property
    def live(self) -> LiveView: ...

    @property
    def cluster(self) -> ClusterView | None:
        """None where this lb is in no cluster."""

    @property
    def everywhere(self) -> EverywhereView | None:
        """None where this lb is in no cluster."""

    def known(self, service: str, address: str) -> None:
        """Raises LookupError with a sentence for the user where the plan has no such server."""

    def conditions(self) -> Sequence[Condition]:
        """Everything that must hold for this lb to get traffic (configuration loaded, workers running,
        listeners bound, not draining). Ready means that all hold."""

    def resolved(self) -> str:
        """The configuration in force as YAML with defaults, secrets masked (lb.config.resolved)."""

    async def server_states(self) -> Mapping[str, Mapping[str, str]]:
        """Service name → server address → state in one word, as the data plane has it (eligible,
        standby, off, draining, down; several where workers differ).
        A server that is missing is shown as "unknown"."""

    def server_status(self, service: str, address: str) -> Mapping[str, object]:
        """What control knows of a server: `status` in one word, `reasons`, the last `check`, the `layers`
        file, discovery and override (lb.control.server_state); empty for a server that is unknown."""

    @property
    def overrides(self) -> Mapping[tuple[str, str], Override]:
        """What operators ordered, by service and address; of servers that are not in the plan too."""

    @property
    def overrides_saved(self) -> bool:
        """Whether what is in force is on the disk too."""

    def override(self, service: str, address: str, override: Override) -> None:
        """Put an order in force. Raises LookupError with a sentence for the user where there is no such
        server."""

    def clear_override(self, service: str, address: str, author: str) -> None:
        """Lift an order. Raises LookupError with a sentence for the user where there is none."""

    def discovery(self) -> Sequence[Mapping[str, Any]]:
        """What is known of every source of servers, as plain data."""

    def catalog(self) -> Mapping[str, Any] | None:
        """What is known of the catalogue that makes routes, as plain data; None where none is asked for."""

    def registration(self) -> Mapping[str, Any] | None:
        """What is known of lb's own registration; None where none is asked for."""

    def accept_discovery(self, service: str) -> None:
        """Let go of what the brake holds of a service. Raises LookupError with a sentence for the user where
        nothing is held."""

    def kept_decisions(self) -> list[bytes]:
        """What happened to requests, as far as it is kept: msgpack of lb.telemetry.decision.Decision, the
        newest first."""

    def tail(
        self, condition: TailCondition, rate: int, listener: Callable[[Sequence[Decision], int], None]
    ) -> Callable[[], None] | None:
        """Call `listener`, which must not block or raise, with up to `rate` requests a second on which the
        condition holds, as they end, and with how many more there were, until the function that is returned
        is called. None: too many look on already."""

    def last_events(self) -> Sequence[Event]:
        """The last events, oldest first."""

    def follow(self, listener: Callable[[Event], None]) -> Callable[[], None]:
        """Call `listener`, which must not block or raise, with every event from now on, until the function
        that is returned is called."""

    async def reload(self) -> Reload:
        """Read the configuration again and put it in force, all or nothing. Returns when every worker
        answered; never raises for a bad configuration."""

    async def explain(self, question: Question) -> Mapping[str, object]:
        """What would happen to this request, as JSON-ready data. Raises ValueError with a sentence for
        the user where the question makes no sense (bad URL, method, address, unknown listener)."""
