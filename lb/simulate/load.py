"""The load of a simulation: when requests come, how long each takes to serve, and who sends it.

Lives here: a load drawn at random. Must not live here: the reading of a log (lb.simulate.recorded), and
anything that depends on the algorithm: all algorithms get the same load.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from random import Random

MOST = 10_000_000  # requests


class LoadError(ValueError):
    """There is nothing to simulate, or too much; the message says what to change."""


@dataclass
class Load:
    """One request a place in the columns `at` (seconds from the beginning, ascending), `seconds` (to serve it
    on a server that is not slow) and `sender`, a place in `senders`. A sender is (client address, request
    head); without a head its address is its key, whichever key the service asks for. `seconds_long`: how long
    requests come."""

    seconds_long: float
    at: array[float] = field(default_factory=lambda: array("d"))
    seconds: array[float] = field(default_factory=lambda: array("d"))
    sender: array[int] = field(default_factory=lambda: array("L"))
    senders: list[tuple[str, bytes]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.at)

    def mean(self) -> float:
        """Seconds that a request takes to serve."""
        return sum(self.seconds) / len(self.seconds)

    def rate(self) -> float:
        """Requests a second."""
        return len(self.at) / self.seconds_long


def drawn(
    rate: float,
    seconds: float,
    service_time: float,
    seed: int,
    *,
    constant: bool = False,
    clients: int = 1000,
) -> Load:
    """Poisson arrivals of `rate` a second for `seconds`; times to serve are exponential with the mean
    `service_time` (seconds), or all the same; each request is of one of `clients`. Raises LoadError."""
    if rate * seconds > MOST:
        raise LoadError(f"{rate:g} requests a second for {seconds:g} s are more than {MOST:,}: ask for fewer")
    rng = Random(f"load {seed}")
    load = Load(seconds, senders=[(f"client-{number}", b"") for number in range(clients)])
    at = rng.expovariate(rate)
    while at < seconds:
        load.at.append(at)
        load.seconds.append(service_time if constant else rng.expovariate(1 / service_time))
        load.sender.append(rng.randrange(clients))
        at += rng.expovariate(rate)
    if not load:
        raise LoadError(f"no request comes within {seconds:g} s: ask for more of them, or more time")
    return load
