"""The dashboard: one page and the files that it is made of.

Lives here: which files are served, and what a browser may do with them. Must not live here: the page itself
(lb/admin/static).
"""

from __future__ import annotations

from pathlib import Path

from aiohttp import web

from lb.admin.answers import failure, large

_FOLDER = Path(__file__).with_name("static")
_TYPES = {".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8",
          ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}  # fmt: skip
# Nothing but these files and this API: no inline script or style, no frame, no other origin.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)


async def index(request: web.Request) -> web.Response:
    return _file("index.html")


async def static(request: web.Request) -> web.Response:
    name = request.match_info["file"]
    if name not in {path.name for path in _FOLDER.iterdir() if path.suffix in _TYPES}:
        return failure(404, "not_found", f"the dashboard has no file {name[:100]}")
    return _file(name)


def _file(name: str) -> web.Response:
    path = _FOLDER / name
    response = large(path.read_bytes(), _TYPES[path.suffix])
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["Referrer-Policy"] = "no-referrer"
    return response
