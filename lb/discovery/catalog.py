"""A catalogue: which services of a registry ask for routes, and for how long those that vanish stay.

Lives here: the word of a catalogue, and which routes are in force after it. Pure; times are handed in,
monotonic seconds. Must not live here: asking (consul_catalog), what a tag means (lb.config.catalog).
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from lb.discovery.contract import Unusable


class Catalog(Struct, frozen=True):
    """The whole word of a catalogue: the services that have route tags, and these as they stand there, both
    sorted. `age`: as in Membership."""

    services: tuple[tuple[str, tuple[str, ...]], ...] = ()
    unusable: tuple[Unusable, ...] = ()
    age: float = 0.0


class RouteBrake:
    """A service that is gone, or has no route tag any more, keeps its routes for a time: they answer 503 when
    its servers are gone too, and not with the 404 of a site that never was. An empty catalogue (a token that
    lost its rights, an agent that lost its data) is the same for all of them at once. Tags that change on a
    service that has others are obeyed at once."""

    def __init__(self, stay: float) -> None:
        """`stay`: seconds."""
        self.stay = stay
        self.held: dict[str, float] = {}  # by service, since when
        self.in_force: dict[str, tuple[str, ...]] = {}

    def __repr__(self) -> str:
        return f"<RouteBrake {len(self.in_force)} services, {len(self.held)} held>"

    def begin_with(self, services: Mapping[str, tuple[str, ...]]) -> None:
        """What was in force in an earlier life."""
        self.in_force = dict(services)

    def decide(self, said: Mapping[str, tuple[str, ...]], now: float) -> None:
        """`said`: the catalogue's word, or the last one again when something is due."""
        gone = {service: self.held.get(service, now) for service in self.in_force if service not in said}
        self.held = {service: since for service, since in gone.items() if now < since + self.stay}
        self.in_force = dict(said) | {service: self.in_force[service] for service in self.held}

    def let_go(self, service: str) -> bool:
        """The routes of a service that is gone go now. False where they are not held."""
        if self.held.pop(service, None) is None:
            return False
        del self.in_force[service]
        return True

    @property
    def due(self) -> float:
        """When to decide again though nothing comes; 0: never."""
        return min(self.held.values(), default=-self.stay) + self.stay
