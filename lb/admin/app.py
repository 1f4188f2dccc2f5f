"""The admin application: health endpoints, metrics, the API and the page that lists them.

Lives here: from a request to the endpoint that serves it, and how errors look. Must not live here: the
endpoints (lb.admin.api, lb.admin.probes, lb.admin.page), who may ask (lb.admin.guard).
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from aiohttp import web

from lb.admin import api, page, probes
from lb.admin.answers import failure
from lb.admin.endpoints import ENDPOINTS, as_lines
from lb.admin.guard import refusal
from lb.admin.keys import CONTROL, METRICS
from lb.admin.view import ControlView
from lb.telemetry.metrics import Metrics

_log = logging.getLogger(__name__)
_BODY_LIMIT = 256 * 1024
_METHODS = {endpoint.path: endpoint.method for endpoint in ENDPOINTS}
_SERVE: dict[str, Callable[[web.Request], Awaitable[web.Response]]] = {
    "/": page.index,
    "/livez": probes.livez,
    "/readyz": probes.readyz,
    "/metrics": probes.metrics,
    "/api/v1/status": api.status,
    "/api/v1/routes": api.routes,
    "/api/v1/services": api.services,
    "/api/v1/config": api.config,
    "/api/v1/reload": api.reload,
    "/api/v1/explain": api.explain,
}


def make_app(control: ControlView) -> web.Application:
    """The aiohttp application over `control`, to be run in control's own event loop."""
    app = web.Application(client_max_size=_BODY_LIMIT)
    app[CONTROL] = control
    app[METRICS] = Metrics(control.cells, control.ledger, control)
    app.router.add_route("*", "/{path:.*}", _serve)
    return app


async def _serve(request: web.Request) -> web.Response:
    refused = refusal(request)
    response = failure(403, "forbidden", refused) if refused else await _answer(request)
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


async def _answer(request: web.Request) -> web.Response:
    method = _METHODS.get(request.path)
    if method is None:
        return failure(404, "not_found", f"there is no {request.path}", endpoints=as_lines())
    allowed = ("GET", "HEAD") if method == "GET" else (method,)
    if request.method not in allowed:
        response = failure(405, "method_not_allowed", f"{request.path} takes {method}, not {request.method}")
        response.headers["Allow"] = ", ".join(allowed)
        return response
    try:
        return await _SERVE[request.path](request)
    except web.HTTPRequestEntityTooLarge:
        return failure(413, "too_large", f"a request body may have up to {_BODY_LIMIT // 1024} KiB")
    except Exception:
        _log.exception("admin API: %s %s failed", request.method, request.path)
        return failure(500, "internal_error", "this is a bug in lb: the traceback is in its log")
