"""Groups of servers of nginx as services.

Lives here: `upstream` blocks and what stands in them. Must not live here: locations, which use them.
"""

from __future__ import annotations

from typing import Any

from lb.importing.nginxvalues import Directive, duration
from lb.importing.result import Draft
from lb.importing.values import UnmappableError

MOOT = {"zone", "keepalive_requests", "keepalive_time"}
HASH_KEYS = {
    "$remote_addr": "client_ip",
    "$binary_remote_addr": "client_ip",
    "$request_uri": "uri",
    "$uri": "path",
    "$host": "host",
    "$http_host": "host",
}


def add_service(draft: Draft, group: Directive) -> None:
    """The service of an `upstream` block, under its name."""
    service: dict[str, Any] = {}
    servers: list[dict[str, Any]] = []
    watched: dict[str, Any] = {}
    for one in group.block:
        try:
            if one.name == "server":
                servers.append(_server(draft, one, service, watched))
            else:
                _setting(draft, one, service)
        except (UnmappableError, ValueError, IndexError) as error:
            draft.gap(one.place, str(one), str(error) or "it is not understood")
    if not servers:
        draft.gap(
            group.place, str(group), "it has no server that maps", "name servers in services, or discover"
        )
        servers = [{"address": "127.0.0.1:1"}]
    service["servers"] = [one["address"] if len(one) == 1 else one for one in servers]
    if watched:
        service["outlier"] = {**watched, "max_ejected": "100%", "success_rate": "off", "latency": "off"}
    draft.services[group.args[0]] = service


def address(value: str) -> str:
    """As lb writes it, with the port 80 where there is none."""
    if value.startswith("unix:"):
        return value
    host, colon, port = value.rpartition(":")
    return (
        value if colon and port.isdigit() and (not host.count(":") or host.endswith("]")) else f"{value}:80"
    )


def _server(draft: Draft, one: Directive, service: dict[str, Any], watched: dict[str, Any]) -> dict[str, Any]:
    server: dict[str, Any] = {"address": address(one.args[0])}
    given = any(word.startswith("fail_timeout=") for word in one.args[1:])
    limits = {"max_fails": 1 if given else 0, "fail_timeout": "10s"}
    for word in one.args[1:]:
        name, _, value = word.partition("=")
        if name == "weight":
            server["weight"] = int(value)
        elif name == "backup":
            server["backup"] = True
        elif name == "down":
            server["weight"] = 0
        elif name == "resolve":
            server["resolve"] = "30s"
        elif name == "max_conns":
            _agree(draft, one, service.setdefault("connections", {}), "max_per_server", int(value))
        elif name == "slow_start":
            _agree(draft, one, service, "slow_start", duration(value))
        elif name in limits:
            limits[name] = int(value) if name == "max_fails" else value
        else:
            draft.gap(one.place, word, "lb has no such parameter of a server")
    if limits["max_fails"]:
        _agree(draft, one, watched, "consecutive_failures", limits["max_fails"])
        _agree(draft, one, watched, "ejection", duration(str(limits["fail_timeout"])))
    return server


def _agree(draft: Draft, one: Directive, section: dict[str, Any], key: str, value: Any) -> None:
    """What nginx says per server and lb per service: the first one counts."""
    if section.setdefault(key, value) != value:
        draft.gap(
            one.place,
            str(one),
            f"lb has one {key} for all servers of a service: {section[key]}",
            "split the service",
        )


def _setting(draft: Draft, one: Directive, service: dict[str, Any]) -> None:
    if one.name == "least_conn":
        service["algorithm"] = "least_connections"
    elif one.name == "ip_hash":
        service["algorithm"] = {"name": "consistent_hash", "key": "client_ip"}
        draft.note(
            one.place, str(one), "nginx hashes the first three bytes of IPv4 addresses, lb the whole address"
        )
    elif one.name == "hash":
        found: dict[str, Any] = {"name": "consistent_hash", "key": _hash_key(one.args[0])}
        if "consistent" in one.args:
            found["method"] = "ketama"
        else:
            draft.note(one.place, str(one), "lb always hashes so that few keys move when servers change")
        service["algorithm"] = found
    elif one.name == "random":
        service["algorithm"] = "power_of_two" if "two" in one.args else "weighted_random"
        if one.args[1:] not in ((), ("least_conn",)):
            draft.gap(one.place, str(one), "of two servers lb takes that with fewer connections")
    elif one.name == "least_time":
        service["algorithm"] = "ewma"
    elif one.name == "keepalive":
        service.setdefault("connections", {})["max_idle"] = int(one.args[0])
        draft.note(one.place, str(one), "nginx keeps so many per worker for all servers, lb for each server")
    elif one.name == "keepalive_timeout":
        service.setdefault("connections", {})["idle_timeout"] = duration(one.args[0])
    elif one.name == "queue":
        connections = service.setdefault("connections", {})
        connections["queue"] = int(one.args[0])
        for word in one.args[1:]:
            connections["queue_timeout"] = duration(word.removeprefix("timeout="))
    elif one.name == "sticky":
        service["sticky"] = _sticky(draft, one)
    elif one.name in MOOT:
        draft.needless(one.place, str(one))
    else:
        draft.gap(one.place, str(one), "lb has no such setting of a service")


def _hash_key(value: str) -> str:
    if value in HASH_KEYS:
        return HASH_KEYS[value]
    for start, kind in (("$cookie_", "cookie:"), ("$arg_", "query:"), ("$http_", "header:")):
        if value.startswith(start):
            name = value.removeprefix(start)
            return kind + (name.replace("_", "-") if kind == "header:" else name)
    raise UnmappableError(
        f"lb hashes client_ip, host, path, uri, a header, cookie or query parameter, not {value}"
    )


def _sticky(draft: Draft, one: Directive) -> Any:
    if not one.args or one.args[0] != "cookie":
        raise UnmappableError("lb has sticky cookies only; hash by a cookie or header with consistent_hash")
    found: dict[str, Any] = {"cookie": one.args[1], "http_only": False}
    for word in one.args[2:]:
        name, _, value = word.partition("=")
        if name == "expires":
            found["ttl"] = "8760h" if value == "max" else duration(value)
        elif name in ("domain", "path"):
            found[name] = value
        elif name == "secure":
            found["secure"] = True
        elif name == "httponly":
            found["http_only"] = True
        elif name == "samesite":
            found["same_site"] = value.lower()
        else:
            draft.gap(one.place, word, "lb has no such parameter of a sticky cookie")
    return found
