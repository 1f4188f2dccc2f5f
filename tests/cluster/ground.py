"""What the suite of the engines stands on: clusters of one test, coroutines as tests, waiting.

Time is real here: leases are short, nothing sleeps for a time that could be waited for.
"""

from __future__ import annotations

import asyncio
import functools
import secrets
import time
from pathlib import Path
from typing import Any

import pytest

from lb.cluster.contract import Engine, EngineError
from lb.cluster.engines import connect
from lb.config.cluster import ClusterSpec

TTL = 2.0  # seconds, of leases that lapse
LONG = 12.0  # seconds, of those that must not lapse while a test runs
TIMEOUT = 2.0  # seconds, of one call
SLACK = 1.0  # seconds that this machine may be late


class Cluster:
    """The engines of one test: all in one cluster of its own. `section` makes the engine's part of the
    configuration from the port where its server, or a wire to it, answers."""

    def __init__(self, suite: Ground, real: Any, folder: Path) -> None:
        self.suite = suite
        self.real = real
        self.folder = folder
        self.name = f"t{secrets.token_hex(6)}"
        self.open: list[Engine] = []

    def spec(self, port: int | None = None) -> ClusterSpec:
        engine = self.suite.ENGINE
        section = self.suite.section(port or self.real.port) if self.real else {"folder": str(self.folder)}
        return ClusterSpec.model_validate(
            {"engine": engine, "name": self.name, "ttl": f"{TIMEOUT * 4 if engine != 'consul' else 10}s",
             engine: section}
        )  # fmt: skip

    def engine(self, port: int | None = None) -> Engine:
        engine = self.suite.connect(self.spec(port), self.folder)
        self.open.append(engine)
        return engine

    async def close(self) -> None:
        for engine in self.open:
            await engine.close()


def awaited(test: Any) -> Any:
    """A test that is a coroutine; its engines are closed at its end."""

    @functools.wraps(test)
    def run(self: Any, cluster: Cluster, **rest: Any) -> None:
        async def whole() -> None:
            try:
                await test(self, cluster, **rest)
            finally:
                await cluster.close()

        asyncio.run(whole())

    return run


async def until(call: Any, seconds: float) -> Any:
    """The first result of `call` that is true, asked for again and again; an EngineError is not yet one."""
    end = time.monotonic() + seconds
    last: Any = None
    while time.monotonic() < end:
        try:
            last = await call()
        except EngineError as error:
            last = error
        else:
            if last:
                return last
        await asyncio.sleep(0.1)
    raise AssertionError(f"not within {seconds:g} s: {last!r}")


class Ground:
    ENGINE = ""
    LAPSE = TTL + 3.0
    """Seconds after which a lock of TTL that nobody renews can be had."""
    NEW_LEASE_LAPSES = LONG + 3.0
    """The same of LONG."""
    TAKES_LOCK = b""
    """What the request that takes the lock has in it, and none before it."""

    def connect(self, spec: ClusterSpec, folder: Path) -> Engine:
        return connect(spec, folder)

    def section(self, port: int) -> dict[str, Any]:
        raise NotImplementedError

    async def forget(self, cluster: Cluster) -> None:
        """Delete all that the engine keeps for this cluster, as an operator can by mistake."""
        raise NotImplementedError

    async def drop_lock(self, cluster: Cluster) -> None:
        """Delete the lock alone."""
        raise NotImplementedError

    @pytest.fixture
    def real(self) -> Any:
        return None

    @pytest.fixture
    def cluster(self, real: Any, tmp_path: Path) -> Cluster:
        return Cluster(self, real, tmp_path)
