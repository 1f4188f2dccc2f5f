"""What machines ask every few seconds: liveness, readiness, metrics."""

from __future__ import annotations

from aiohttp import web

from lb.admin.answers import large, preferred
from lb.admin.keys import CONTROL, METRICS
from lb.telemetry.metrics import OPENMETRICS, TEXT


async def livez(request: web.Request) -> web.Response:
    return web.Response(text="ok\n")


async def readyz(request: web.Request) -> web.Response:
    conditions = request.app[CONTROL].conditions()
    ready = all(condition.ok for condition in conditions)
    lines = ["ready" if ready else "not ready"]
    if "verbose" in request.query:
        for condition in conditions:
            mark = "+" if condition.ok else "-"
            lines.append(f"[{mark}] {condition.name}" + (f": {condition.text}" if condition.text else ""))
    return web.Response(text="\n".join(lines) + "\n", status=200 if ready else 503)


async def metrics(request: web.Request) -> web.Response:
    accept = request.headers.get("Accept", "")
    openmetrics = preferred(accept, "text/plain", "application/openmetrics-text") != "text/plain"
    body = request.app[METRICS].render(openmetrics)
    return large(body, OPENMETRICS if openmetrics else TEXT)
