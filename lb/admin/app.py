"""The admin application: health endpoints, metrics, the API and the dashboard.

Lives here: from a request to the endpoint that serves it, and how errors look. Must not live here: the
endpoints (lb.admin.api, lb.admin.probes, lb.admin.page), who may ask (lb.admin.guard).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable
from urllib.parse import unquote

from aiohttp import web

from lb.admin import (
    api,
    cluster,
    discovery,
    events,
    everywhere,
    live,
    openapi,
    page,
    probes,
    requests,
    servers,
)
from lb.admin.answers import failure
from lb.admin.endpoints import ENDPOINTS, as_lines
from lb.admin.guard import refusal
from lb.admin.keys import CONTROL, METRICS, STREAMS, Streams
from lb.admin.view import ControlView
from lb.telemetry.metrics import Metrics

_log = logging.getLogger(__name__)
_BODY_LIMIT = 256 * 1024
_SERVE: dict[str, Callable[[web.Request], Awaitable[web.StreamResponse]]] = {
    "GET /": page.index,
    "GET /static/{file}": page.static,
    "GET /livez": probes.livez,
    "GET /readyz": probes.readyz,
    "GET /metrics": probes.metrics,
    "GET /api/v1": api.endpoints,
    "GET /api/v1/openapi.json": openapi.openapi,
    "GET /api/v1/status": api.status,
    "GET /api/v1/routes": api.routes,
    "GET /api/v1/services": api.services,
    "GET /api/v1/servers": servers.servers,
    "PUT /api/v1/services/{service}/servers/{address}/override": servers.override,
    "DELETE /api/v1/services/{service}/servers/{address}/override": servers.clear_override,
    "PUT /api/v1/services/{service}/servers/{address}/override/everywhere": everywhere.override,
    "DELETE /api/v1/services/{service}/servers/{address}/override/everywhere": everywhere.clear,
    "GET /api/v1/discovery": discovery.discovery,
    "POST /api/v1/discovery/{service}/accept": discovery.accept,
    "GET /api/v1/events": events.events,
    "GET /api/v1/requests": requests.requests,
    "GET /api/v1/requests/{id}": requests.one,
    "GET /api/v1/live": live.live,
    "GET /api/v1/live/history": live.history,
    "GET /api/v1/cluster": cluster.status,
    "GET /api/v1/cluster/history": cluster.history,
    "GET /api/v1/cluster/revisions/{number}": cluster.document,
    "GET /api/v1/cluster/diff/{one}/{other}": cluster.diff,
    "POST /api/v1/cluster/push": cluster.push,
    "POST /api/v1/cluster/rollback/{number}": cluster.rollback,
    "POST /api/v1/cluster/promote": cluster.promote,
    "POST /api/v1/cluster/abort": cluster.abort,
    "POST /api/v1/cluster/resign": cluster.resign,
    "GET /api/v1/config": api.config,
    "POST /api/v1/reload": api.reload,
    "POST /api/v1/explain": api.explain,
}
# A path with places for names, as an expression over the path as it was sent: a name may have an
# encoded slash.
_PATHS = {
    path: re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(path)) + r"\Z")
    for path in dict.fromkeys(endpoint.path for endpoint in ENDPOINTS)
}


def make_app(control: ControlView) -> web.Application:
    """The aiohttp application over `control`, to be run in control's own event loop."""
    app = web.Application(client_max_size=_BODY_LIMIT)
    app[CONTROL] = control
    app[STREAMS] = Streams()
    app[METRICS] = Metrics(control.cells, control.ledger, control)
    app.router.add_route("*", "/{path:(?s:.*)}", _serve)
    app.on_shutdown.append(_end_streams)
    return app


async def _end_streams(app: web.Application) -> None:
    streams = app[STREAMS]
    for end in list(streams):
        end()


async def _serve(request: web.Request) -> web.StreamResponse:
    refused = refusal(request)
    response = failure(403, "forbidden", refused) if refused else await _answer(request)
    if response.prepared:  # a stream that is over
        return response
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


async def _answer(request: web.Request) -> web.StreamResponse:
    path, names = _find(request.rel_url.raw_path)
    methods = [endpoint.method for endpoint in ENDPOINTS if endpoint.path == path]
    if not methods:
        return failure(404, "not_found", f"there is no {request.path}", endpoints=as_lines())
    method = "GET" if request.method == "HEAD" else request.method
    if method not in methods:
        allowed = [*methods, "HEAD"] if "GET" in methods else methods
        takes = " or ".join(methods)
        response = failure(405, "method_not_allowed", f"{path} takes {takes}, not {request.method}")
        response.headers["Allow"] = ", ".join(allowed)
        return response
    request.match_info.update(names)
    try:
        return await _SERVE[f"{method} {path}"](request)
    except web.HTTPRequestEntityTooLarge:
        return failure(413, "too_large", f"a request body may have up to {_BODY_LIMIT // 1024} KiB")
    except Exception:
        _log.exception("admin API: %s %s failed", request.method, request.path)
        return failure(500, "internal_error", "this is a bug in lb: the traceback is in its log")


def _find(raw: str) -> tuple[str, dict[str, str]]:
    """The path of the table that covers this one, "" for none, and the names in it."""
    for path, expression in _PATHS.items():
        if found := expression.match(raw):
            return path, {name: unquote(value) for name, value in found.groupdict().items()}
    return "", {}
