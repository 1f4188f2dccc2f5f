"""The OpenAPI document of the admin API, out of the table of endpoints.

Lives here: the document, at GET /api/v1/openapi.json and in docs/openapi.json (`python -m lb.admin.openapi
docs/openapi.json` writes it). Must not live here: what is said of an endpoint (lb.admin.described).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from lb import __version__
from lb.admin.answers import answer
from lb.admin.described import DESCRIBED, JSON, NUMBER, TEXT, YAML, Described
from lb.admin.endpoints import ENDPOINTS, Endpoint

Data = dict[str, Any]

_ERRORS = {
    400: "the request makes no sense", 403: "who asks is another site's page, or a name that can be rebound",
    404: "there is no such thing", 409: "somebody was faster, or it is not the time for it",
    413: "the body is too large", 422: "the configuration has problems", 428: "If-Match is missing",
    500: "what was asked for failed", 503: "not now",
}  # fmt: skip
_NUMBERS = ("number", "one", "other")
_BASE = r'^(\*|"?[0-9]{1,18}"?)$'


@cache
def document() -> Data:
    """OpenAPI 3.1."""
    bodies = [d.body for d in DESCRIBED.values() if isinstance(d.body, type)]
    _, schemas = msgspec.json.schema_components(bodies, ref_template="#/components/schemas/{name}")
    schemas["Error"] = {
        "type": "object",
        "required": ["error", "message"],
        "properties": {
            "error": {"type": "string", "description": "a word for programs"},
            "message": {"type": "string", "description": "a sentence for people"},
        },
    }
    paths: Data = {}
    for endpoint in ENDPOINTS:
        described = DESCRIBED.get(f"{endpoint.method} {endpoint.path}", Described())
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, described)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "The admin API of lb",
            "version": __version__,
            "description": "Answers may have more keys than those that are required here.",
        },
        "paths": paths,
        "components": {"schemas": schemas},
    }


def as_text() -> str:
    """As it stands in docs/openapi.json."""
    return msgspec.json.format(msgspec.json.encode(document()), indent=2).decode() + "\n"


async def openapi(request: web.Request) -> web.Response:
    return answer(document())


def _operation(endpoint: Endpoint, described: Described) -> Data:
    found: Data = {"operationId": _name(endpoint), "summary": endpoint.text}
    if parameters := _parameters(endpoint, described):
        found["parameters"] = parameters
    if isinstance(described.body, str):
        found["requestBody"] = {"required": True, "content": {described.body: {"schema": TEXT}}}
    elif described.body is not None:
        reference = {"$ref": f"#/components/schemas/{described.body.__name__}"}
        found["requestBody"] = {"required": True, "content": {JSON: {"schema": reference}}}
    answers: Data = {
        "200": {
            "description": "as asked",
            "content": {media: {"schema": _answered(media, described.keys)} for media in described.media},
        }
    }
    for status in sorted({403, *described.errors}):
        media, schema = JSON, {"$ref": "#/components/schemas/Error"}
        if JSON not in described.media and "text/plain" in described.media and status == 503:
            media, schema = "text/plain", TEXT  # the words of a probe
        answers[str(status)] = {"description": _ERRORS[status], "content": {media: {"schema": schema}}}
    if described.stream:
        found["x-stream"] = described.stream
    return {**found, "responses": answers}


def _name(endpoint: Endpoint) -> str:
    words = re.findall(r"[a-z0-9]+", endpoint.path.removeprefix("/api/v1"))
    return "_".join(
        [
            endpoint.method.lower(),
            *(words or [endpoint.path.replace("/", " ").strip().replace(" ", "_") or "index"]),
        ]
    )


def _parameters(endpoint: Endpoint, described: Described) -> list[Data]:
    found: list[Data] = [
        {"name": name, "in": "path", "required": True, "schema": NUMBER if name in _NUMBERS else _SEGMENT}
        for name in re.findall(r"\{(\w+)\}", endpoint.path)
    ]
    found += [{"name": name, "in": "query", "schema": schema} for name, schema in described.query.items()]
    if described.base:
        schema = {"type": "string", "pattern": _BASE} if described.base == "required" else TEXT
        found.append(
            {"name": "If-Match", "in": "header", "required": described.base == "required", "schema": schema}
        )
    return found


def _answered(media: str, keys: tuple[str, ...]) -> Mapping[str, Any]:
    if media == YAML:
        return {}  # whatever the text means
    if media != JSON:
        return TEXT
    return {"type": "object", "required": list(keys)} if keys else {"type": "object"}


_SEGMENT = {"type": "string", "minLength": 1}


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(as_text(), "utf-8")
