"""What machines ask every few seconds: liveness, readiness, metrics."""

from __future__ import annotations

from aiohttp import web

from lb.admin.answers import preferred
from lb.admin.keys import CONTROL, METRICS
from lb.telemetry.metrics import OPENMETRICS, PROTOBUF, TEXT

_MEDIA = {one.split(";")[0]: one for one in (TEXT, OPENMETRICS, PROTOBUF)}


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
    media = _MEDIA[preferred(_known(request.headers.get("Accept", "")), *_MEDIA)]
    gzip = "gzip" in request.headers.get("Accept-Encoding", "").lower()
    body = await request.app[METRICS].scrape(media, gzip)
    headers = {"Content-Type": media, "Vary": "Accept, Accept-Encoding"}
    if gzip:
        headers["Content-Encoding"] = "gzip"
    return web.Response(body=body, headers=headers)


def _known(accept: str) -> str:
    """An Accept field without the kinds of protobuf that lb does not write."""
    name = PROTOBUF.split(";")[0]
    return ",".join(
        one
        for one in accept.lower().split(",")
        if name not in one or {"encoding=delimited"} <= {part.strip() for part in one.split(";")}
    )
