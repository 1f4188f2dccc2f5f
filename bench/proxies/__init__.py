"""One file per proxy: its program and its configuration for a Site. The literal registry is PROXIES."""

from __future__ import annotations

from bench.proxies import caddy, envoy, haproxy, lb, nginx, traefik
from bench.proxies.contract import Proxy

PROXIES: dict[str, Proxy] = {
    proxy.name: proxy
    for proxy in (
        lb.PROXY,
        nginx.PROXY,
        nginx.TUNED,
        haproxy.PROXY,
        envoy.PROXY,
        traefik.PROXY,
        caddy.PROXY,
    )
}

__all__ = ["PROXIES", "Proxy"]
