"""The key of a request: what a hashing algorithm is asked to keep on one server.

Lives here: the key specifications of the configuration, compiled once, read per request. Must not live
here: hashing, and the parsing of cookies and queries (lb.fields).
"""

from __future__ import annotations

import cython

from lb.balancing.contract import AlgorithmError
from lb.fields import cookie, query
from lb.message import Client, RequestHead

CLIENT_IP = 0
HOST = 1
PATH = 2
URI = 3
HEADER = 4
COOKIE = 5
QUERY = 6

PLAIN = {"client_ip": CLIENT_IP, "host": HOST, "path": PATH, "uri": URI}
NAMED = {"header": HEADER, "cookie": COOKIE, "query": QUERY}
ALLOWED = "client_ip, host, path, uri, header:NAME, cookie:NAME, query:NAME"


@cython.cclass
class KeySource:
    """One part of a request. `spec` is the text it was made from."""

    spec: str
    kind: cython.int
    name: bytes

    def __init__(self, spec: str, kind: int, name: bytes) -> None:
        self.spec = spec
        self.kind = kind
        self.name = name

    @cython.ccall
    def of(self, head: RequestHead, client: Client) -> bytes:
        """The key of a request; b"" where it has none (or an empty one)."""
        kind: cython.int = self.kind
        found: bytes | None
        if kind == CLIENT_IP:
            return client.address.encode()
        if kind == HOST:
            return head.host
        if kind == PATH:
            return head.path
        if kind == URI:
            return head.target
        if kind == HEADER:
            found = cython.cast(bytes, head.header(self.name))
        elif kind == COOKIE:
            found = cookie(head, self.name)
        else:
            found = query(head, self.name)
        return b"" if found is None else found


def compile_key(spec: str) -> KeySource:
    """The source that `spec` names. Raises AlgorithmError where it names none."""
    if spec in PLAIN:
        return KeySource(spec, PLAIN[spec], b"")
    source, colon, name = spec.partition(":")
    if colon and source in NAMED:
        if not name or (source != "query" and not name.isascii()):
            raise AlgorithmError(f"key {spec!r}: after {source}: comes the name of a {source}")
        return KeySource(spec, NAMED[source], (name.lower() if source == "header" else name).encode())
    raise AlgorithmError(f"key {spec!r} is not known: use one of {ALLOWED}")
