"""The servers of one engine, for any number of clusters at a time, and the trouble that they have."""

from __future__ import annotations

import asyncio
from collections import Counter

from tests.cluster.real import Server
from tests.cluster.several import Several
from tests.safety.engines import TTL
from tests.safety.spawning import Spawner


class Ground:
    """Three servers that elect a leader, one Redis, none for local. Raises FileNotFoundError where the
    engine cannot be had."""

    def __init__(self, engine, spawner="tests.safety.spawner"):
        self.engine = engine
        self.ttl = TTL.get(engine, 2.0)
        self.several = Several(engine) if engine in ("consul", "etcd", "zookeeper") else None
        if self.several is not None:
            self.servers = self.several.servers
        else:
            self.servers = [] if engine == "local" else [Server("redis")]
        self.faults = Counter()
        self.spawner = Spawner(spawner)

    async def ready(self):
        await self.spawner.start()
        await self.healed()

    async def healed(self):
        """Until its servers are in order."""
        while self.several is not None and not await asyncio.to_thread(self.several.leader):
            await asyncio.sleep(0.2)

    async def trouble(self, random):
        """Until cancelled: kill a server, the leader where there is one, or all; start them again."""
        try:
            while self.servers:
                await asyncio.sleep(random.uniform(2, 4) * self.ttl)
                leader = await asyncio.to_thread(self.several.leader) if self.several else None
                chosen, what = [leader or random.choice(self.servers)], "engine-leader-killed"
                if random.random() < 0.3 or len(self.servers) == 1:
                    chosen, what = self.servers, "engine-restarted"
                elif leader is None:
                    what = "engine-server-killed"
                for server in chosen:
                    await asyncio.to_thread(server.stop)
                self.faults[what] += 1
                await asyncio.sleep(random.uniform(0.1, 1.0) * self.ttl)
                self.start()
        finally:
            self.start()

    def start(self):
        for server in self.servers:
            if server.process.poll() is not None:
                server.launch()

    async def close(self):
        await self.spawner.end()
        for server in self.servers:
            server.close()
