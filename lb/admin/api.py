"""The endpoints under /api/v1: what people and tools ask and order.

Must not live here: the shape of the answers (lb.admin.shapes).
"""

from __future__ import annotations

import time

import msgspec
import yaml
from aiohttp import web

from lb.admin import shapes
from lb.admin.answers import answer, failure, large, preferred
from lb.admin.endpoints import as_lines
from lb.admin.keys import CONTROL
from lb.admin.sources import sources
from lb.admin.view import Question


class ExplainBody(msgspec.Struct, forbid_unknown_fields=True):
    """The body of POST /api/v1/explain."""

    url: str
    method: str = "GET"
    headers: dict[str, str | list[str]] = {}
    client_ip: str = ""
    listener: str = ""


async def endpoints(request: web.Request) -> web.Response:
    return answer({"endpoints": as_lines()})


async def status(request: web.Request) -> web.Response:
    control, now = request.app[CONTROL], time.time()
    return answer({**shapes.status(control, now), "sources": sources(control, now)})


async def routes(request: web.Request) -> web.Response:
    control = request.app[CONTROL]
    return answer({"generation": control.generation, "routes": shapes.routes(control.plan, control.cells)})


async def services(request: web.Request) -> web.Response:
    control = request.app[CONTROL]
    states = await control.server_states()
    found = shapes.services(control.plan, control.cells, states, control.server_status)
    return answer({"generation": control.generation, "services": found})


async def config(request: web.Request) -> web.Response:
    text = request.app[CONTROL].resolved()
    accept = request.headers.get("Accept", "")
    if preferred(accept, "application/yaml", "application/json") == "application/json":
        return answer(yaml.safe_load(text))
    return large(text.encode(), "application/yaml")  # RFC 9512


async def reload(request: web.Request) -> web.Response:
    result = await request.app[CONTROL].reload()
    if result.ok:
        return answer({"generation": result.generation, "changes": list(result.changes)})
    stays = f"generation {result.generation} stays in force"
    if result.problems:
        count = len(result.problems)
        message = f"the configuration has {count} problem{'s' if count > 1 else ''}; {stays}"
        return failure(422, "invalid_configuration", message, problems=shapes.problems(result.problems))
    return failure(500, "reload_failed", f"{result.error}; {stays}" if result.generation else result.error)


async def explain(request: web.Request) -> web.Response:
    try:
        asked = msgspec.json.decode(await request.read(), type=ExplainBody)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        wanted = '{"method": "GET", "url": "http://host/path", "headers": {}, "client_ip": ""}'
        return failure(400, "bad_request", f"the body is not a question such as {wanted}: {error}")
    headers = [
        (name.lower(), value)
        for name, values in asked.headers.items()
        for value in ([values] if isinstance(values, str) else values)
    ]
    question = Question(asked.method, asked.url, headers, asked.client_ip, asked.listener)
    try:
        return answer(await request.app[CONTROL].explain(question))
    except ValueError as error:
        return failure(400, "bad_request", str(error))
