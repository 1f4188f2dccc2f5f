"""What a Consul Provider is told: the agents, and what it follows there. Plain, compared by value.

Must not live here: the YAML and its checks (lb.config.discovery_consul), any reading of files.
"""

from __future__ import annotations

from msgspec import Struct

from lb.discovery.contract import Registered


class ConsulTls(Struct, frozen=True):
    """TLS to the agents. Paths of PEM files; "": the system's certificates, no client certificate, the
    name in the address."""

    ca: str = ""
    cert: str = ""
    key: str = ""
    server_name: str = ""
    verify: bool = True


class ConsulConnection(Struct, frozen=True):
    """Where Consul is. `addresses`: "http://127.0.0.1:8500", in the order of preference, at least one.
    `token_file`, `token_env`: where the ACL token is, "" for nowhere; never the token itself. Seconds:
    `max_stale`, `wait` (1..600)."""

    addresses: tuple[str, ...] = ("http://127.0.0.1:8500",)
    token_file: str = ""
    token_env: str = ""
    stale: bool = True
    max_stale: float = 10.0
    wait: float = 60.0
    max_watches: int = 150
    tls: ConsulTls = ConsulTls()
    datacenter: str = ""
    namespace: str = ""
    partition: str = ""


class ConsulOwn(Struct, frozen=True):
    """lb itself as a service of Consul. `address` "": that of the agent. `ttl`: seconds after which Consul
    calls it critical where it does not hear of lb."""

    name: str
    port: int
    address: str = ""
    tags: tuple[str, ...] = ()
    ttl: float = 15.0

    @property
    def id(self) -> str:
        """Two lbs of one agent have different ports or addresses (containers); a successor has the same."""
        return "-".join(part for part in (self.name, self.address, str(self.port)) if part)


class ConsulCatalog(Struct, frozen=True):
    """Routes out of Consul's catalogue. `prefix`: of the tags that speak to lb ("lb" for "lb.route=…");
    `tags`: others that an instance must have, all of them."""

    prefix: str = "lb"
    tags: tuple[str, ...] = ()

    @property
    def route(self) -> str:
        """How a tag begins that says where requests come from."""
        return f"{self.prefix}.route="


class ConsulQuery(Struct, frozen=True):
    """What is followed: one service, or the outcome of a prepared query (by name or id). `tags` and `meta`
    (of Consul's nodes): all must hold; `marked`: how a further tag must begin, "" for none. `warning`: what a
    server with a check in warning is."""

    service: str = ""
    prepared_query: str = ""
    tags: tuple[str, ...] = ()
    meta: tuple[tuple[str, str], ...] = ()
    marked: str = ""
    filter: str = ""
    warning: Registered = Registered.UP
    zone_key: str = "zone"
    datacenter: str = ""
    namespace: str = ""
    partition: str = ""
