"""nginx: one worker, buffered access log, stub_status.

Twice: with its default proxy buffers (8 of 4 KiB), and as `nginx-tuned` with the large ones that an operator
gives it for large bodies.
"""

from __future__ import annotations

import os

from bench.proxies.contract import Proxy
from bench.site import Launch, Site

_LARGE_BUFFERS = "proxy_buffer_size 64k; proxy_buffers 8 64k; proxy_busy_buffers_size 128k;"
_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def text(site: Site, buffers: str = "") -> str:
    folder = site.folder
    locations = [f"location {prefix}/ {{ proxy_pass http://app; }}" for prefix in site.routes]
    temporary = [f"{name}_temp_path {folder}/{name};" for name in _TEMPORARY]
    return f"""
{"user root;" if os.geteuid() == 0 else ""}
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log error;
events {{ worker_connections 19000; }}
http {{
    access_log {site.access_log} combined buffer=64k flush=1s;
    {" ".join(temporary)}
    keepalive_timeout 75s;
    keepalive_requests 1000000000;
    client_max_body_size 0;
    map $http_upgrade $connection_field {{ default upgrade; "" ""; }}
    upstream app {{
        {"least_conn;" if site.least_connections else ""}
        {" ".join(f"server {address};" for address in site.servers)}
        keepalive {site.idle_per_server * len(site.servers)};
        keepalive_requests 1000000000;
    }}
    server {{
        listen {site.listen} backlog=4096;
        proxy_http_version 1.1;
        proxy_request_buffering off;
        proxy_max_temp_file_size 0;
        {buffers}
        proxy_set_header Host $host;
        proxy_set_header Connection $connection_field;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_set_header X-Forwarded-Proto $scheme;
        proxy_set_header X-Forwarded-Host $host;
        proxy_set_header X-Request-Id $request_id;
        {" ".join(locations) or "location / { proxy_pass http://app; }"}
    }}
    server {{
        listen {site.admin};
        access_log off;
        location /metrics {{ stub_status; }}
    }}
}}
"""


def _configure(site: Site, program: str, buffers: str) -> Launch:
    config = site.write("nginx.conf", text(site, buffers))
    command = (program, "-c", config, "-p", str(site.folder), "-e", str(site.folder / "error.log"))
    return Launch(command, site.access_log, site.metrics)


def configure(site: Site, program: str) -> Launch:
    return _configure(site, program, "")


def configure_tuned(site: Site, program: str) -> Launch:
    return _configure(site, program, _LARGE_BUFFERS)


PROXY = Proxy("nginx", "nginx", "debian", "nginx-light", ("-v",), configure)
TUNED = Proxy("nginx-tuned", "nginx", "debian", "nginx-light", ("-v",), configure_tuned)
