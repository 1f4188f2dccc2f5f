"""The Spec: the whole configuration, as typed and frozen models.

Lives here: the top level and the small sections. Listeners, routes and services have their own files
(lb.config.listeners, lb.config.routes, lb.config.services). Must not live here: where a value was
written (lb.config.load) and checks between sections (lb.config.references).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field

from lb.config.accesslog import AccessLogSpec
from lb.config.addresses import BindAddress
from lb.config.cluster import ClusterSpec
from lb.config.decisions import DecisionsSpec
from lb.config.discovery import DiscoverySpec
from lb.config.document import scalar
from lb.config.environment import Substituted
from lb.config.fields import (
    MAPPING,
    SECRET_SCHEMA,
    TOKEN,
    HeaderName,
    HeaderValue,
    Name,
    Secret,
    secret,
)
from lb.config.listeners import ListenerItem, ListenerSpec
from lb.config.problems import shown, wrong
from lb.config.routes import Routes, RouteSpec
from lb.config.section import Finding, Section, always
from lb.config.services import ServiceItem, ServiceSpec
from lb.config.tracing import TracingSpec
from lb.config.values import LIST, Checked, duration, or_variable, plain_text, text

MAX_WORKERS = 256


def _workers(value: object) -> int | str:
    if isinstance(value, Substituted):
        value = scalar(value)
    if value == "auto":
        return "auto"
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_WORKERS:
        raise wrong(f"found {shown(value)}; expected auto (one per core) or a number from 1 to {MAX_WORKERS}")
    return value


_WORKERS = or_variable({"const": "auto"}, {"type": "integer", "minimum": 1, "maximum": MAX_WORKERS})
Workers = Annotated[int | Literal["auto"], Checked(_workers, _WORKERS)]


class AdminSpec(Section):
    """The admin address: /metrics, /livez, /readyz, /api/v1/…"""

    bind: BindAddress = Field(
        default="127.0.0.1:9900", description="Where the admin API answers; keep it private."
    )


def _or_off(value: object) -> object:
    return None if value is None or value == "off" else value


_CASE = re.compile(r"([^ ]+) ([^ ]+)\Z")


def _request_line(value: str) -> str:
    found = _CASE.match(value)
    if found is None or not TOKEN.match(found[1]):
        raise wrong(f'found {shown(value)}; expected a method and a URL: "GET http://example.com/path"')
    try:
        parts = urlsplit(found[2])
        good = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        good = False
    if not good or parts.username is not None or not found[2].isascii():
        raise wrong(f"found {shown(found[2])}; expected a whole URL such as http://example.com/path")
    return value


def _route(value: object) -> str | None:
    return None if value is None else plain_text(value)


class ExpectSpec(Section):
    """Where a tested request must go."""

    nullable: ClassVar[tuple[str, ...]] = ("route",)

    route: Annotated[str | None, Checked(_route, {"type": ["string", "null"]})] = Field(
        description="The route's name; null: no route may match."
    )
    service: Name | None = Field(default=None, description="The service that may get the request.")


def _client(value: str) -> str:
    import ipaddress

    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        raise wrong(f"found {shown(value)}; expected an IP address such as 192.0.2.7") from None


class CaseSpec(Section):
    """A request, and where `lb check` must find it going."""

    request: Annotated[str, text(_request_line)] = Field(
        description="Method and URL.", examples=["GET https://api.example.com/v1/users"]
    )
    headers: Annotated[dict[HeaderName, HeaderValue], MAPPING] = Field(
        default={}, description="Request headers."
    )
    client_ip: Annotated[str, text(_client)] = Field(default="192.0.2.1", description="The client's address.")
    listener: Name | None = Field(default=None, description="The listener asked; absent: the first one.")
    expect: ExpectSpec


def _webhook(value: object) -> str | Secret:
    if isinstance(value, (dict, Secret)):
        found = secret(value)
        _webhook_url(found.value.get_secret_value(), f"a secret in {found.file}")
        return found
    text = plain_text(value)
    return _webhook_url(text, shown(text))


def _webhook_url(value: str, seen: str) -> str:
    """`seen`: what a complaint may show of it."""
    try:
        parts = urlsplit(value)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        good = False
    if not good or not value.isascii() or not value.isprintable() or " " in value:
        raise wrong(f"found {seen}; expected a URL such as http://127.0.0.1:9000/events")
    if parts.username is not None:
        raise wrong("found a user name in the URL; it would be shown in logs")
    return value


class EventsSpec(Section):
    """Where transitions of servers are told, beside the log, the metrics and the admin API."""

    webhook: (
        Annotated[str | Secret, Checked(_webhook, {"anyOf": [{"type": "string"}, SECRET_SCHEMA]})] | None
    ) = Field(
        default=None,
        description="URL that gets each event as a POST of JSON, or {file: PATH} of one that holds a token; "
        "absent: none.",
    )

    @property
    def url(self) -> str | None:
        return self.webhook.value.get_secret_value() if isinstance(self.webhook, Secret) else self.webhook


def _directory(value: str) -> str:
    if not value.startswith("/") or "\0" in value:
        raise wrong(f"found {shown(value)}; the path of a folder is absolute: /var/lib/lb")
    return value


def _services(value: object) -> object:
    if not isinstance(value, dict):
        hint = " (a service is name: [servers] or name: {servers: […], …})" if isinstance(value, list) else ""
        raise wrong(f"found {shown(value)}; expected a mapping of names to services{hint}")
    return value


class Spec(Section):
    """The configuration file of lb."""

    workers: Workers = Field(default="auto", description="Worker processes: auto (one per core) or a number.")
    shutdown_grace: Annotated[float, duration(zero="none")] = Field(
        default=30.0, description="How long a drain waits for exchanges; 0: not at all."
    )
    state_dir: Annotated[str, text(_directory)] | None = Field(
        default=None,
        description="Folder for what outlives a restart: overrides, the secret of sticky sessions. Absent: "
        "a folder of this configuration below $STATE_DIRECTORY, /var/lib/lb or ~/.local/state/lb.",
    )
    listeners: Annotated[tuple[ListenerItem, ...], LIST] = Field(description="Where clients connect.")
    admin: Annotated[
        AdminSpec | None, BeforeValidator(_or_off, json_schema_input_type=AdminSpec | Literal["off"])
    ] = Field(default_factory=always(AdminSpec()), description="The admin API; off: none.")
    access_log: Annotated[
        AccessLogSpec | None, BeforeValidator(_or_off, json_schema_input_type=AccessLogSpec | Literal["off"])
    ] = Field(default_factory=always(AccessLogSpec()), description="The access log; off: none.")
    decisions: DecisionsSpec = Field(
        default_factory=always(DecisionsSpec()), description="Of which requests is kept what happened."
    )
    tracing: TracingSpec | None = Field(
        default=None, description="Traces of requests; absent: the fields of a trace go on as they came."
    )
    events: EventsSpec = Field(
        default_factory=always(EventsSpec()), description="Who is told of transitions."
    )
    discovery: DiscoverySpec = Field(
        default_factory=always(DiscoverySpec()), description="Registries that services discover servers in."
    )
    routes: Routes = Field(
        default=(), description="Which request goes where; or the short form path: service."
    )
    services: Annotated[dict[Name, ServiceItem], BeforeValidator(_services)] = Field(
        default={}, description="Named sets of servers."
    )
    cluster: ClusterSpec | None = Field(
        default=None, description="Coordination with the lbs of other machines; absent: none."
    )
    tests: Annotated[tuple[CaseSpec, ...], LIST] = Field(
        default=(), description="Requests and where they must go; run by `lb check`."
    )

    @classmethod
    def impossible(cls, given: Mapping[str, Any]) -> Iterator[Finding]:
        if given.get("listeners") == []:
            yield (
                ("listeners",),
                wrong('found an empty list; at least one listener is needed, such as [":8080"]'),
            )


__all__ = [
    "AccessLogSpec",
    "AdminSpec",
    "CaseSpec",
    "EventsSpec",
    "ExpectSpec",
    "ListenerSpec",
    "RouteSpec",
    "ServiceSpec",
    "Spec",
]
