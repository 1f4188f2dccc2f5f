"""What is checked and what came of it: the plain records between control and the checks.

Lives here: the settings of every kind of probe, the plan of one check, its result. Must not live here:
configuration (control makes the plans from the Spec), running anything, and what a result means for a
server (lb.upstream.health counts, control decides).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

Pace: TypeAlias = Literal["steady", "down", "rising"]
"""How a server stands after a result, so when the next probe is due: "rising" while a run of results towards
a change is under way (in either direction), "down" while the server is down, else "steady"."""


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """How a probe speaks TLS. `server_name`: None for the host of the address; `ca`: a file of certificates
    in PEM, None for those of the system."""

    server_name: str | None = None
    ca: str | None = None
    verify: bool = True


@dataclass(frozen=True, slots=True)
class HttpProbe:
    """One HTTP/1.1 request. `host`: the Host header, None for the server's address. `status`: inclusive
    ranges. `body`: text that must be in the answer, `regex`: re.search must find it; both look at the first
    lb.health.http.MOST_BODY bytes. `port`: None for the server's own."""

    path: str
    method: str = "GET"
    host: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    status: tuple[tuple[int, int], ...] = ((200, 399),)
    body: str | None = None
    regex: str | None = None
    port: int | None = None
    tls: TlsSettings | None = None


@dataclass(frozen=True, slots=True)
class TcpProbe:
    """A connection is accepted; with `tls` the handshake succeeds."""

    port: int | None = None
    tls: TlsSettings | None = None


@dataclass(frozen=True, slots=True)
class GrpcProbe:
    """grpc.health.v1.Health/Check says SERVING. `service`: what to ask for, "" for the server as a whole."""

    service: str = ""
    port: int | None = None
    tls: TlsSettings | None = None


@dataclass(frozen=True, slots=True)
class CommandProbe:
    """A command that ends with 0. It gets LB_SERVICE, LB_ADDRESS, LB_HOST and LB_PORT in its environment."""

    argv: tuple[str, ...]
    port: int | None = None


@dataclass(frozen=True, slots=True)
class AgentProbe:
    """One line from an agent beside the server, as HAProxy's agent-check reads it. `send`: written first."""

    port: int
    send: str = ""


Probe: TypeAlias = HttpProbe | TcpProbe | GrpcProbe | CommandProbe | AgentProbe


class Key(NamedTuple):
    """What a check is: its state is kept for as long as this stays the same. An agent beside a check is a
    check of its own."""

    service: str
    address: str
    probe: Probe


@dataclass(frozen=True, slots=True)
class CheckPlan:
    """One check of one server. `address` as in lb.plan: "10.0.0.1:80", "[::1]:80", "name:80", "unix:/path".

    Seconds: `interval` from the start of one probe to that of the next, `interval_down` and
    `interval_rising` instead of it (None: the same) by the pace that the report gives back, each longer or
    shorter by up to the share `jitter` (0..1); `timeout` for one probe as a whole."""

    service: str
    address: str
    probe: Probe
    interval: float = 5.0
    interval_down: float | None = None
    interval_rising: float | None = None
    jitter: float = 0.1
    timeout: float = 2.0

    @property
    def key(self) -> Key:
        return Key(self.service, self.address, self.probe)


class AgentState(NamedTuple):
    """What an agent has said so far: a word holds until the agent says another one of its kind. `weight`: a
    factor on the server's weight; `admin`: "", "drain" or "maint"; `running`: "" (nothing yet), "up" or
    "down"; `reason`: the text of the last line."""

    weight: float = 1.0
    admin: str = ""
    running: str = ""
    reason: str = ""

    @property
    def state(self) -> str:
        """All of it in one word: "" (nothing yet), "up", "drain" or "down"."""
        if self.admin == "maint" or self.running == "down":
            return "down"
        return self.admin or self.running


class Result(NamedTuple):
    """What one probe found. `why`: for an operator, such as "HTTP 503, expected 200-399"; `took`: seconds.
    `agent`: of an AgentProbe that was answered; `ok` then says only that the answer could be read."""

    service: str
    address: str
    probe: Probe
    ok: bool
    why: str
    took: float
    agent: AgentState | None = None

    @property
    def key(self) -> Key:
        return Key(self.service, self.address, self.probe)
