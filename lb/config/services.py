"""Services in the configuration: servers, algorithm, connections. What a service does about failing servers
is in lb.config.health and lb.config.resilience."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field

from lb.config.addresses import ServerAddress, server_address
from lb.config.discovery import DiscoverSpec
from lb.config.fields import CLASS, TOKEN
from lb.config.health import HealthCheckSpec
from lb.config.problems import nearest, one_of, shown, wrong, wrong_key
from lb.config.resilience import AdaptiveItem, BreakersSpec, OutlierSpec
from lb.config.section import Finding, Section, always
from lb.config.shares import percent
from lb.config.sticky import StickyItem
from lb.config.values import LIST, Checked, Truth, choice, duration, fraction, text, whole
from lb.discovery.dns import ResolvedServer

ALGORITHMS = (
    "round_robin",
    "random",
    "weighted_random",
    "least_connections",
    "power_of_two",
    "ewma",
    "consistent_hash",
    "first",
)
HASHING = "consistent_hash"
_NUMBERS = re.compile(r"[0-9.]+\Z")
METHODS = ("auto", "rendezvous", "maglev", "ketama")
KEYS = ("client_ip", "host", "path", "uri")
NAMED_KEYS = ("header", "cookie", "query")


def _algorithm_name(value: str) -> str:
    if value in ALGORITHMS or CLASS.match(value):
        return value
    if ":" in value or "." in value:
        raise wrong(f"found {shown(value)}; a class of your own is written package.module:Class")
    raise wrong(
        f"found {shown(value)}; expected {one_of(ALGORITHMS)}, or a class of your own as package.module:Class"
        f"{nearest(value, ALGORITHMS)}"
    )


def _key(value: str) -> str:
    kind, colon, name = value.partition(":")
    if value in KEYS:
        return value
    if kind in NAMED_KEYS:
        if not name:
            raise wrong(f'found {shown(value)}; a name is missing: "{kind}:NAME"')
        if kind != "query" and not TOKEN.match(name):
            raise wrong(f"found {shown(value)}; {shown(name)} is not a name of a {kind}")
        return f"{kind}:{name.lower() if kind == 'header' else name}"
    expected = f"{one_of(KEYS)}, header:NAME, cookie:NAME or query:NAME"
    suggestion = nearest(kind, NAMED_KEYS if colon else KEYS)
    raise wrong(f"found {shown(value)}; expected {expected}{suggestion}")


def _options(value: object) -> dict[str, str | int | float | bool]:
    if not isinstance(value, dict):
        raise wrong(f"found {shown(value)}; expected a mapping of options to values")
    for name, option in value.items():
        if not isinstance(option, (str, int, float, bool)):
            raise wrong(f'found {shown(option)} for "{name}"; an option is text, a number, true or false')
    return {str(name): str(option) if isinstance(option, str) else option for name, option in value.items()}


_OPTION = {"type": ["string", "number", "integer", "boolean"]}
OptionValues = Annotated[
    dict[str, str | int | float | bool],
    Checked(_options, {"type": "object", "additionalProperties": _OPTION}),
]


_NAMES = {"anyOf": [{"enum": list(ALGORITHMS)}, {"type": "string", "pattern": ":"}]}
AlgorithmName = Annotated[str, Checked(text(_algorithm_name).check, _NAMES)]


class AlgorithmSpec(Section):
    """How a service picks one of its servers."""

    name: AlgorithmName = Field(
        default="round_robin", description=f"{one_of(ALGORITHMS)}, or package.module:Class."
    )
    key: Annotated[str, text(_key)] | None = Field(
        default=None,
        description="What is hashed: client_ip, host, path, uri, header:NAME, cookie:NAME or query:NAME. "
        "consistent_hash: client_ip unless given.",
    )
    method: Annotated[str, choice(*METHODS)] | None = Field(
        default=None,
        description="consistent_hash: auto (rendezvous up to 50 servers, maglev above), rendezvous, maglev "
        "or ketama.",
    )
    bounded_load: Annotated[float, fraction(0.0, 100.0)] | None = Field(
        default=None,
        description="consistent_hash: no server gets more than this multiple of the average load, such as "
        "1.25; 0: no bound.",
    )
    options: OptionValues = Field(default={}, description="Options of a class of your own.")

    @classmethod
    def impossible(cls, given: Mapping[str, Any]) -> Iterator[Finding]:
        name = given.get("name", "round_robin")
        own = isinstance(name, str) and ":" in name
        hashing = name == HASHING
        for key in ("key", "method", "bounded_load"):
            if key in given and given[key] is not None and not (hashing or (own and key == "key")):
                yield (key,), wrong_key(f"{shown(name)} does not use it; only consistent_hash does")
        if given.get("options") and not own:
            yield (
                ("options",),
                wrong_key(f"{shown(name)} has no options; a class of your own (module:Class) has"),
            )
        bound = given.get("bounded_load")
        if isinstance(bound, (int, float)) and not isinstance(bound, bool) and 0 < bound < 1.05:
            yield (
                ("bounded_load",),
                wrong(f"found {bound}; expected a number from 1.05, such as 1.25, or 0 for none"),
            )


def _algorithm(value: object) -> object:
    return {"name": value} if isinstance(value, str) else value


class ServerSpec(Section):
    """One member of a service."""

    address: ServerAddress = Field(
        description='"10.0.0.1:8080", "[::1]:8080", "name:8080" or "unix:/run/app.sock".'
    )
    weight: Annotated[int, whole(0, 65_535)] = Field(
        default=1, description="Its share of the requests; 0: none."
    )
    priority: Annotated[int, whole(0, 100)] = Field(
        default=0, description="Servers of a higher number get what those of lower ones cannot take."
    )
    backup: Truth = Field(
        default=False,
        description="Asked while no other server is eligible, whatever its priority; comes before panic.",
    )

    resolve: Annotated[float | None, duration()] = Field(
        default=None,
        description="Ask DNS for the name this often (1s at least): every A and AAAA record is a server with "
        "this weight, priority and backup. Absent: the system resolves the name when it connects.",
    )

    @classmethod
    def impossible(cls, given: Mapping[str, Any]) -> Iterator[Finding]:
        address = given.get("address")
        if "resolve" in given and isinstance(address, str):
            name = address.rpartition(":")[0]
            if address.startswith("unix:") or name.startswith("[") or _NUMBERS.match(name):
                yield ("resolve",), wrong_key(f"no effect: {shown(address)} is no name that DNS knows")
        if given.get("backup") is True and given.get("priority"):
            yield ("priority",), wrong_key('no effect beside "backup": backups come after all priorities')


def _server(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool):
        raise wrong(f'found {value}; expected an address: "127.0.0.1:{value}"')
    return {"address": value} if isinstance(value, str) else value


ServerItem = Annotated[ServerSpec, BeforeValidator(_server, json_schema_input_type=ServerSpec | str)]


class ConnectionsSpec(Section):
    """The connections that a service keeps to its servers."""

    max_idle: Annotated[int, whole(0, 100_000)] = Field(
        default=64, description="Idle connections kept per worker and server."
    )
    idle_timeout: Annotated[float, duration()] = Field(
        default=60.0, description="How long an idle connection is kept."
    )
    max_age: Annotated[float, duration()] = Field(
        default=3600.0, description="The age at which a connection is not used again."
    )
    max_per_server: Annotated[int, whole(0, 1_000_000)] = Field(
        default=0, description="Connections to a server from this machine; 0: no limit."
    )
    queue: Annotated[int, whole(0, 1_000_000)] = Field(
        default=1000, description="Requests that may wait for a connection, per server."
    )
    queue_timeout: Annotated[float, duration()] = Field(
        default=5.0, description="How long a request may wait for a connection."
    )


class ServiceSpec(Section):
    """A named set of servers with one algorithm."""

    later: ClassVar[Mapping[str, str]] = {
        "tls": "TLS to servers",
    }

    algorithm: Annotated[
        AlgorithmSpec, BeforeValidator(_algorithm, json_schema_input_type=AlgorithmSpec | AlgorithmName)
    ] = Field(
        default_factory=always(AlgorithmSpec()), description="A name, or a mapping with name and options."
    )
    servers: Annotated[tuple[ServerItem, ...], LIST] = Field(
        default=(), description="Its members: addresses, or mappings with weight, priority and backup."
    )
    discover: DiscoverSpec | None = Field(
        default=None, description="Where further members come from; `servers` may be absent then."
    )
    connections: ConnectionsSpec = Field(
        default_factory=always(ConnectionsSpec()), description="Connections kept to its servers."
    )
    health_check: HealthCheckSpec | None = Field(default=None, description="Ask servers how they are.")
    outlier: OutlierSpec | None = Field(
        default=None, description="Eject servers that do worse than the others."
    )
    sticky: StickyItem = Field(
        default=None, description="Keep a client at one server; a cookie's name, or a mapping."
    )
    slow_start: Annotated[float, duration(zero="none")] = Field(
        default=0.0, description="The time in which a server that came back grows to its weight; 0: none."
    )
    panic_threshold: Annotated[float, percent()] = Field(
        default=0.0, description="With a smaller share of usable servers, all are used; 0: never."
    )
    breaker: BreakersSpec | None = Field(default=None, description="Circuit breakers.")
    adaptive_concurrency: AdaptiveItem = Field(
        default=None, description="A limit of concurrent requests per server that follows its latency."
    )

    @property
    def followed(self) -> DiscoverSpec | tuple[ResolvedServer, ...] | None:
        """The source of servers beside those that are written; None where there is none."""
        return self.discover or tuple(_resolved(one) for one in self.servers if one.resolve) or None

    @classmethod
    def impossible(cls, given: Mapping[str, Any]) -> Iterator[Finding]:
        servers = given.get("servers")
        if "discover" in given and isinstance(servers, (list, tuple)):
            for index, server in enumerate(servers):
                if isinstance(server, dict) and "resolve" in server:
                    yield (
                        ("servers", index, "resolve"),
                        wrong_key('cannot stand beside "discover": a service has one source'),
                    )
        misspelt = any(nearest(key, ["servers", "discover"]) for key in given if key not in cls.keys)
        if "servers" not in given and "discover" not in given and not misspelt:
            yield (), wrong('the key "servers" is missing')
        if not isinstance(servers, (list, tuple)):
            return
        if not servers:
            yield ("servers",), wrong('found an empty list; write at least one server: ["127.0.0.1:9001"]')
        first: dict[str, int] = {}
        weights: list[object] = []
        for index, server in enumerate(servers):
            address = server.get("address") if isinstance(server, dict) else server
            weights.append(server.get("weight", 1) if isinstance(server, dict) else 1)
            if not isinstance(address, str):
                continue
            try:
                address = server_address(address)
            except ValueError:
                continue
            if address.startswith("unix:"):
                yield from _own_port(given.get("health_check"), address)
            if first.setdefault(address, index) != index:
                yield (
                    ("servers", index),
                    wrong(
                        f"{address} is here twice (number {first[address] + 1} and {index + 1}); use weight"
                    ),
                )
        if weights and all(weight == 0 and weight is not False for weight in weights):
            yield ("servers",), wrong("all weights are 0; at least one server needs a weight above 0")


def _resolved(server: ServerSpec) -> ResolvedServer:
    name, _, port = server.address.rpartition(":")
    every = server.resolve or 0.0
    return ResolvedServer(name, int(port), every, server.weight, server.priority, server.backup)


def _own_port(check: object, address: str) -> Iterator[Finding]:
    for key in ("port", "agent"):
        if isinstance(check, dict) and key in check:
            yield ("health_check", key), wrong_key(f"{address} is no host that has ports; remove it")


def _short(value: object) -> object:
    """A list of addresses stands for {servers: list}."""
    if isinstance(value, str):
        raise wrong(f"found {shown(value)}; expected a list of servers: [{shown(value)}]")
    return {"servers": value} if isinstance(value, (list, tuple)) else value


ServiceItem = Annotated[
    ServiceSpec, BeforeValidator(_short, json_schema_input_type=ServiceSpec | list[str | ServerSpec])
]
