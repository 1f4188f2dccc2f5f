"""Consul in the configuration: where it is (`discovery.consul`), and what a service follows there
(`services.NAME.discover.consul`).

Lives here: both sections, their checks, and their settings as lb.discovery takes them. A token is named, not
read: it may change while lb runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PrivateAttr

from lb.config.addresses import HostName, server_address
from lb.config.fields import ca_file
from lb.config.problems import shown, wrong, wrong_key
from lb.config.section import Finding, Section, always
from lb.config.values import ONE_OR_MORE, Text, Truth, choice, duration, text, whole
from lb.discovery.consul_settings import ConsulCatalog, ConsulConnection, ConsulOwn, ConsulQuery, ConsulTls
from lb.discovery.contract import Registered

PORT = {"http": ":8500", "https": ":8501"}
LONGEST_BLOCK = 600.0  # seconds, Consul's own bound
_PLAIN = re.compile(r"[^\x00-\x1f\x7f\"`\\]{1,256}\Z")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_META_KEY = re.compile(r"[A-Za-z0-9_-]{1,128}\Z")


def _agent(value: str) -> str:
    scheme, mark, rest = value.partition("://")
    if not mark or scheme not in PORT:
        raise wrong(f'found {shown(value)}; expected a URL such as "http://127.0.0.1:8500"')
    place = rest.removesuffix("/")
    if "@" in place:
        raise wrong("found a name or password in a URL; Consul knows tokens: use the key token")
    if "/" in place or "?" in place or "#" in place:
        raise wrong(f'found {shown(value)}; an agent is scheme and address: "{scheme}://127.0.0.1:8500"')
    with_port = place if re.search(r":[0-9]+\Z", place.rpartition("]")[2]) else place + PORT[scheme]
    return f"{scheme}://{server_address(with_port)}"


def _readable(value: str) -> str:
    if not value.startswith("/"):
        raise wrong(f"found {shown(value)}; the path of this file is absolute")
    try:
        Path(value).read_bytes()
    except OSError as error:
        raise wrong(f"cannot read {shown(value)}: {error.strerror or error}") from None
    return value


def _variable(value: str) -> str:
    if not _VARIABLE.match(value):
        raise wrong(f"found {shown(value)}; expected the name of an environment variable, without $")
    return value


def plain(what: str) -> Any:
    """Text that can stand inside the quotes of a filter."""

    def check(value: str) -> str:
        if not _PLAIN.match(value):
            raise wrong(
                f"found {shown(value)}; {what} has 1 to 256 characters here, without quotes and backslashes"
            )
        return value

    return text(check)


def _meta_key(value: str) -> str:
    if not _META_KEY.match(value):
        raise wrong(f"found {shown(value)}; a key of metadata has letters, digits, - and _")
    return value


Plain = Annotated[str, plain("a name")]
ReadableFile = Annotated[str, text(_readable)]


class TokenSpec(Section):
    """Where Consul's ACL token is: exactly one of file and env."""

    file: ReadableFile | None = Field(
        default=None, description="A file, absolute; read again when it changes."
    )
    env: Annotated[str, text(_variable)] | None = Field(
        default=None, description="The name of an environment variable."
    )

    @classmethod
    def impossible(cls, given: Mapping[str, Any]) -> Iterator[Finding]:
        if "file" in given and "env" in given:
            yield ("env",), wrong_key('cannot stand beside "file"; the token is in one place')
        if not given:
            yield (), wrong("found an empty mapping; expected {file: /run/secrets/NAME} or {env: NAME}")


def _token(value: object) -> object:
    if isinstance(value, str):
        raise wrong("found a secret in the open; write it to a file: {file: /run/secrets/NAME}")
    return value


class ConsulTlsSpec(Section):
    """TLS to Consul's agents."""

    ca: Annotated[str, text(ca_file)] | None = Field(
        default=None, description="File of certificates to trust; absent: those of the system."
    )
    cert: ReadableFile | None = Field(default=None, description="lb's own certificate, a PEM file.")
    key: ReadableFile | None = Field(default=None, description="Its key; absent: in the file of cert.")
    server_name: HostName | None = Field(
        default=None, description="The name in the agents' certificate; absent: that of the address."
    )
    verify: Truth = Field(default=True, description="Verify the agents' certificates.")

    @classmethod
    def impossible(cls, given: Mapping[str, Any]) -> Iterator[Finding]:
        if "key" in given and "cert" not in given:
            yield ("key",), wrong_key('no effect without "cert"')
        if given.get("verify") is False and "ca" in given:
            yield ("ca",), wrong_key('no effect beside "verify: false"')


class RegisterSpec(Section):
    """lb itself as a service of Consul, registered with the first agent while it serves, with a check that
    lb renews."""

    name: Plain = Field(default="lb", description="The service's name.")
    port: Annotated[int, whole(1, 65_535)] = Field(description="Where clients reach lb.")
    address: HostName | None = Field(default=None, description="Absent: that of the agent.")
    tags: Annotated[tuple[Annotated[str, plain("a tag")], ...], ONE_OR_MORE] = Field(
        default=(), description="Its tags."
    )
    ttl: Annotated[float, duration()] = Field(
        default=15.0, description="Consul calls lb critical when it did not hear of it for this long."
    )

    def own(self) -> ConsulOwn:
        """As lb.discovery takes it."""
        return ConsulOwn(self.name, self.port, self.address or "", self.tags, self.ttl)


def _prefix(value: str) -> str:
    if not _META_KEY.match(value):
        raise wrong(
            f'found {shown(value)}; a prefix of tags has letters, digits, - and _; "lb" for lb.route='
        )
    return value


class CatalogSpec(Section):
    """Routes out of the tags of Consul's services: `lb.route=HOST/PATH`. Those of the file come first."""

    prefix: Annotated[str, text(_prefix)] = Field(
        default="lb", description="How tags for lb begin, before the dot."
    )
    tags: Annotated[tuple[Annotated[str, plain("a tag")], ...], ONE_OR_MORE] = Field(
        default=(), description="Further tags that an instance must have, all of them."
    )

    def catalog(self) -> ConsulCatalog:
        """As lb.discovery takes it."""
        return ConsulCatalog(self.prefix, self.tags)


class ConsulSpec(Section):
    """The agents of Consul that lb asks. Files of TLS and of the token are read again when they change."""

    address: Annotated[
        tuple[Annotated[str, text(_agent, examples=["http://127.0.0.1:8500"])], ...], ONE_OR_MORE
    ] = Field(
        default=("http://127.0.0.1:8500",),
        description="An agent, or a list of them in the order of preference: the next one is asked where one "
        "fails.",
    )
    token: Annotated[TokenSpec | None, BeforeValidator(_token, json_schema_input_type=TokenSpec)] = Field(
        default=None, description="The ACL token: {file: /run/secrets/NAME} or {env: NAME}."
    )
    stale: Truth = Field(
        default=True, description="Let every server of Consul answer, and not the leader alone."
    )
    max_stale: Annotated[float, duration()] = Field(
        default=10.0, description="stale: with an answer older than this the leader is asked."
    )
    wait: Annotated[float, duration()] = Field(
        default=60.0, description="How long Consul holds a question that has no new answer; 1s to 10m."
    )
    max_watches: Annotated[int, whole(1, 100_000)] = Field(
        default=150,
        description="Services that are watched at once; the others are read every 5s, and when services or "
        "checks change. An agent allows an address 200 connections (its limits.http_max_conns_per_client).",
    )
    tls: ConsulTlsSpec = Field(
        default_factory=always(ConsulTlsSpec()), description="How https agents are spoken to."
    )
    datacenter: Plain | None = Field(default=None, description="Absent: the agent's own.")
    namespace: Plain | None = Field(default=None, description="Consul Enterprise: the namespace.")
    partition: Plain | None = Field(default=None, description="Consul Enterprise: the admin partition.")
    catalog: CatalogSpec | None = Field(
        default=None, description="Make routes and services out of the tags in Consul; absent: none."
    )
    registration: RegisterSpec | None = Field(
        default=None, description="Register lb itself in Consul; absent: not."
    )

    @classmethod
    def impossible(cls, given: Mapping[str, Any]) -> Iterator[Finding]:
        if given.get("stale") is False and "max_stale" in given:
            yield ("max_stale",), wrong_key('no effect beside "stale: false"')
        if "wait" in given:
            try:
                wait = duration().check(given["wait"])
            except ValueError:
                return
            if not 1 <= wait <= LONGEST_BLOCK:
                yield ("wait",), wrong(f"found {shown(given['wait'])}; expected 1s to 10m")

    def connection(self) -> ConsulConnection:
        """As lb.discovery takes it."""
        token, tls = self.token, self.tls
        return ConsulConnection(
            addresses=self.address,
            token_file=(token and token.file) or "",
            token_env=(token and token.env) or "",
            stale=self.stale,
            max_stale=self.max_stale,
            wait=self.wait,
            max_watches=self.max_watches,
            tls=ConsulTls(tls.ca or "", tls.cert or "", tls.key or "", tls.server_name or "", tls.verify),
            datacenter=self.datacenter or "",
            namespace=self.namespace or "",
            partition=self.partition or "",
        )


class ConsulDiscoverSpec(Section):
    """Servers from Consul: exactly one of service and prepared_query."""

    service: Plain | None = Field(default=None, description="The service in Consul; its name.")
    prepared_query: Plain | None = Field(
        default=None, description="A prepared query by name or id; it is executed every 5s."
    )
    tags: Annotated[tuple[Annotated[str, plain("a tag")], ...], ONE_OR_MORE] = Field(
        default=(), description="Tags that an instance has, all of them."
    )
    node_meta: dict[Annotated[str, text(_meta_key)], Annotated[str, plain("a value")]] = Field(
        default={}, description="Metadata that the machine of an instance has, all of it."
    )
    filter: Text | None = Field(
        default=None, description="A filter expression of Consul, beside tags and node_meta."
    )
    warning: Annotated[Literal["up", "drain", "down"], choice("up", "drain", "down")] = Field(
        default="up",
        description="What a server with a check in warning is; its weight is the one for warning.",
    )
    zone_key: Annotated[str, text(_meta_key)] = Field(
        default="zone", description="The key in the metadata, of the instance or its machine, for its zone."
    )
    datacenter: Plain | None = Field(default=None, description="Absent: that of discovery.consul.")
    namespace: Plain | None = Field(default=None, description="Absent: that of discovery.consul.")
    partition: Plain | None = Field(default=None, description="Absent: that of discovery.consul.")

    @classmethod
    def impossible(cls, given: Mapping[str, Any]) -> Iterator[Finding]:
        if "service" in given and "prepared_query" in given:
            yield ("prepared_query",), wrong_key('cannot stand beside "service"')
        if "service" not in given and "prepared_query" not in given:
            yield (), wrong('nothing is followed; write "service: NAME", or "prepared_query: NAME"')
        for key in ("tags", "node_meta", "filter"):
            if key in given and "prepared_query" in given:
                yield (key,), wrong_key('no effect beside "prepared_query": the query itself says it')

    _marked: str = PrivateAttr("")

    def marked(self, begin: str) -> ConsulDiscoverSpec:
        """The same, of the instances that have a tag that begins so: those that ask for routes."""
        found = self.model_copy()
        found._marked = begin
        return found

    def query(self) -> ConsulQuery:
        """As lb.discovery takes it."""
        return ConsulQuery(
            service=self.service or "",
            prepared_query=self.prepared_query or "",
            tags=self.tags,
            meta=tuple(sorted(self.node_meta.items())),
            marked=self._marked,
            filter=self.filter or "",
            warning=Registered(self.warning),
            zone_key=self.zone_key,
            datacenter=self.datacenter or "",
            namespace=self.namespace or "",
            partition=self.partition or "",
        )
