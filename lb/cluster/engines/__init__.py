"""The coordination engines by name: local, consul, etcd, zookeeper, redis.

Lives here: making the engine that a configuration asks for. An engine is imported when it is asked for: what
it needs beyond lb's own dependencies is an extra (`pip install 'lb[redis]'`).
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

from lb.cluster.contract import Engine
from lb.config.cluster import ClusterSpec, EngineTlsSpec
from lb.config.fields import Secret

TRIES = 4  # in one lease: a call must fail early enough for others to follow


class MissingExtraError(Exception):
    """What an engine needs is not installed; the text says how to install it."""


def connect(spec: ClusterSpec, state_dir: Path) -> Engine:
    """The engine of `spec`; nothing is sent before it is used. `state_dir`: where the local engine keeps its
    folder if none is configured. Raises MissingExtraError, and OSError for unusable files of TLS."""
    try:
        return ENGINES[spec.engine](spec, state_dir)
    except ImportError as error:
        raise MissingExtraError(
            f'the cluster engine "{spec.engine}" needs the package {error.name}, which is not installed; '
            f"pip install 'lb[{spec.engine}]'"
        ) from None


def timeout(spec: ClusterSpec) -> float:
    """Seconds that one call may take."""
    return min(5.0, spec.ttl / TRIES)


def _local(spec: ClusterSpec, state_dir: Path) -> Engine:
    from lb.cluster.engines.local import LocalEngine

    place = Path(spec.local.folder) if spec.local.folder else state_dir / "cluster"
    return LocalEngine(place / spec.name, timeout(spec))


def _consul(spec: ClusterSpec, _state_dir: Path) -> Engine:
    from lb.cluster.engines.consul import ConsulEngine
    from lb.cluster.engines.http import Http

    section = spec.consul
    headers = {"X-Consul-Token": _text(section.token)} if section.token else {}
    http = Http("consul", section.address, timeout(spec), _tls(section.tls), headers)
    return ConsulEngine(http, spec.name)


def _etcd(spec: ClusterSpec, _state_dir: Path) -> Engine:
    from lb.cluster.engines.etcd import EtcdEngine
    from lb.cluster.engines.etcdgateway import Gateway
    from lb.cluster.engines.http import Http

    section = spec.etcd
    http = Http("etcd", section.endpoints, timeout(spec), _tls(section.tls))
    return EtcdEngine(Gateway(http, section.user or "", _text(section.password)), spec.name)


def _zookeeper(spec: ClusterSpec, _state_dir: Path) -> Engine:
    from lb.cluster.engines.zookeeper import ZookeeperEngine
    from lb.cluster.engines.zookeepersession import Access

    section = spec.zookeeper
    access = Access(section.servers, section.user or "", _text(section.password), section.tls)
    return ZookeeperEngine(access, spec.name, timeout(spec))


def _redis(spec: ClusterSpec, _state_dir: Path) -> Engine:
    from lb.cluster.engines.redis import RedisEngine, client

    section = spec.redis
    connection = client(section.url, section.user, _text(section.password), section.tls, timeout(spec))
    return RedisEngine(connection, section.url, spec.name, timeout(spec))


def _text(secret: Secret | None) -> str:
    return secret.value.get_secret_value() if secret is not None else ""


def _tls(section: EngineTlsSpec | None) -> ssl.SSLContext | None:
    """None: nothing is configured. Raises OSError (ssl.SSLError too) for files that make no sense."""
    if section is None:
        return None
    tls = ssl.create_default_context(cafile=section.ca)
    if not section.verify:
        tls.check_hostname = False
        tls.verify_mode = ssl.CERT_NONE
    if section.cert is not None:
        tls.load_cert_chain(section.cert, section.key)
    return tls


ENGINES: dict[str, Callable[[ClusterSpec, Path], Engine]] = {
    "local": _local,
    "consul": _consul,
    "etcd": _etcd,
    "zookeeper": _zookeeper,
    "redis": _redis,
}
