"""Whom the admin application refuses: browsers that other sites send.

The API has no log-in: it listens on loopback, where every local process may use it. A web page must not,
though the operator's browser can reach loopback. Two attacks, two checks:

- DNS rebinding: a name of the attacker's resolves to 127.0.0.1, so that the page's own origin is this
  API. On a loopback address only names that cannot be rebound are served: an IP address or localhost.
- Cross-site requests: a page posts to this API without reading the answer. What changes something is
  refused where the browser says that it comes from elsewhere (Origin, Sec-Fetch-Site).
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from aiohttp import web

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def refusal(request: web.Request) -> str | None:
    """Why this request is refused, as a sentence; None where it is served."""
    host = request.headers.get("Host", "")
    if host and _on_loopback(request) and not _cannot_be_rebound(host):
        return f"Host {host!r} is refused on a loopback address: use http://127.0.0.1 or http://localhost"
    if request.method in _SAFE:
        return None
    origin = request.headers.get("Origin")
    if origin is not None and origin.lower() != f"{request.scheme}://{host}".lower():
        return f"requests from another origin ({origin}) may not change anything"
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        return "requests from another site may not change anything"
    return None


def _on_loopback(request: web.Request) -> bool:
    if request.transport is None:
        return False
    address = request.transport.get_extra_info("sockname")
    return isinstance(address, tuple) and _is_loopback(str(address[0]))


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _cannot_be_rebound(host: str) -> bool:
    try:
        name = urlsplit("//" + host).hostname or ""
    except ValueError:
        return False
    if name == "localhost" or name.endswith(".localhost"):  # RFC 6761 6.3
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
