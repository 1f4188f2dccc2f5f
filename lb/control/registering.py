"""Registering: lb itself in Consul, where the configuration asks for it.

Lives here: when it is put in, changed and taken out. Must not live here: the calls
(lb.discovery.consul_register).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from lb.config.discovery_consul import ConsulSpec
from lb.config.spec import Spec

if TYPE_CHECKING:
    from lb.discovery.consul_register import Registration


class Registering:
    """One per control process. Nothing happens before `begin`: lb is in Consul while it serves."""

    def __init__(self) -> None:
        self._spec: ConsulSpec | None = None
        self._registration: Registration | None = None
        self._old: list[Registration] = []  # of earlier settings, not taken out yet
        self._task: asyncio.Task[None] | None = None
        self._begun = False

    def begin(self, spec: Spec) -> None:
        self._begun = True
        self.follow(spec)

    def follow(self, spec: Spec) -> None:
        """Do as this configuration says; what it said before is taken out first, where it is another."""
        consul = spec.discovery.consul
        wanted = consul if consul.registration is not None else None
        if not self._begun or wanted == self._spec:
            return
        if self._registration is not None:
            self._old.append(self._registration)
        before, self._spec = self._task, wanted
        if before is not None:
            before.cancel()
        self._registration = None if wanted is None else _made(wanted)
        self._task = asyncio.create_task(self._go_over(before, self._registration))

    async def _go_over(self, before: asyncio.Task[None] | None, new: Registration | None) -> None:
        if before is not None:
            await asyncio.wait([before])
        while self._old:
            # The agent takes what is registered under one id in place of what was.
            if new is None or self._old[0].own.id != new.own.id:
                await self._old[0].leave()
            del self._old[0]
        if new is not None:
            await new.run()

    async def stop(self, leave: bool = True) -> None:
        """`leave`: take lb out; not where a successor serves under the same name."""
        self._begun = False
        registration, self._registration = self._registration, None
        old, self._old = self._old, []
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        if leave:
            now = [] if registration is None else [registration]
            await asyncio.gather(*(one.leave() for one in old + now))

    def shown(self) -> dict[str, Any] | None:
        """What is known of it, for people; None where none is asked for."""
        one = self._registration
        if one is None:
            return None
        own = one.own
        return {"id": own.id, "name": own.name, "registered": one.registered, "error": one.error or None}


def _made(consul: ConsulSpec) -> Registration:
    from lb.discovery.consul_http import ConsulClient
    from lb.discovery.consul_register import Registration

    assert consul.registration is not None
    return Registration(ConsulClient(consul.connection()), consul.registration.own())
