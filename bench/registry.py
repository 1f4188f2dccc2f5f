"""A real Consul for `python -m bench.discovery`, and who writes instances into it.

All is written by transactions, on nodes that have no agent: nobody else registers or takes away there.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import aiohttp

from bench.places import OTHER_CORE
from tests.cluster.real import Server

OPERATIONS = 60  # in one transaction; Consul takes 64
NODES = 100
NOBODY = 9  # the port of instances that get no requests
WRITERS = 8


class Consul(Server):
    """On the core of all that is not lb. `clients`: the connections that it allows one address."""

    def __init__(self, clients: int) -> None:
        self._clients = clients
        super().__init__("consul")

    def start(self) -> None:
        super().start()
        assert self.process is not None
        for task in os.listdir(f"/proc/{self.process.pid}/task"):
            os.sched_setaffinity(int(task), {OTHER_CORE})

    def _consul(self) -> list[str]:
        return [*super()._consul(), "-hcl", f"limits {{ http_max_conns_per_client = {self._clients} }}"]


@dataclass(frozen=True, slots=True)
class Instance:
    """`number` is never used again, and with it the address: whoever comes back is kept out for a while."""

    service: str
    number: int
    address: str
    port: int

    def come(self) -> dict[str, Any]:
        service = {"ID": self._id, "Service": self.service, "Address": self.address, "Port": self.port}
        return {"Service": {"Verb": "set", "Node": self._node, "Service": service}}

    def go(self) -> dict[str, Any]:
        service = {"ID": self._id, "Service": self.service}
        return {"Service": {"Verb": "delete", "Node": self._node, "Service": service}}

    @property
    def _id(self) -> str:
        return f"{self.service}-{self.number}"

    @property
    def _node(self) -> str:
        return f"bench-{self.number % NODES}"


class Registry:
    """What is registered, and changes of it."""

    def __init__(self, session: aiohttp.ClientSession, port: int) -> None:
        self._session = session
        self._url = f"http://127.0.0.1:{port}/v1/txn"
        self._numbers = 0
        self._there: dict[str, list[Instance]] = {}

    def instance(self, service: str, port: int = NOBODY, address: str = "") -> Instance:
        self._numbers += 1
        n = self._numbers
        own = f"127.{64 + n // 62_500}.{n // 250 % 250}.{1 + n % 250}"
        return Instance(service, n, address or own, port)

    async def leads(self, within: float) -> None:
        """Wait until Consul takes writes, and make the nodes."""
        nodes = [
            {"Node": {"Verb": "set", "Node": {"Node": f"bench-{number}", "Address": "127.0.0.1"}}}
            for number in range(NODES)
        ]
        deadline = time.monotonic() + within
        while True:
            try:
                await self.write(nodes)
                return
            except (OSError, RuntimeError, aiohttp.ClientError):
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.1)

    async def fill(self, instances: Iterable[Instance]) -> None:
        operations = []
        for instance in instances:
            self._there.setdefault(instance.service, []).append(instance)
            operations.append(instance.come())
        await self.write(operations)

    async def write(self, operations: list[dict[str, Any]]) -> None:
        """Raises RuntimeError where Consul refuses."""
        for start in range(0, len(operations), OPERATIONS):
            async with self._session.put(self._url, json=operations[start : start + OPERATIONS]) as answer:
                if answer.status != 200:
                    raise RuntimeError(f"Consul answered {answer.status}: {await answer.text()}")

    async def churn(self, services: list[str], rate: float, seconds: float) -> int:
        """Replace an instance of one of `services`, `rate` times a second. Returns how often."""
        if not rate:
            await asyncio.sleep(seconds)
            return 0
        random_ = random.Random(1)
        begun = time.monotonic()
        done = 0

        async def writer(place: int) -> None:
            nonlocal done
            due = begun + place / rate
            while due < begun + seconds:
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                service = random_.choice(services)
                new, there = self.instance(service), self._there[service]
                old = there.pop(random_.randrange(len(there)))
                there.append(new)
                await self.write([new.come(), old.go()])
                done += 1
                due = max(due + WRITERS / rate, time.monotonic() - 1.0)

        await asyncio.gather(*(writer(place) for place in range(WRITERS)))
        return done
