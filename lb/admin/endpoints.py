"""The endpoints of the admin application, in one table.

The router, the list at /api/v1, the answer to an unknown path, docs/admin-api.md and docs/openapi.json are
made from it. What each takes and gives is in lb.admin.described.
"""

from __future__ import annotations

from typing import NamedTuple


class Endpoint(NamedTuple):
    method: str
    path: str
    text: str


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint("GET", "/", "the dashboard"),
    Endpoint("GET", "/static/{file}", "what the dashboard is made of"),
    Endpoint("GET", "/livez", "200 as long as the control process runs"),
    Endpoint(
        "GET", "/readyz", "200 when this lb should get traffic, else 503; ?verbose lists the conditions"
    ),
    Endpoint("GET", "/metrics", "Prometheus metrics, as text, OpenMetrics or protobuf"),
    Endpoint("GET", "/api/v1", "this list"),
    Endpoint("GET", "/api/v1/openapi.json", "this API as an OpenAPI 3.1 document"),
    Endpoint(
        "GET", "/api/v1/status", "version, processes, listeners, the last reload, the age of every source"
    ),
    Endpoint("GET", "/api/v1/routes", "the routes in force with their counters"),
    Endpoint("GET", "/api/v1/services", "the services with their servers, counters, connections and states"),
    Endpoint(
        "GET", "/api/v1/servers", "every server: file, discovery, overrides; its status with the reasons"
    ),
    Endpoint(
        "PUT",
        "/api/v1/services/{service}/servers/{address}/override",
        "drain, maintenance, up or a weight for one server",
    ),
    Endpoint(
        "DELETE", "/api/v1/services/{service}/servers/{address}/override", "lift what was ordered of it"
    ),
    Endpoint(
        "PUT",
        "/api/v1/services/{service}/servers/{address}/override/everywhere",
        "the same on all nodes of the cluster; If-Match: the order that it takes the place of",
    ),
    Endpoint(
        "DELETE",
        "/api/v1/services/{service}/servers/{address}/override/everywhere",
        "lift it on all nodes; If-Match likewise",
    ),
    Endpoint("GET", "/api/v1/discovery", "what sources of servers say, how old it is, what is held"),
    Endpoint("POST", "/api/v1/discovery/{service}/accept", "let go at once of what is held"),
    Endpoint("GET", "/api/v1/events", "the last events, or a stream of them; ?after=NUMBER resumes"),
    Endpoint(
        "GET",
        "/api/v1/requests",
        "requests that failed, were slow or are in the sample, or a stream of all as they end",
    ),
    Endpoint("GET", "/api/v1/requests/{id}", "the same of the requests of one id"),
    Endpoint("GET", "/api/v1/live", "rates, errors, times and health of everything, now or as a stream"),
    Endpoint(
        "GET", "/api/v1/live/history", "the last hour of a listener, route, service or server; ?span=minutes"
    ),
    Endpoint("GET", "/api/v1/cluster", "the cluster: leader, engine, revision, what every node runs"),
    Endpoint("GET", "/api/v1/cluster/history", "the revisions that are kept, the newest first"),
    Endpoint("GET", "/api/v1/cluster/revisions/{number}", "the shared document of a revision"),
    Endpoint("GET", "/api/v1/cluster/diff/{one}/{other}", "from one revision to another, as a unified diff"),
    Endpoint(
        "POST", "/api/v1/cluster/push", "publish the body; If-Match: the revision that it takes the place of"
    ),
    Endpoint("POST", "/api/v1/cluster/rollback/{number}", "publish the document of a revision again"),
    Endpoint("POST", "/api/v1/cluster/promote", "publish to all nodes what is tried on some"),
    Endpoint("POST", "/api/v1/cluster/abort", "take back what is tried on some nodes"),
    Endpoint("POST", "/api/v1/cluster/resign", "have the leader give leadership to another node"),
    Endpoint("GET", "/api/v1/config", "the configuration in force, defaults filled in, secrets masked"),
    Endpoint("POST", "/api/v1/reload", "read the configuration again, all or nothing"),
    Endpoint("POST", "/api/v1/explain", "what would happen to a request, and why"),
)


def as_lines() -> list[str]:
    return [f"{endpoint.method} {endpoint.path}" for endpoint in ENDPOINTS]
