"""lb as a service of Consul: registered with the first agent, renewed, registered again where that forgot it.

Lives here: the calls and their rhythm. Must not live here: HTTP (consul_http), when lb is ready and when it
ends (lb.control.registering).

The check is one of time: lb renews it, Consul calls it critical when lb falls silent. Consul need not reach
lb then (an agent in a container or behind a firewall, an admin API on 127.0.0.1), and the renewal that fails
is how lb learns that an agent came back without its services.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from urllib.parse import quote

import msgspec

from lb.discovery.consul_http import ConsulClient
from lb.discovery.consul_settings import ConsulOwn
from lb.discovery.contract import ProviderError
from lb.worker.journal import Journal

FIRST_PAUSE = 0.5  # seconds before the next try, twice as long each time; less by jitter
LONGEST_PAUSE = 15.0
LEAVE_TIME = 2.0  # seconds that an end waits for Consul
FORGET = "10m"  # an lb that died is removed by Consul after this; it is not in use from its TTL on

log = Journal("lb.discovery")


class Registration:
    """One per life of a setting. `registered`: what the agent said last; `error`: why it is not."""

    def __init__(
        self,
        client: ConsulClient,
        own: ConsulOwn,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        random: Random | None = None,
    ) -> None:
        self.own = own
        self.registered = False
        self.error = ""
        self._client = client
        self._sleep = sleep
        self._random = random or Random()

    def __repr__(self) -> str:
        return f"<Registration {self.own.id}{'' if self.registered else ', not registered'}>"

    async def run(self) -> None:
        """Keep it registered until cancelled."""
        failures = 0
        async with self._client:
            while True:
                try:
                    await self._renew()
                except ProviderError as error:
                    failures = min(failures + 1, 16)
                    self._fail(str(error))
                    pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** (failures - 1))
                    await self._sleep(error.wait + pause * self._random.uniform(0.5, 1.0))
                else:
                    failures = 0
                    await self._sleep(self.own.ttl / 3)

    async def leave(self) -> None:
        """Take it out; Consul does it by itself, later, where it cannot be told now."""
        self.registered = False
        try:
            async with asyncio.timeout(LEAVE_TIME), self._client as client:
                await client.tell(f"/v1/agent/service/deregister/{quote(self.own.id, safe='')}")
        except (ProviderError, TimeoutError) as error:
            log.warning(
                "lb cannot be taken out of Consul: its check ends by itself",
                service=self.own.id, why=str(error) or f"no answer within {LEAVE_TIME:g}s",
            )  # fmt: skip
        else:
            log.note("taken out of Consul", service=self.own.id)

    async def _renew(self) -> None:
        if self.registered:
            try:
                await self._client.tell(f"/v1/agent/check/pass/service:{quote(self.own.id, safe='')}")
            except ProviderError as error:
                self._fail(str(error))  # forgotten, or away: registering tells which
            else:
                return
        await self._client.tell("/v1/agent/service/register", _body(self.own))
        self.registered = True
        self.error = ""
        log.note("registered in Consul", service=self.own.id)

    def _fail(self, error: str) -> None:
        self.registered = False
        if not self.error:
            log.warning("lb is not registered in Consul; it tries again", service=self.own.id, why=error)
        self.error = error


def _body(own: ConsulOwn) -> bytes:
    service: dict[str, object] = {
        "ID": own.id,
        "Name": own.name,
        "Port": own.port,
        "Tags": own.tags,
        "Check": {
            "Name": "lb says that it serves",
            "TTL": f"{own.ttl:g}s",
            "Status": "passing",
            "DeregisterCriticalServiceAfter": FORGET,
        },
    }
    if own.address:
        service["Address"] = own.address
    return msgspec.json.encode(service)
