"""lb: one worker, its defaults otherwise (all forwarded headers, request id, JSON access log)."""

from __future__ import annotations

import json
from typing import Any

from bench.proxies.contract import Proxy
from bench.site import Launch, Site


def document(site: Site) -> dict[str, Any]:
    """The configuration as data; names as in the configuration reference."""
    prefixes = site.routes or ("/",)
    return {
        "workers": 1,
        "shutdown_grace": "1s",
        "listeners": [{"name": "web", "bind": site.listen}],
        "admin": {"bind": site.admin},
        "access_log": {"path": str(site.access_log), "format": "json"},
        "routes": [
            {"name": f"route-{number}", "match": {"path_prefix": prefix}, "service": "app"}
            for number, prefix in enumerate(prefixes)
        ],
        "services": {
            "app": {
                "algorithm": "least_connections" if site.least_connections else "round_robin",
                "servers": [{"address": address} for address in site.servers],
                "connections": {"max_idle": site.idle_per_server},
            }
        },
    }


def configure(site: Site, program: str) -> Launch:
    # JSON is YAML; every proxy that reads YAML is given it.
    config = site.write("lb.yaml", json.dumps(document(site), indent=1))
    return Launch((program, "run", config), site.access_log, site.metrics)


PROXY = Proxy("lb", "lb", "this checkout", ("version",), configure)
