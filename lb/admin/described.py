"""What each endpoint takes and gives, for the OpenAPI document.

Lives here: parameters, bodies, the keys that an answer always has, and the errors of each endpoint of
lb.admin.endpoints. Must not live here: making the document (lb.admin.openapi), serving (lb.admin.app).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from lb.admin.api import ExplainBody
from lb.admin.servers import OverrideBody

JSON = "application/json"
YAML = "application/yaml"
NUMBER = {"type": "integer", "minimum": 0, "maximum": 10**18 - 1}
TEXT = {"type": "string"}
SIGNED = {"author": TEXT, "message": TEXT}
STAGED = {"first": TEXT, "watch": TEXT, "errors": TEXT, "latency": TEXT, "requests": TEXT}


class Described(NamedTuple):
    """`keys`: of a JSON answer, always there. `body`: a Struct, or a media type. `base`: it takes If-Match,
    and does not do without it where that is "required". `stream`: why tests that wait for the end of an
    answer leave it out."""

    keys: tuple[str, ...] = ()
    errors: tuple[int, ...] = ()
    media: tuple[str, ...] = (JSON,)
    query: dict[str, Any] = {}
    body: type | str | None = None
    base: str = ""
    stream: str = ""


_SERVICE = "/api/v1/services/{service}/servers/{address}/override"
_SERVER = ("service", "address", "layers", "in_flight", "connections", "saved")
_ORDERED = ("revision", "message")
_AGREED = (404, 409, 413, 422, 503)  # what becomes of an order to the cluster

DESCRIBED: dict[str, Described] = {
    "GET /": Described(media=("text/html",)),
    "GET /static/{file}": Described(
        errors=(404,), media=("text/html", "text/css", "text/javascript", "image/svg+xml")
    ),
    "GET /livez": Described(media=("text/plain",)),
    "GET /readyz": Described(media=("text/plain",), errors=(503,), query={"verbose": TEXT}),
    "GET /metrics": Described(
        media=("text/plain", "application/openmetrics-text", "application/vnd.google.protobuf")
    ),
    "GET /api/v1": Described(("endpoints",)),
    "GET /api/v1/openapi.json": Described(("openapi", "info", "paths", "components")),
    "GET /api/v1/status": Described(
        (
            "version",
            "pid",
            "started",
            "uptime",
            "ready",
            "conditions",
            "generation",
            "workers",
            "listeners",
        )
    ),
    "GET /api/v1/routes": Described(("generation", "routes")),
    "GET /api/v1/services": Described(("generation", "services")),
    "GET /api/v1/servers": Described(
        ("generation", "everywhere", "servers"), query={"service": TEXT, "address": TEXT}
    ),
    f"PUT {_SERVICE}": Described(_SERVER, (400, 404, 413), body=OverrideBody),
    f"DELETE {_SERVICE}": Described(_SERVER, (404,), query={"author": TEXT}),
    f"PUT {_SERVICE}/everywhere": Described(
        _SERVER, (400, 404, 409, 413, 428, 503), body=OverrideBody, base="required"
    ),
    f"DELETE {_SERVICE}/everywhere": Described(
        _SERVER, (400, 404, 409, 413, 428, 503), query={"author": TEXT}, base="required"
    ),
    "GET /api/v1/discovery": Described(("services", "catalog", "registration")),
    "POST /api/v1/discovery/{service}/accept": Described(("services",), (404,)),
    "GET /api/v1/requests": Described(
        ("requests", "kept", "dropped"),
        (400, 503),
        (JSON, "text/event-stream"),
        {"condition": TEXT, "limit": NUMBER, "rate": NUMBER},
    ),
    "GET /api/v1/requests/{id}": Described(("requests",), (404,)),
    "GET /api/v1/live": Described(
        ("at", "tick", "generation", "total", "listeners", "routes", "services", "servers"),
        (503,),
        (JSON, "text/event-stream"),
    ),
    "GET /api/v1/live/history": Described(
        ("span", "series", "unknown"),
        (400,),
        query=dict.fromkeys(("span", "route", "service", "listener", "server"), TEXT),
    ),
    "GET /api/v1/events": Described(("events",), (400, 503), (JSON, "text/event-stream"), {"after": NUMBER}),
    "GET /api/v1/cluster": Described(("role", "published"), (404, 503)),
    "GET /api/v1/cluster/history": Described(("revisions", "age"), (404, 503)),
    "GET /api/v1/cluster/revisions/{number}": Described((), (404, 503), (YAML,)),
    "GET /api/v1/cluster/diff/{one}/{other}": Described((), (404, 503), ("text/x-diff",)),
    "POST /api/v1/cluster/push": Described(
        _ORDERED, (400, *_AGREED, 428), query={**SIGNED, **STAGED, "file": TEXT}, body=YAML, base="required"
    ),
    "POST /api/v1/cluster/rollback/{number}": Described(_ORDERED, _AGREED, query=SIGNED, base="optional"),
    "POST /api/v1/cluster/promote": Described(_ORDERED, _AGREED, query=SIGNED, base="optional"),
    "POST /api/v1/cluster/abort": Described(_ORDERED, _AGREED, query=SIGNED, base="optional"),
    "POST /api/v1/cluster/resign": Described(_ORDERED, _AGREED, query={"author": TEXT}),
    "GET /api/v1/config": Described((), (), (YAML, JSON)),
    "POST /api/v1/reload": Described(("generation", "changes"), (422,)),
    "POST /api/v1/explain": Described(("routes",), (400, 413), body=ExplainBody),
}
