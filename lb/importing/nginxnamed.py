"""What of an nginx.conf is not in the draft, by name.

Lives here: directives that nothing came of, and what to do instead. Must not live here: what maps.
"""

from __future__ import annotations

from collections.abc import Iterable

from lb.importing.nginxvalues import Directive
from lb.importing.result import Draft

FRONT = "end TLS in front of lb (stunnel, hitch, a CDN) and forward to the address of this listener"

BLOCKS = {"http", "server", "location", "events"}
# About how nginx works inside, about files, or about what lb always does: nothing is lost without them.
MOOT = {
    *("user", "pid", "daemon", "worker_rlimit_nofile", "worker_cpu_affinity", "use", "multi_accept", "types"),
    *("accept_mutex", "sendfile", "tcp_nopush", "tcp_nodelay", "default_type", "include", "load_module"),
    *("proxy_http_version", "keepalive_requests", "types_hash_max_size", "types_hash_bucket_size"),
    *("server_names_hash_bucket_size", "server_names_hash_max_size", "variables_hash_max_size"),
    *("proxy_buffers", "proxy_buffer_size", "proxy_busy_buffers_size", "client_body_buffer_size", "index"),
    *("client_header_buffer_size", "reset_timedout_connection", "log_not_found", "server_tokens"),
    *("real_ip_recursive", "proxy_buffering", "worker_priority", "map_hash_bucket_size", "map_hash_max_size"),
    *(
        "proxy_headers_hash_max_size",
        "proxy_headers_hash_bucket_size",
        "absolute_redirect",
        "worker_connections",
    ),
    *("upstream",),
}
# What to do instead of directives that have no counterpart.
ADVICE = {
    "gzip": "let servers compress, or put a CDN in front",
    "limit_req": "limit in the servers; adaptive_concurrency and breaker protect them",
    "limit_conn": "connections.max_per_server and limits.max_connections bound connections",
    "proxy_cache": "lb keeps no answers; put a cache in front or behind",
    "proxy_redirect": "lb passes Location on as it came",
    "mirror": "write routes[].mirror",
    "split_clients": "write routes[].split",
    "map": "write a route per value, with match",
    "geo": "write routes with match.client_ip",
    "health_check": "write services.NAME.health_check",
    "error_page": "lb answers with short texts of its own",
    "error_log": "lb logs to stderr",
    "log_format": "write access_log.format with ${fields}",
    "access_log": "lb has one access log",
    "stub_status": "admin has /metrics and the dashboard",
    "stream": "lb speaks HTTP; keep nginx for TCP and UDP",
    "proxy_request_buffering": "lb streams bodies both ways; there is no switch",
    "underscores_in_headers": "lb passes all legal names on",
    "ssl": FRONT,
    "http2": "lb speaks HTTP/1.1; what ends TLS in front of it can speak HTTP/2",
    "proxy_ssl": "lb does not speak TLS to servers yet",
    "keepalive_timeout": "a listener has one limits.idle_timeout",
    "client_": "limits are of a listener in lb",
    "auth_": "let servers ask",
}


def name_unused(draft: Draft, directives: Iterable[Directive]) -> None:
    """Names every directive that nothing came of."""
    for one in directives:
        _name(draft, one)


def _name(draft: Draft, one: Directive) -> None:
    if one.name in BLOCKS:
        for inner in one.block:
            _name(draft, inner)
    elif one.name == "map" and one.args[:1] == ("$http_upgrade",):
        draft.needless(one.place, str(one))  # lb passes upgrades on by itself
    elif not one.used and (
        one.name in MOOT or one.args == ("off",) or (one.name, *one.args) == ("satisfy", "all")
    ):
        draft.needless(one.place, str(one))
    elif not one.used and one.name != "#":
        family = next((advice for name, advice in ADVICE.items() if one.name.startswith(name)), "")
        draft.gap(one.place, str(one), "nothing in lb comes of it", family)
