"""Sticky: the cookie by which a client comes back to the Server that it had.

Lives here: the tokens that name Servers, the Set-Cookie lines, and whom a token leads to. Part of a
Snapshot: only `admit` changes it. Must not live here: who is eligible and what happens to a session whose
Server is gone (lb.upstream.service), and where the line goes in a response (lb.proxy).

A token is an HMAC over the names of service and server: it tells nobody an address, cannot be made up, is the
same in every worker and after every reload and restart, and needs no table that somebody would have to keep.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64encode

import cython

from lb.fields import cookie
from lb.message import RequestHead
from lb.plan import StickyPlan
from lb.upstream.server import Server

# Bytes of the HMAC that a token carries: no more can be guessed, and a cookie goes with every request.
_TOKEN = 16


def token_of(key: bytes, service: str, address: str) -> bytes:
    """The token of a server: 22 characters of base64url."""
    digest = hmac.digest(key, f"{service}\0{address}".encode(), "sha256")
    return urlsafe_b64encode(digest[:_TOKEN]).rstrip(b"=")


@cython.cclass
class Sticky:
    """The sticky sessions of one service. `always`: the cookie goes with every response, so that its ttl
    counts from the last request of a client and not from its first."""

    cookie: bytes
    always: cython.bint
    admitted: dict[bytes, Server]
    tokens: dict[Server, bytes]
    lines: dict[Server, bytes]

    def __init__(self, plan: StickyPlan, service: str, servers: list[Server]) -> None:
        """Raises ValueError where the key is not in hexadecimal digits."""
        key = bytes.fromhex(plan.key)
        self.cookie = plan.cookie.encode()
        self.always = plan.ttl > 0
        self.admitted = {}
        self.tokens = {server: token_of(key, service, server.address) for server in servers}
        rest = f"{plan.attributes}\r\n".encode()
        self.lines = {
            server: b"Set-Cookie: %b=%b%b" % (self.cookie, token, rest)
            for server, token in self.tokens.items()
        }

    def __repr__(self) -> str:
        return f"<Sticky {self.cookie.decode()}: {len(self.admitted)}/{len(self.tokens)} servers>"

    def admit(self, servers: list[Server]) -> None:
        """From now on sessions stay on these servers, and all others are lost."""
        self.admitted = {self.tokens[server]: server for server in servers}

    @cython.ccall
    def token(self, head: RequestHead) -> bytes:
        """What the cookie of a request says; b"" where there is none."""
        found: bytes | None = cookie(head, self.cookie)
        return b"" if found is None else found

    @cython.ccall
    def line(self, server: Server, token: bytes) -> bytes:
        """The Set-Cookie line of a response of `server` to a request that came with `token`; b"" where the
        client has the right cookie already."""
        if token == self.tokens[server] and not self.always:
            return b""
        return self.lines[server]
