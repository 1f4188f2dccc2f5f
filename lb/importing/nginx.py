"""nginx.conf as a draft: read by crossplane, servers and listeners mapped.

Lives here: the file as a whole, `http`, `server` and `listen`. Must not live here: locations
(lb.importing.nginxroutes), groups of servers (lb.importing.nginxservices).
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lb.importing.nginxnamed import FRONT, name_unused
from lb.importing.nginxroutes import Place, add_routes
from lb.importing.nginxservices import add_service
from lb.importing.nginxvalues import (
    Directive,
    Settings,
    directive_of,
    duration,
    settings_of,
    size,
    size_text,
)
from lb.importing.result import Draft, MissingPackageError, UnreadableError, read_text

MAX_BODY = "1m"  # nginx' own limit where nothing is said


class Listen(NamedTuple):
    """One `listen` of a server."""

    bind: str
    tls: bool
    default: bool
    directive: Directive


class Server(NamedTuple):
    directive: Directive
    settings: Settings
    listens: list[Listen]
    names: list[str]


def import_nginx(path: Path) -> Draft:
    """Reads `path` and what it includes. Raises UnreadableError, MissingPackageError."""
    draft = Draft(str(path))
    found = _read(path, draft)
    try:
        _map(draft, found)
    except (ValueError, IndexError) as error:
        raise UnreadableError(f"{path}: {error}; does nginx -t accept it?") from None
    return draft


def _map(draft: Draft, found: Sequence[Directive]) -> None:
    main = settings_of(found)
    http = [one for block in main.found("http") for one in block.block] or found
    outer = settings_of(http)
    _process(draft, main, outer)
    for group in outer.found("upstream"):
        add_service(draft, group)
    servers = [_server(draft, one, outer) for one in outer.found("server")]
    if not servers:
        draft.gap(
            (draft.source, 0), "http", "there is no server in it", "import the file that includes the servers"
        )
    _listeners(draft, servers)
    name_unused(draft, found)


def _read(path: Path, draft: Draft) -> list[Directive]:
    read_text(path)
    try:
        crossplane = importlib.import_module("crossplane")
    except ImportError:
        raise MissingPackageError(
            "importing from nginx needs the package crossplane: pip install 'lb[import]'"
        ) from None
    try:
        parsed: Mapping[str, Any] = crossplane.parse(
            str(path), combine=True, check_ctx=False, check_args=False, catch_errors=True
        )
    except RecursionError:
        raise UnreadableError(f"{path}: includes itself, or blocks are too deep") from None
    _empty(draft, crossplane.parse(str(path), check_ctx=False, check_args=False, catch_errors=True))
    for error in parsed["errors"]:
        where, line = error["file"], error.get("line") or 0
        if error["error"].startswith("[Errno"):
            include = (where, line)
            draft.gap(include, "include", f"cannot be read: {error['error']}", "import where the file is")
        else:
            raise UnreadableError(f"{where}:{line}: {error['error']}; nginx -t says more")
    return [directive_of(one, str(path)) for config in parsed["config"] for one in config["parsed"]]


def _empty(draft: Draft, parsed: Mapping[str, Any]) -> None:
    """Names every include that finds no file: nginx says nothing, and here it may be the wrong machine."""
    for config in parsed["config"]:
        blocks = [config["parsed"]]
        while blocks:
            for one in blocks.pop():
                blocks.append(one.get("block", []))
                if one["directive"] == "include" and not one.get("includes"):
                    place = config["file"], one["line"]
                    draft.gap(
                        place, " ".join(["include", *one["args"]]), "no such file here", "import where it is"
                    )


def _process(draft: Draft, main: Settings, http: Settings) -> None:
    """What lb has once for the whole file."""
    for one in main.found("worker_processes"):
        draft.top["workers"] = "auto" if one.args[0] == "auto" else int(one.args[0])
    for one in main.found("worker_shutdown_timeout"):
        draft.top["shutdown_grace"] = duration(one.args[0])
    for one in http.found("access_log")[1:]:
        draft.gap(one.place, str(one), "lb has one access log")
    for one in http.found("access_log")[:1]:
        if one.args[0] == "off":
            draft.top["access_log"] = "off"
        elif one.args[0].startswith("syslog:"):
            draft.gap(one.place, str(one), "lb writes syslog addresses otherwise", "write access_log.path")
        else:
            plain = one.args[1:2] in ((), ("combined",))
            draft.top["access_log"] = {"path": one.args[0], "format": "combined" if plain else "json"}
            if not plain:
                draft.gap(one.place, str(one), "a format of one's own; here json", "write access_log.format")


def _server(draft: Draft, one: Directive, http: Settings) -> Server:
    own = settings_of(one.block)
    listens = [_listen(draft, listen) for listen in own.found("listen")]
    names = [name for found in own.found("server_name") for name in found.args if name not in ("_", "")]
    return Server(
        one, settings_of(one.block, http), listens or [Listen("0.0.0.0:80", False, False, one)], names
    )


def _listen(draft: Draft, one: Directive) -> Listen:
    place, words = one.args[0], set(one.args[1:])
    if place.isdigit():
        place = f"0.0.0.0:{place}"
    elif not place.startswith("unix:"):
        host, colon, port = place.rpartition(":")
        if not colon or place.endswith("]"):
            host, port = place, "80"
        place = f"{host.replace('*', '').replace('localhost', '127.0.0.1')}:{port}"
    for word in sorted(words - {"ssl", "default_server", "default"}):
        if word == "proxy_protocol":
            draft.gap(
                one.place, str(one), "lb does not read the PROXY protocol yet", "send X-Forwarded-For to lb"
            )
        elif word == "quic":
            draft.gap(one.place, str(one), "lb does not speak HTTP/3")
        elif word == "http2":
            if "ssl" not in words:  # what ends TLS in front speaks it
                draft.gap(one.place, str(one), "lb speaks HTTP/1.1")
        elif word in ("reuseport", "deferred") or word.startswith(
            ("backlog=", "ipv6only=", "so_keepalive=", "fastopen=", "rcvbuf=", "sndbuf=")
        ):
            draft.needless(one.place, str(one))
        else:
            draft.gap(one.place, str(one), f"lb has no {word} of a listener")
    return Listen(place, "ssl" in words, bool(words & {"default_server", "default"}), one)


def _listeners(draft: Draft, servers: Sequence[Server]) -> None:
    """One listener for all addresses that the same servers share, and the routes of those servers."""
    by_bind: dict[str, list[tuple[Server, Listen]]] = {}
    for server in servers:
        for listen in server.listens:
            by_bind.setdefault(listen.bind, []).append((server, listen))
    grouped: dict[tuple[tuple[int, ...], bool, int], list[str]] = {}
    for bind, members in by_bind.items():
        default = next((at for at, (_, listen) in enumerate(members) if listen.default), 0)
        tls = any(listen.tls for _, listen in members)
        identity = tuple(id(server) for server, _ in members), tls, default
        grouped.setdefault(identity, []).append(bind)
    several = len(grouped) > 1
    for (_, tls, default), binds in grouped.items():
        members = by_bind[binds[0]]
        name = binds[0]
        if tls:
            directive = next(listen.directive for _, listen in members if listen.tls)
            inside = _inside(
                binds[0], set(by_bind) | {one for made in draft.listeners for one in made["bind"]}
            )
            draft.gap(
                directive.place, str(directive), f"lb does not end TLS yet; here plain on {inside}", FRONT
            )
            binds = [inside]
        listener: dict[str, Any] = {"name": name, "bind": binds}
        _limits(draft, listener, [server for server, _ in members], tls)
        draft.listeners.append(listener)
        served = [server for server, _ in members]
        for server in served:
            for place in _places(draft, server, served, server is served[default], [name] if several else []):
                add_routes(draft, server.directive, server.settings, place)
    conditional = any(one.name == "if" for server in servers for one in server.directive.block)
    if not conditional and not any("path_regex" in route["match"] for route in draft.routes):
        for route in draft.routes:  # lb's own order is that of nginx
            route.pop("priority", None)


def _inside(bind: str, taken: set[str]) -> str:
    """An address of this machine for what comes in front to connect to."""
    port = bind.rpartition(":")[2]
    number = int(port) + 8000 if port.isdigit() and int(port) < 57_000 else 8443
    while f"127.0.0.1:{number}" in taken:
        number += 1
    return f"127.0.0.1:{number}"


def _places(
    draft: Draft, server: Server, served: Sequence[Server], default: bool, listeners: list[str]
) -> list[Place]:
    exact = [name.removeprefix(".") for name in server.names if not name.startswith(("~", "*", "."))]
    exact += [name.removeprefix(".") for name in server.names if name.startswith(".")]
    wild = [f"*{name.removeprefix('*')}" for name in server.names if name.startswith(("*.", "."))]
    for name in server.names:
        if name.startswith("~") or name.endswith(".*"):
            exact = [one for one in exact if one != name]
            draft.gap(
                server.directive.place,
                f"server_name {name}",
                "hosts are exact or *.NAME in lb",
                "name the hosts",
            )
    known = {"server_name": server.names[0]} if server.names else {}
    places = []
    alone = default and not any(
        name.startswith(("*", ".")) for one in served if one is not server for name in one.names
    )
    if not alone:
        if exact:
            places.append(Place(listeners, exact, 100_000, known))
        for name in wild:
            places.append(Place(listeners, [name], 1000 + 100 * name.count("."), known))
    if default:
        places.append(Place(listeners, None, 0, known))
    if not places:
        draft.gap(
            server.directive.place, "server", "no request reaches it: no name that maps, and not the default"
        )
    return places


def _limits(draft: Draft, listener: dict[str, Any], servers: Sequence[Server], tls: bool) -> None:
    """A listener has one set of limits: the widest of those of its servers."""
    settings = servers[0].settings
    limits: dict[str, Any] = {}
    for name, key in (
        ("client_header_timeout", "header_timeout"),
        ("client_body_timeout", "body_timeout"),
        ("keepalive_timeout", "idle_timeout"),
    ):
        for one in settings.found(name):
            if duration(one.args[0]):
                limits[key] = duration(one.args[0])
            else:
                draft.gap(
                    one.place, str(one), "lb always keeps connections a while", "set limits.idle_timeout"
                )
    for one in settings.found("large_client_header_buffers"):
        limits["max_header_bytes"] = size_text(int(one.args[0]) * size(one.args[1]))
    bodies = {body for server in servers for body in _bodies(server)}
    limits["max_body"] = size_text(0 if 0 in bodies else max(bodies))
    if len(bodies) > 1:
        where = next(
            one.place for server in servers for one in _all(server.directive, "client_max_body_size")
        )
        draft.note(
            where, "client_max_body_size", "a listener of lb has one limit: the largest that is written"
        )
    listener["limits"] = limits
    trusted = [one.args[0] for one in settings.found("set_real_ip_from")]
    if trusted or tls:
        listener["trusted_proxies"] = trusted + (
            [] if "127.0.0.0/8" in trusted or not tls else ["127.0.0.0/8"]
        )
    for one in settings.found("real_ip_header"):
        if one.args[0].lower() != "x-forwarded-for":
            draft.gap(one.place, str(one), "lb believes X-Forwarded-For and Forwarded", "send one of them")


def _bodies(server: Server) -> list[int]:
    outer = server.settings.found("client_max_body_size")
    found = [size(one.args[0]) for one in _all(server.directive, "client_max_body_size")]
    return [*found, size(outer[-1].args[0] if outer else MAX_BODY)]


def _all(one: Directive, name: str) -> list[Directive]:
    found = [each for inner in one.block for each in ([inner] if inner.name == name else _all(inner, name))]
    for each in found:
        each.used = True
    return found
