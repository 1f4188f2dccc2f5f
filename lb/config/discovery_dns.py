"""DNS in the configuration: what a service follows there (`services.NAME.discover.dns`).

Lives here: the section, its checks, and its settings as lb.discovery takes them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Annotated, Any, Literal

from pydantic import Field

from lb.config.problems import shown, wrong, wrong_key
from lb.config.section import Finding, Section
from lb.config.values import ONE_OR_MORE, choice, text, whole
from lb.discovery.dns import DnsQuery

RECORDS = ("address", "a", "aaaa", "srv")
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_NAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*\.?\Z")
_SERVER = re.compile(r"(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+))(?::([0-9]{1,5}))?\Z")


def _name(value: str) -> str:
    if not _NAME.match(value):
        raise wrong(f"found {shown(value)}; expected a whole DNS name such as api.internal")
    return value.removesuffix(".").lower()


def _server(value: str) -> str:
    _place(value)
    return value


def _place(value: str) -> tuple[str, int]:
    found = _SERVER.match(value)
    try:
        address = str(ip_address(found[1] or found[2])) if found else ""
    except ValueError:
        address = ""
    port = int(found[3] or 53) if found else 0
    if not address or not 0 < port < 65_536:
        raise wrong(f'found {shown(value)}; expected an IP address, with a port or without: "10.0.0.2:53"')
    return address, port


class DnsDiscoverSpec(Section):
    """Servers by DNS, asked for again when the records expire (after 1s to 5m)."""

    name: Annotated[str, text(_name, examples=["api.internal"])] = Field(
        description="The whole name; no search list is used. For srv such as _http._tcp.api.internal."
    )
    records: Annotated[Literal["address", "a", "aaaa", "srv"], choice(*RECORDS)] = Field(
        default="address",
        description="address is A and AAAA; srv has ports, weights and priorities of its own.",
    )
    port: Annotated[int, whole(1, 65_535)] | None = Field(
        default=None, description="The port of all addresses; not with srv."
    )
    servers: (
        Annotated[tuple[Annotated[str, text(_server, examples=["10.0.0.2:53"])], ...], ONE_OR_MORE] | None
    ) = Field(default=None, description="Name servers, by IP address; absent: those of the system.")

    def query(self) -> DnsQuery:
        """As lb.discovery takes it."""
        servers = tuple(_place(one) for one in self.servers or ())
        return DnsQuery(self.name, self.records, self.port or 0, servers)

    @classmethod
    def impossible(cls, given: Mapping[str, Any]) -> Iterator[Finding]:
        if given.get("records") == "srv":
            if "port" in given:
                yield ("port",), wrong_key("no effect: srv records have the ports")
        elif "port" not in given:
            yield (), wrong("the port is missing: addresses have none; write port: 8080, or records: srv")
