"""An incident: server processes, lb in front of them, a load that counts."""

from __future__ import annotations

import time
from types import TracebackType

from tests.faults.load import Load, Seen
from tests.faults.player import Player
from tests.scenarios.harness import Scenario, eventually, free_address

CONFIG = """
workers: 2
listeners: [{name: web, bind: "$web"}]
routes:
  - {name: all, match: {path_prefix: /}, service: app}
services:
  app:
    algorithm: round_robin
    servers: $servers
"""


class Incident:
    """`with Incident() as incident:` three servers s0, s1, s2, lb with `config` ($servers is the list
    of their addresses, the other names are those of Scenario), and a load that has begun."""

    def __init__(
        self, config: str = CONFIG, servers: int = 3, rate: float = 200.0, post_every: int = 0
    ) -> None:
        self.config, self.count, self.rate, self.post_every = config, servers, rate, post_every
        self._held = []
        self.servers: list[Player] = []

    def __enter__(self) -> Incident:
        try:
            self.servers = [self.player(number) for number in range(self.count)]
            self.scenario = Scenario(self.config_with(*(server.address for server in self.servers)))
            self.scenario.__enter__()
            self.load = Load(self.scenario.names["web"], self.rate, post_every=self.post_every)
            eventually(lambda: len(self.load.fates) > self.rate / 2, because="the load does not run")
        except BaseException:
            self._close()
            raise
        return self

    def player(self, number: int) -> Player:
        """A server process; a subclass may put it elsewhere."""
        address, held = free_address()
        self._held.append(held)  # nobody else gets it while the server is killed or refuses
        return Player(address, f"s{number}")

    def config_with(self, *addresses: str) -> str:
        """The configuration with these servers."""
        listed = "[" + ", ".join(f'"{address}"' for address in addresses) + "]"
        return self.config.replace("$servers", listed)

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.load.stop()
        finally:
            self.scenario.__exit__(kind, value, trace)
            self._close()

    def _close(self) -> None:
        for server in self.servers:
            server.close()
        for held in self._held:
            held.close()

    @property
    def lb(self):
        return self.scenario.lb

    def now(self) -> float:
        return time.monotonic()

    def goes_on(self, requests: int = 100) -> None:
        """Wait until so many more requests got their fate."""
        before = len(self.load.fates)
        eventually(
            lambda: len(self.load.fates) >= before + requests, within=60, because="the load stands still"
        )

    def seen(self, since: float, until: float = float("inf")) -> Seen:
        return self.load.between(since, until)

    def status(self, server: Player) -> str:
        """What lb thinks of a server, in one word."""
        import json

        services = json.loads(self.lb.admin("GET", "/api/v1/services")[1])["services"]
        for service in services:
            for shown in service["servers"]:
                if shown["address"] == server.address:
                    return str(shown["state"])
        return "missing"
