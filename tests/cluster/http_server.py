"""A server for one test that answers as it is told, and counts what it is asked."""

from __future__ import annotations

import asyncio

from aiohttp import web


class Served:
    """`answer(request)` gives (status, headers, body), or None: hang up."""

    def __init__(self, answer) -> None:
        self.answer = answer
        self.asked: list[str] = []

    async def __aenter__(self):
        self.runner = web.ServerRunner(web.Server(self._serve), shutdown_timeout=0.1)
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", 0)
        await site.start()
        self.port = self.runner.addresses[0][1]
        return self

    async def __aexit__(self, *_):
        await self.runner.cleanup()

    async def _serve(self, request):
        await request.read()
        self.asked.append(f"{request.method} {request.path}")
        said = self.answer(request)
        if said is None:
            request.transport.abort()
            await asyncio.sleep(0)
            return web.Response()
        status, headers, body = said
        return web.Response(status=status, headers=headers, body=body)
