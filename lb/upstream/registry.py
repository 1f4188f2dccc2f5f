"""Registry: the State of one worker that outlives Snapshots, by identity.

Servers that stay keep their counts, averages and warm connections; removed ones finish what they carry and
are forgotten. Must not live here: anything that belongs to one generation only.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

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
        self.states: dict[str, dict[str, StatePlan]] = {}  # by service and address
        self.addresses: dict[str, set[str]] = {}  # of the Servers, by service
        self.users: dict[str, set[str]] = {}  # the services that have an address
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
            found.set_state(self.states.get(service, {}).get(address))
            self.addresses.setdefault(service, set()).add(address)
            self.users.setdefault(address, set()).add(service)
        return found

    def breaker(self, service: str, plan: BreakerPlan | None) -> Breaker | None:
        """The breaker of a Service as the published generation wants it."""
        found = follow(self.breakers.pop(service, None), plan)
        if found is not None:
            self.breakers[service] = found
        return found

    def set_states(self, states: Iterable[StatePlan], whole: bool, of: Collection[str] = ()) -> None:
        """Take over what control says of servers, also of those that a Snapshot under construction will have;
        `whole`: of no other server it says anything; `of`: of no other server of these services. Takes effect
        when the Services are refreshed."""
        said = {(state.service, state.address): state for state in states}
        if whole:
            self.states = {}
            of = self.addresses.keys()
        for service in of:
            self.states.pop(service, None)
            for address in self.addresses.get(service, ()):
                self.servers[service, address].set_state(said.get((service, address)))
        for (service, address), state in said.items():
            self.states.setdefault(service, {})[address] = state
            if service not in of and (service, address) in self.servers:
                self.servers[service, address].set_state(state)

    def reconcile(self, services: Collection[ServicePlan], whole: bool = True) -> None:
        """Forget what the published generation does not name, and close idle connections to addresses that
        nobody has any more; `whole`: these are all its services, and not those alone that changed. Exchanges
        under way hold their Server themselves."""
        for service in services:
            self._keep(service.name, {server.address for server in service.servers})
        if whole:
            names = {service.name for service in services}
            for name in self.addresses.keys() - names:
                self._keep(name, set())
                del self.addresses[name]
            for name in self.breakers.keys() - names:
                del self.breakers[name]

    def _keep(self, service: str, named: set[str]) -> None:
        """Forget the Servers of a service that are not named."""
        for address in self.addresses.get(service, set()) - named:
            self.addresses[service].remove(address)
            del self.servers[service, address]
            users = self.users[address]
            users.remove(service)
            if not users:
                del self.users[address]
                self.pools.pop(address).close()

    def expire(self, now: float) -> None:
        """Close connections that were idle too long. `now` in monotonic seconds."""
        for pool in self.pools.values():
            if pool.idle:
                pool.expire(now)

    def close(self) -> None:
        for pool in self.pools.values():
            pool.close()
