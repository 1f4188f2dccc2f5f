"""A load against one algorithm, in simulated time.

Lives here: the Service that a worker would have, made from the Plan with another algorithm, on a clock that
jumps from event to event and on cells of its own; and servers that serve first come, first served. Must not
live here: any rule of balancing: `Service.select` decides, on in-flight counts and latencies as it has them.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush, heapreplace
from random import Random
from typing import NamedTuple

from msgspec.structs import replace

from lb.http1.request import read_request
from lb.message import Client, RequestHead
from lb.plan import AlgorithmPlan, Plan, ServerPlan, ServicePlan
from lb.simulate.load import Load
from lb.snapshot import build
from lb.telemetry.cells import Cells
from lb.telemetry.layout import SERVER_IN_FLIGHT, SERVER_SIZE
from lb.upstream.registry import Registry
from lb.upstream.service import Service

_STRIDE = 4096  # requests between two words on the progress
_MOST_HEAD, _MOST_FIELDS = 128 * 1024, 10


class Condition(NamedTuple):
    """Of a server: it takes `slow` times as long for each request, and from second `fails` on refuses all."""

    slow: float = 1.0
    fails: float = math.inf


@dataclass
class Served:
    """What one server got: a request a place in `began`, `done` (seconds) and `answered` (0 or 1)."""

    address: str
    began: array[float] = field(default_factory=lambda: array("d"))
    done: array[float] = field(default_factory=lambda: array("d"))
    answered: bytearray = field(default_factory=bytearray)


@dataclass
class Run:
    """`queued`: seconds that answered requests waited for a slot of their server, all together. `unserved`:
    requests for which no server was eligible. `known`: requests whose key had come before; `kept`: those of
    them that went where the one before it had gone."""

    algorithm: str
    servers: list[Served]
    queued: float = 0.0
    unserved: int = 0
    known: int = 0
    kept: int = 0


class _Clock:
    """Monotonic seconds of the simulation."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def algorithm_for(service: ServicePlan, name: str) -> AlgorithmPlan:
    """The file's own, with its options, where it is the one; a hash is of the client's address where the file
    has no key."""
    if service.algorithm.name == name:
        return service.algorithm
    return AlgorithmPlan(name, (service.algorithm.key or "client_ip") if name == "consistent_hash" else "")


def service_with(
    plan: ServicePlan, algorithm: AlgorithmPlan, seed: int, clock: Callable[[], float]
) -> tuple[Service, Cells]:
    """A Service as one worker that is alone has it, without routes, sessions and breakers. Raises
    SnapshotError where the algorithm cannot be used."""
    servers = tuple(replace(each, slot=at * SERVER_SIZE) for at, each in enumerate(plan.servers))
    alone = replace(
        plan, algorithm=algorithm, servers=servers, sticky=None, service_breaker=None, server_breaker=None
    )
    cells = Cells(-1, 0, 1, max(1, len(servers)) * SERVER_SIZE)
    registry = Registry(cells)
    slices = build(Plan(1, services=(alone,)), registry, Random(f"picks {seed}"), clock)
    while True:
        try:
            next(slices)
        except StopIteration as end:
            end.value.take_effect(registry)
            service: Service = end.value.services[plan.name]
            return service, cells


def replay(
    plan: ServicePlan,
    algorithm: AlgorithmPlan,
    load: Load,
    slots: int,
    conditions: Mapping[str, Condition],
    seed: int,
    tell: Callable[[int], None] = lambda done: None,
) -> Run:
    """Every request of `load` to the server that `algorithm` picks; each server has `slots` and a queue.
    `conditions`: by address; `tell`: hears now and then how many requests were sent. Raises SnapshotError."""
    clock = _Clock()
    service, cells = service_with(plan, algorithm, seed, clock)
    servers = service.servers
    place = {server: at for at, server in enumerate(servers)}
    served = [Served(server.address) for server in servers]
    states = [conditions.get(server.address, Condition()) for server in servers]
    free = [[0.0] * slots for _ in servers]  # a heap: when each slot is free
    keys, groups = _keys(service, load)
    last: dict[bytes, int] = {}
    under_way: list[tuple[float, int, int, float, bool]] = []  # a heap
    run = Run(algorithm.name, served)

    def finish(until: float) -> None:
        while under_way and under_way[0][0] <= until:
            done, _, at, took, answered = heappop(under_way)
            clock.now = done
            cells.add(servers[at].slot + SERVER_IN_FLIGHT, -1)
            servers[at].latency.observe(took if answered else 0.0, answered, done)

    for number, began in enumerate(load.at):
        if number % _STRIDE == 0:
            tell(number)
        finish(began)
        clock.now = began
        sender = load.sender[number]
        server = service.select(keys[sender], ())
        if server is None:
            run.unserved += 1
            continue
        at = place[server]
        if group := groups[sender]:
            before = last.get(group)
            run.known += before is not None
            run.kept += before == at
            last[group] = at
        slow, fails = states[at]
        start = max(began, free[at][0])
        done = start + load.seconds[number] * slow
        answered = done < fails
        heapreplace(free[at], done)
        if answered:
            run.queued += start - began
        else:
            done = max(began, fails)  # cut off in the middle, or refused at once
        served[at].began.append(began)
        served[at].done.append(done)
        served[at].answered.append(answered)
        cells.add(server.slot + SERVER_IN_FLIGHT, 1)
        heappush(under_way, (done, number, at, done - began, answered))
    finish(math.inf)
    tell(len(load))
    return run


def plan_of(plan: Plan, name: str) -> ServicePlan:
    """The service `name`, or the only one where `name` is "". Raises ValueError with a sentence."""
    names = ", ".join(service.name for service in plan.services)
    if not name and len(plan.services) != 1:
        raise ValueError(f"say which service is meant with --service; there are: {names or 'none'}")
    for service in plan.services:
        if name in ("", service.name):
            if not service.servers:
                raise ValueError(f"the service {service.name} has no servers in the file")
            return service
    raise ValueError(f"there is no service {name}; there are: {names or 'none'}")


def usual_slots(load: Load, servers: Sequence[ServerPlan]) -> int:
    """How many slots a server needs so that all together are 70 % busy while none is slow."""
    return max(1, math.ceil(load.rate() * load.mean() / len(servers) / 0.7))


def _keys(service: Service, load: Load) -> tuple[list[bytes], list[bytes]]:
    """By sender: what the algorithm hashes, and whose requests should stay together."""
    if service.key is None:
        return [b""] * len(load.senders), [client.encode() for client, _ in load.senders]
    keys = []
    head = RequestHead()
    for client, raw in load.senders:
        if not raw:
            keys.append(client.encode())
        elif read_request(raw, 0, 0, head, _MOST_HEAD, _MOST_FIELDS) == len(raw):
            keys.append(service.key_of(head, Client(client, "")))
        else:
            keys.append(b"")
    return keys, keys
