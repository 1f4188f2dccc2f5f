"""The page at /: a plain list of the endpoints."""

from __future__ import annotations

import html

from aiohttp import web

from lb import __version__
from lb.admin.endpoints import ENDPOINTS


async def index(request: web.Request) -> web.Response:
    rows = []
    for endpoint in ENDPOINTS:
        name = html.escape(f"{endpoint.method} {endpoint.path}")
        if endpoint.method == "GET":
            name = f'<a href="{html.escape(endpoint.path)}">{name}</a>'
        rows.append(f"<dt>{name}</dt><dd>{html.escape(endpoint.text)}</dd>")
    page = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>lb</title>'
        f"<h1>lb {html.escape(__version__)}</h1><dl>{''.join(rows)}</dl></html>\n"
    )
    return web.Response(
        text=page, content_type="text/html", headers={"Content-Security-Policy": "default-src 'none'"}
    )
