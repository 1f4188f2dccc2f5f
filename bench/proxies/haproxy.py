"""HAProxy: one thread, log lines to its standard output (a file), its Prometheus exporter.

Five thousand routes are a map file, as its manual advises, not five thousand ACLs.
"""

from __future__ import annotations

from bench.proxies.contract import Proxy
from bench.site import Launch, Site


def text(site: Site) -> str:
    servers = "\n".join(f"    server s{number} {address}" for number, address in enumerate(site.servers))
    route = f"use_backend %[path,map_beg({site.folder}/routes.map)]" if site.routes else "default_backend app"
    return f"""
global
    nbthread 1
    maxconn 12000
    no strict-limits
    log stdout format raw local0 info
    hard-stop-after 1s
defaults
    mode http
    log global
    option httplog
    http-reuse always
    timeout connect 2s
    timeout client 75s
    timeout server 60s
    timeout http-keep-alive 75s
    timeout tunnel 1h
frontend web
    bind {site.listen} backlog 4096
    option forwardfor
    unique-id-format %[uuid()]
    unique-id-header X-Request-Id
    http-request set-header X-Forwarded-Proto http
    http-request set-header X-Forwarded-Host %[req.hdr(Host)]
    {route}
frontend metrics
    bind {site.admin}
    http-request use-service prometheus-exporter if {{ path /metrics }}
backend app
    balance {"leastconn" if site.least_connections else "roundrobin"}
{servers}
"""


def configure(site: Site, program: str) -> Launch:
    if site.routes:
        site.write("routes.map", "".join(f"{prefix}/ app\n" for prefix in site.routes))
    config = site.write("haproxy.cfg", text(site))
    return Launch((program, "-db", "-f", config), site.access_log, site.metrics, log_is_stdout=True)


PROXY = Proxy("haproxy", "haproxy", "debian", "haproxy", ("-v",), configure)
