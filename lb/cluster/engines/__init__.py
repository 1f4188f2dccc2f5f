"""The coordination engines by name: local, consul, etcd, zookeeper, redis.

Lives here: making the engine that a configuration asks for. An engine is imported when it is asked for: what
it needs beyond lb's own dependencies is an extra (`pip install 'lb[redis]'`).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from lb.cluster.contract import Engine
from lb.config.cluster import ClusterSpec

TRIES = 4  # in one lease: a call must fail early enough for others to follow


class MissingExtraError(Exception):
    """What an engine needs is not installed; the text says how to install it."""


def connect(spec: ClusterSpec, state_dir: Path) -> Engine:
    """The engine of `spec`; nothing is sent before it is used. `state_dir`: where the local engine keeps its
    folder if none is configured. Raises MissingExtraError."""
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


ENGINES: dict[str, Callable[[ClusterSpec, Path], Engine]] = {
    "local": _local,
}
