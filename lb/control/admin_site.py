"""The admin application on its address.

Lives here: binding and serving. Must not live here: what it answers (lb.admin).
"""

from __future__ import annotations

from aiohttp import web

from lb.control.inherited import Inherited
from lb.control.listeners import BoundAddress, bind


class AdminSite:
    """Serves from control's loop. `shown` is the address with its real port."""

    def __init__(self, address: str, inherited: Inherited | None = None) -> None:
        """Binds, where its socket is not inherited; raises BindError."""
        self.bound: BoundAddress = bind(address, "admin.bind", 1, inherited)
        self.shown = self.bound.shown
        self._runner: web.AppRunner | None = None

    async def start(self, app: web.Application) -> None:
        # An admin answer is small and quick: what is still open at the end is an idle connection.
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.5)
        await self._runner.setup()
        for sock in self.bound.sockets:
            await web.SockSite(self._runner, sock).start()

    async def close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
        self.bound.close()
