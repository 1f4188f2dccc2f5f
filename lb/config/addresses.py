"""Addresses: where a listener binds, where a server answers, which networks, which hosts.

Lives here: the grammar of each with a message that shows the right spelling. Nothing is resolved.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated

from lb.config.problems import shown, wrong
from lb.config.values import Checked, plain_text, text

UNIX_LENGTH = 107  # bytes in sockaddr_un.sun_path on Linux, less the closing NUL

_LABEL = r"(?!-)[a-z0-9_-]{1,63}(?<!-)"
_HOST_NAME = re.compile(rf"{_LABEL}(\.{_LABEL})*\Z")
_WITH_PORT = re.compile(r"(\[[^\]]*\]|[^:]*):([0-9]+)\Z")


def _unix(value: str) -> str:
    path = value.removeprefix("unix:")
    if not path.startswith("/") or "\0" in path:
        raise wrong(f'found {shown(value)}; the path of a Unix socket is absolute: "unix:/run/lb.sock"')
    if len(path.encode()) > UNIX_LENGTH:
        raise wrong(f"found {shown(value)}; the path of a Unix socket has at most {UNIX_LENGTH} bytes")
    return value


def _port(value: str, digits: str, least: int) -> int:
    port = int(digits) if len(digits) < 6 else 65536
    if not least <= port <= 65535:
        raise wrong(f"found {shown(value)}; a port is a number from {least or 1} to 65535")
    return port


def _ip(host: str) -> str | None:
    """The IP address as it stands in an address (IPv6 in brackets), or None."""
    try:
        if host.startswith("[") and host.endswith("]"):
            return f"[{ipaddress.IPv6Address(host[1:-1])}]"
        return str(ipaddress.IPv4Address(host))
    except ValueError:
        return None


def _no_url(value: str, example: str) -> None:
    if "://" in value:
        rest = value.split("://", 1)[1].split("/", 1)[0]
        port = {"http": ":80", "https": ":443"}.get(value.split("://", 1)[0], "")
        better = rest + ("" if _WITH_PORT.match(rest) else port)
        raise wrong(f'found {shown(value)}; expected an address, not a URL: "{better or example}"')


def bind_address(value: str) -> str:
    """ "0.0.0.0:8080", "[::]:8080", "unix:/path"; ":8080" is all IPv4 addresses. Port 0: any free one."""
    if value.startswith("unix:"):
        return _unix(value)
    _no_url(value, "0.0.0.0:8080")
    found = _WITH_PORT.match(value)
    if found is None:
        if value.isdigit():
            raise wrong(f'found {shown(value)}; write ":{value}" to listen on port {value} of all addresses')
        raise wrong(
            f'found {shown(value)}; expected address:port, such as "0.0.0.0:8080", ":8080", "[::]:8080" '
            'or "unix:/run/lb.sock"'
        )
    host = found[1]
    port = _port(value, found[2], 0)
    if host == "":
        return f"0.0.0.0:{port}"
    address = _ip(host)
    if address is None:
        better = f'; write "127.0.0.1:{port}"' if host == "localhost" else ""
        if host == "*":
            better = f'; write ":{port}" for all addresses'
        raise wrong(
            f"found {shown(value)}; expected an IP address (IPv6 in brackets) before the port{better}"
        )
    return f"{address}:{port}"


def _bracketed(value: str) -> str:
    """The likely meaning of an IPv6 address with a port, such as ::1:80."""
    host, _, port = value.rpartition(":")
    return f"[{host}]:{port}" if port.isdigit() and _ip(f"[{host}]") else "[::1]:8080"


def server_address(value: str) -> str:
    """ "10.0.0.1:8080", "[::1]:8080", "name:8080", "unix:/path", in normal form."""
    if value.startswith("unix:"):
        return _unix(value)
    _no_url(value, "10.0.0.1:8080")
    found = _WITH_PORT.match(value)
    if found is None:
        if value.count(":") > 1 and not value.startswith("["):
            raise wrong(f'found {shown(value)}; an IPv6 address goes in brackets: "{_bracketed(value)}"')
        raise wrong(f'found {shown(value)}; a port is missing: write "{value.strip("/") or "10.0.0.1"}:80"')
    port = _port(value, found[2], 1)
    host = found[1].lower()
    if host == "":
        raise wrong(f'found {shown(value)}; a host is missing: write "127.0.0.1:{port}"')
    address = _ip(host)
    if address in {"0.0.0.0", "[::]"}:  # noqa: S104 - refused, not bound
        raise wrong(f"found {shown(value)}; no server has this address; write 127.0.0.1 for this machine")
    if address is None and (host.startswith("[") or not _HOST_NAME.match(host) or host[-1].isdigit()):
        raise wrong(f"found {shown(value)}; expected an IP address or a host name before the port")
    return f"{address or host}:{port}"


def network(value: str) -> str:
    """A CIDR block; a single address is a block of one."""
    try:
        return str(ipaddress.ip_network(value))
    except ValueError:
        pass
    try:
        better = f"; the block with this address is {ipaddress.ip_network(value, strict=False)}"
    except ValueError:
        better = ""
    raise wrong(f"found {shown(value)}; expected a network such as 10.0.0.0/8 or 2001:db8::/32{better}")


def host_pattern(value: str) -> str:
    """A host, or "*.example.com" for every name below it; in small letters."""
    found = value.lower().removesuffix(".")
    name = found.removeprefix("*.")
    if _ip(found) is not None:
        return str(_ip(found))
    if "://" in found or "/" in found:
        raise wrong(f"found {shown(value)}; expected a host without scheme and path")
    if _WITH_PORT.match(found):
        raise wrong(
            f'found {shown(value)}; hosts are compared without the port: write "{found.rsplit(":", 1)[0]}", '
            'and "listener" to ask for the port'
        )
    if found == "*":
        raise wrong('found "*"; to match every host, leave "host" out')
    if "*" in name:
        raise wrong(f'found {shown(value)}; a wildcard stands for the first labels: "*.example.com"')
    if not found.isascii():
        try:
            better = f': "{found.encode("idna").decode()}"'
        except UnicodeError:
            better = ""
        raise wrong(f"found {shown(value)}; write the name as browsers send it (A-label){better}")
    if len(name) > 253 or not _HOST_NAME.match(name):
        raise wrong(f'found {shown(value)}; expected a host such as "example.com" or "*.example.com"')
    return found


def host_name(value: str) -> str:
    """A host without wildcard; in small letters."""
    if "*" in value:
        raise wrong(f"found {shown(value)}; expected one host such as example.com")
    return host_pattern(value)


def _bind(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        raise wrong(f'found {value}; expected an address: ":{value}" listens on this port of all addresses')
    return bind_address(plain_text(value))


_BINDS = ["0.0.0.0:8080", ":8080", "[::]:8080", "unix:/run/lb.sock"]
_SERVERS = ["10.0.0.1:8080", "[::1]:8080", "app.internal:8080", "unix:/run/app.sock"]

BindAddress = Annotated[str, Checked(_bind, {"type": "string", "examples": _BINDS})]
ServerAddress = Annotated[str, text(server_address, examples=_SERVERS)]
Network = Annotated[str, text(network, examples=["10.0.0.0/8", "192.0.2.7"])]
HostName = Annotated[str, text(host_name, examples=["example.com"])]
HostPattern = Annotated[str, text(host_pattern, examples=["example.com", "*.example.com"])]
