"""Coordination between machines: the engine, and how each engine is reached.

Lives here: the section `cluster` as typed models. Must not live here: the engines (lb.cluster.engines).
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field

from lb.config.fields import SECRET_SCHEMA, Secret, ca_file, secret
from lb.config.problems import shown, wrong, wrong_key
from lb.config.section import Finding, Section, always
from lb.config.values import ONE_OR_MORE, Checked, Truth, choice, duration, text, whole

ENGINES = ("local", "consul", "etcd", "zookeeper", "redis")
LEAST_TTL = 2.0  # seconds; Consul: CONSUL_TTL
CONSUL_TTL = 10.0

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}\Z")
_NODE = re.compile(r"[a-z0-9][a-z0-9._-]{0,126}\Z")


def _cluster_name(value: str) -> str:
    if not _NAME.match(value):
        raise wrong(f"found {shown(value)}; expected small letters, digits, - and _, such as front-door")
    return value


def _node_name(value: str) -> str:
    if not _NODE.match(value):
        raise wrong(f"found {shown(value)}; expected small letters, digits, ., - and _, such as lb-1")
    return value


def this_host() -> str:
    """The name of this machine, as a node's name may be."""
    return re.sub(r"[^a-z0-9._-]", "-", socket.gethostname().lower()).lstrip("._-")[:127] or "lb"


def _secret(value: object) -> Secret:
    if not isinstance(value, (dict, Secret)):
        raise wrong("found a secret in the open; write it to a file: {file: /run/secrets/NAME}")
    return secret(value)


def _readable(value: str) -> str:
    if not value.startswith("/"):
        raise wrong(f"found {shown(value)}; the path of a file is absolute")
    if not os.access(value, os.R_OK):
        raise wrong(f"cannot read {shown(value)}")
    return value


def _url(*schemes: str, example: str) -> Any:
    def check(value: str) -> str:
        try:
            parts = urlsplit(value)
            good = parts.scheme in schemes and bool(parts.hostname) and (parts.port or 1) > 0
        except ValueError:
            raise wrong(f"found something that is no URL; expected one such as {example}") from None
        if parts.username is not None or parts.password is not None:
            raise wrong('found a user name or password in the URL; use the keys "user", "password", "token"')
        if not good or not value.isascii() or not value.isprintable() or " " in value:
            raise wrong(f"found {shown(value)}; expected a URL such as {example}")
        return value.rstrip("/")

    return text(check, examples=[example])


def _server(value: str) -> str:
    found = re.fullmatch(r"(\[[0-9a-fA-F:]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})", value)
    if found is None or not 0 < int(found[2]) < 65_536:
        raise wrong(f"found {shown(value)}; expected host:port such as 127.0.0.1:2181")
    return value


SecretText = Annotated[Secret | None, Checked(_secret, SECRET_SCHEMA)]


class EngineTlsSpec(Section):
    """TLS to the servers of an engine: where the address begins with https or rediss, and for ZooKeeper."""

    ca: Annotated[str, text(ca_file)] | None = Field(
        default=None, description="File of certificates to trust; absent: those of the system."
    )
    cert: Annotated[str, text(_readable)] | None = Field(
        default=None, description="File of the certificate that lb shows."
    )
    key: Annotated[str, text(_readable)] | None = Field(default=None, description="File of its key.")
    verify: Truth = Field(default=True, description="Verify the servers' certificates and names.")

    @classmethod
    def impossible(cls, given: Mapping[str, Any]) -> Iterator[Finding]:
        for one, other in (("cert", "key"), ("key", "cert")):
            if one in given and other not in given:
                yield (one,), wrong_key(f'no effect without "{other}"; add it')


def _absolute(value: str) -> str:
    if not value.startswith("/") or "\0" in value:
        raise wrong(f"found {shown(value)}; the path of a folder is absolute: /var/lib/lb/cluster")
    return value


class LocalSpec(Section):
    """One machine: a folder that its lbs share."""

    folder: Annotated[str, text(_absolute)] | None = Field(
        default=None, description="The folder; absent: cluster in state_dir, shared with nobody."
    )


class ConsulEngineSpec(Section):
    """Consul: sessions and the key-value store."""

    address: Annotated[
        tuple[Annotated[str, _url("http", "https", example="http://127.0.0.1:8500")], ...], ONE_OR_MORE
    ] = Field(
        default=("http://127.0.0.1:8500",), description="An agent, or several: the next where one fails."
    )
    token: SecretText = Field(default=None, description="ACL token, from a file.")
    tls: EngineTlsSpec | None = Field(default=None, description="For https addresses.")


class EtcdSpec(Section):
    """etcd 3.4 or later, over its JSON gateway."""

    endpoints: Annotated[
        tuple[Annotated[str, _url("http", "https", example="http://127.0.0.1:2379")], ...], ONE_OR_MORE
    ] = Field(
        default=("http://127.0.0.1:2379",), description="A member, or several: the next where one fails."
    )
    user: Annotated[str, text()] | None = Field(default=None, description="User name.")
    password: SecretText = Field(default=None, description="Its password, from a file.")
    tls: EngineTlsSpec | None = Field(default=None, description="For https endpoints.")


class ZookeeperSpec(Section):
    """ZooKeeper 3.5 or later."""

    servers: Annotated[tuple[Annotated[str, text(_server)], ...], ONE_OR_MORE] = Field(
        default=("127.0.0.1:2181",), description="host:port of a server, or of several."
    )
    user: Annotated[str, text()] | None = Field(
        default=None, description="User of the digest scheme; what lb makes is then for this user alone."
    )
    password: SecretText = Field(default=None, description="Its password, from a file.")
    tls: EngineTlsSpec | None = Field(default=None, description="Speak TLS; its port is another one.")


class RedisSpec(Section):
    """Redis 6.2 or later, one primary. Best effort: a failover to a replica can forget a lock or a write."""

    url: Annotated[str, _url("redis", "rediss", example="redis://127.0.0.1:6379/0")] = Field(
        default="redis://127.0.0.1:6379/0", description="The primary; rediss: over TLS."
    )
    user: Annotated[str, text()] | None = Field(default=None, description="User name.")
    password: SecretText = Field(default=None, description="The password, from a file.")
    tls: EngineTlsSpec | None = Field(default=None, description="For rediss.")


class SharedHealthSpec(Section):
    """A server is checked by some of the nodes, which vote."""

    by: Annotated[int, whole(2, 100)] = Field(
        default=2,
        description="How many nodes check each server; more than half of them find it down, or it is up.",
    )


class ClusterSpec(Section):
    """Several lbs that agree on one configuration, through a leader who holds a lock."""

    engine: Annotated[Literal["local", "consul", "etcd", "zookeeper", "redis"], choice(*ENGINES)] = Field(
        default="local", description="Where lock and configuration are: local is one machine."
    )
    name: Annotated[str, text(_cluster_name)] = Field(
        default="lb", description="The cluster's name; several may share one engine."
    )
    node: Annotated[str, text(_node_name)] | None = Field(
        default=None, description="This lb's name, unique in the cluster; absent: the machine's."
    )
    ttl: Annotated[float, duration()] = Field(
        default=15.0,
        description="How long leadership outlives the leader's last word; at least 2s, with Consul 10s.",
    )
    shared_health: SharedHealthSpec | None = Field(
        default=None,
        description="Nodes share the checks of servers; the same on all nodes. Absent: each makes all.",
    )
    local: LocalSpec = Field(default_factory=always(LocalSpec()), description="The folder of engine: local.")
    consul: ConsulEngineSpec = Field(
        default_factory=always(ConsulEngineSpec()), description="For engine: consul."
    )
    etcd: EtcdSpec = Field(default_factory=always(EtcdSpec()), description="For engine: etcd.")
    zookeeper: ZookeeperSpec = Field(
        default_factory=always(ZookeeperSpec()), description="For engine: zookeeper."
    )
    redis: RedisSpec = Field(default_factory=always(RedisSpec()), description="For engine: redis.")

    def without_effect(self) -> tuple[str, ...]:
        return tuple(engine for engine in ENGINES if engine != self.engine)

    @classmethod
    def impossible(cls, given: Mapping[str, Any]) -> Iterator[Finding]:
        engine = given.get("engine", "local")
        for other in ENGINES:
            if other in given and other != engine and engine in ENGINES:
                yield (
                    (other,),
                    wrong_key(f"no effect: the engine is {engine}; remove it, or name this engine"),
                )
        least = CONSUL_TTL if engine == "consul" else LEAST_TTL
        try:
            ttl = duration().check(given.get("ttl", "15s"))
        except ValueError:
            return  # told where the value is read
        if ttl < least:
            yield ("ttl",), wrong(f"found {shown(given['ttl'])}; with {engine} at least {least:g}s")
        elif ttl > 3600:
            yield ("ttl",), wrong(f"found {shown(given['ttl'])}; at most 1h: nobody leads for so long")
