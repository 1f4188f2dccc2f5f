"""Registry: the State of one worker that outlives Snapshots, by identity.

Servers that stay keep their counts, averages and warm connections; removed ones finish what they carry and
are forgotten. Must not live here: anything that belongs to one generation only.
"""

from __future__ import annotations

from collections.abc import Iterable

from lb.plan import BreakerPlan, ServicePlan, StatePlan
from lb.telemetry.cells import Cells
from lb.upstream.breaker import Breaker, follow
from lb.upstream.pool import Pool
from lb.upstream.server import Server


class Registry:
    """All Servers by (service, address), what control says of them, all Pools by address, and the breakers of
    whole Services by name."""

    def __init__(self, cells: Cells) -> None:
        self.cells = cells
        self.servers: dict[tuple[str, str], Server] = {}
        self.pools: dict[str, Pool] = {}
        self.states: dict[tuple[str, str], StatePlan] = {}
        self.breakers: dict[str, Breaker] = {}

    def server(self, service: str, address: str) -> Server:
        """The Server of that identity, made where there is none yet. Making one changes nothing for the
        generation in force, so a Snapshot that fails to build leaves no harm behind."""
        found = self.servers.get((service, address))
        if found is None:
            pool = self.pools.get(address)
            if pool is None:
                pool = self.pools[address] = Pool(address, self.cells)
            found = self.servers[service, address] = Server(service, address, self.cells, pool)
            found.set_state(self.states.get((service, address)))
        return found

    def breaker(self, service: str, plan: BreakerPlan | None) -> Breaker | None:
        """The breaker of a Service as the published generation wants it."""
        found = follow(self.breakers.pop(service, None), plan)
        if found is not None:
            self.breakers[service] = found
        return found

    def set_states(self, states: Iterable[StatePlan], whole: bool) -> None:
        """Take over what control says of servers, also of those that a Snapshot under construction will have;
        `whole`: of no other server it says anything. Takes effect when the Services are refreshed."""
        said = {(state.service, state.address): state for state in states}
        if whole:
            self.states = said
        else:
            self.states.update(said)
        for identity in self.servers if whole else said.keys() & self.servers.keys():
            self.servers[identity].set_state(said.get(identity))

    def reconcile(self, services: tuple[ServicePlan, ...]) -> None:
        """Forget what the published generation does not name, and close idle connections to addresses that
        nobody has any more. Exchanges under way hold their Server themselves."""
        named = {(s.name, server.address) for s in services for server in s.servers}
        for identity in [i for i in self.servers if i not in named]:
            del self.servers[identity]
        for name in self.breakers.keys() - {service.name for service in services}:
            del self.breakers[name]
        addresses = {address for _, address in named}
        for address in [a for a in self.pools if a not in addresses]:
            self.pools.pop(address).close()

    def expire(self, now: float) -> None:
        """Close connections that were idle too long. `now` in monotonic seconds."""
        for pool in self.pools.values():
            if pool.idle:
                pool.expire(now)

    def close(self) -> None:
        for pool in self.pools.values():
            pool.close()
