"""Listeners in the configuration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field

from lb.config.addresses import BindAddress, Network
from lb.config.fields import Name
from lb.config.problems import nearest, shown, wrong, wrong_key
from lb.config.section import Finding, Section, always
from lb.config.values import LIST, ONE_OR_MORE, Truth, choice, duration, size, whole

FORWARDED_HEADERS = ("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "forwarded", "via")
ForwardedHeader = Annotated[str, choice(*FORWARDED_HEADERS)]


class LimitsSpec(Section):
    """Limits of a listener."""

    max_connections: Annotated[int, whole(1, 10_000_000)] = Field(
        default=100_000, description="Open client connections per worker."
    )
    header_timeout: Annotated[float, duration()] = Field(
        default=10.0, description="From the first byte of a request to the end of its head."
    )
    idle_timeout: Annotated[float, duration()] = Field(
        default=75.0, description="How long a connection may wait for its next request."
    )
    body_timeout: Annotated[float, duration()] = Field(
        default=60.0, description="The longest pause within a request body."
    )
    max_header_bytes: Annotated[int, size()] = Field(
        default=32 * 1024, description="The largest request head."
    )
    max_headers: Annotated[int, whole(1, 10_000)] = Field(
        default=100, description="The most header lines of a request."
    )
    max_body: Annotated[int, size(zero="no limit")] = Field(
        default=0, description="The largest request body; 0: no limit."
    )
    max_age: Annotated[float, duration(zero="no limit")] = Field(
        default=0.0,
        description="Age at which a client connection is closed in order, less up to a tenth; 0: no limit.",
    )

    @classmethod
    def impossible(cls, given: Mapping[str, Any]) -> Iterator[Finding]:
        for key in ("max_body", "max_header_bytes"):
            if given.get(key) == "0":
                yield (key,), wrong('found "0"; remove the quotes')


class ListenerSpec(Section):
    """One bound address, or several, with limits."""

    later: ClassVar[Mapping[str, str]] = {"tls": "TLS on a listener"}

    name: Name = Field(description="Its name in routes, logs and metrics; absent: the first address.")
    bind: Annotated[tuple[BindAddress, ...], ONE_OR_MORE] = Field(
        description='One address or a list: "0.0.0.0:8080", ":8080" (all IPv4 addresses), "[::]:8080", '
        '"unix:/run/lb.sock". Port 0: any free port.'
    )
    proxy_protocol: Truth = Field(
        default=False, description="Accept the PROXY protocol. Only false is supported yet."
    )
    trusted_proxies: Annotated[tuple[Network, ...], LIST] = Field(
        default=(), description="Networks whose X-Forwarded-For and Forwarded are believed."
    )
    forwarded_headers: Annotated[tuple[ForwardedHeader, ...], LIST] = Field(
        default=("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "via"),
        description="Which headers tell servers about the client.",
    )
    proxy_status: Truth = Field(
        default=False, description="Say in Proxy-Status (RFC 9209) why lb answered by itself."
    )
    limits: LimitsSpec = Field(
        default_factory=always(LimitsSpec()), description="Limits against slow, large and many requests."
    )

    @classmethod
    def impossible(cls, given: Mapping[str, Any]) -> Iterator[Finding]:
        if given.get("proxy_protocol") is True:
            yield ("proxy_protocol",), wrong_key("not supported yet: the PROXY protocol; remove it")
        headers = given.get("forwarded_headers")
        if isinstance(headers, list):
            for index, name in enumerate(headers):
                if name in headers[:index]:
                    yield ("forwarded_headers", index), wrong(f"found {shown(name)} twice; write it once")


def _short(value: object) -> object:
    """ ":8080" stands for {name: ":8080", bind: [":8080"]}; a missing name is the first address."""
    if isinstance(value, (str, int)) and not isinstance(value, bool):
        return {"name": str(value), "bind": (value,)}
    if isinstance(value, dict) and "name" not in value:
        near = [key for key in value if key not in ListenerSpec.keys and nearest(key, ["name"])]
        bind = value.get("bind")
        first = bind[0] if isinstance(bind, (list, tuple)) and bind else bind
        if isinstance(first, str) and not near:
            return {"name": str(first), **value}
    return value


ListenerItem = Annotated[ListenerSpec, BeforeValidator(_short, json_schema_input_type=ListenerSpec | str)]
