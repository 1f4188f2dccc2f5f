"""The admin application on its address.

Lives here: binding and serving. Must not live here: what it answers (lb.admin).
"""

from __future__ import annotations

from aiohttp import web

from lb.control.listeners import BoundAddress, bind


class AdminSite:
    """Serves from control's loop. `shown` is the address with its real port."""

    def __init__(self, address: str) -> None:
        """Binds; raises BindError."""
        self._bound: BoundAddress = bind(address, "admin.bind", 1)
        self.shown = self._bound.shown
        self._runner: web.AppRunner | None = None

    async def start(self, app: web.Application) -> None:
        # An admin answer is small and quick: what is still open at the end is an idle connection.
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.5)
        await self._runner.setup()
        await web.SockSite(self._runner, self._bound.sockets[0]).start()

    async def close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
        self._bound.close()
