"""What a route can ask of a request: one small class a predicate of the configuration file.

Lives here: the base class and the predicates on listener, host, path, method and client address. The
same objects decide in lb.routing.table and give the reasons in lb.routing.explain. Must not live here:
predicates on named values (lb.routing.values), precedence and indexes (lb.routing.table).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import IPv4Network, ip_network

import cython

from lb.message import Client, RequestHead


@cython.cclass
class Predicate:
    """One condition. `name` is its key in the file ("method", "header x-beta"), `wanted` what it asks
    for, as text for people."""

    name: str
    wanted: str

    def __init__(self, name: str, wanted: str) -> None:
        self.name = name
        self.wanted = wanted

    @cython.ccall
    def holds(self, head: RequestHead, client: Client) -> cython.bint:
        """Whether the request fulfils the condition."""
        raise NotImplementedError(f"{type(self).__name__} must define holds(head, client)")

    @cython.ccall
    def found(self, head: RequestHead, client: Client) -> str:
        """What the request has in this place, as text for people."""
        raise NotImplementedError(f"{type(self).__name__} must define found(head, client)")


def compiled_regex(pattern: str) -> re.Pattern[str]:
    """A pattern for bytes decoded as Latin-1. ValueError for one that is not valid."""
    try:
        return re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as problem:
        raise ValueError(f"the regular expression {pattern!r} is not valid: {problem}") from None


@cython.cclass
class OnListener(Predicate):
    listeners: frozenset[str]

    def __init__(self, listeners: Sequence[str]) -> None:
        Predicate.__init__(self, "listener", " | ".join(listeners))
        self.listeners = frozenset(listeners)

    @cython.ccall
    def holds(self, head: RequestHead, client: Client) -> cython.bint:
        return client.listener in self.listeners

    @cython.ccall
    def found(self, head: RequestHead, client: Client) -> str:
        return client.listener


@cython.cclass
class OnHost(Predicate):
    """Exact names and wildcards: "*.example.com" asks for one or more labels in front of
    ".example.com", never for "example.com" itself."""

    exact: frozenset[bytes]
    suffixes: list[bytes]  # ".example.com"

    def __init__(self, hosts: Sequence[str]) -> None:
        Predicate.__init__(self, "host", " | ".join(hosts))
        self.exact = frozenset([h.encode() for h in hosts if not h.startswith("*.")])
        self.suffixes = [h[1:].encode() for h in hosts if h.startswith("*.")]

    @cython.ccall
    def holds(self, head: RequestHead, client: Client) -> cython.bint:
        suffix: bytes
        if head.host in self.exact:
            return True
        for suffix in self.suffixes:  # noqa: SIM110 (a C method holds no generator)
            if len(head.host) > len(suffix) and head.host.endswith(suffix):
                return True
        return False

    @cython.ccall
    def found(self, head: RequestHead, client: Client) -> str:
        return head.host.decode("latin-1")


@cython.cclass
class OnPath(Predicate):
    """The path is exactly one of these."""

    paths: frozenset[bytes]

    def __init__(self, paths: Sequence[str]) -> None:
        Predicate.__init__(self, "path", " | ".join(paths))
        self.paths = frozenset([p.encode() for p in paths])

    @cython.ccall
    def holds(self, head: RequestHead, client: Client) -> cython.bint:
        return head.path in self.paths

    @cython.ccall
    def found(self, head: RequestHead, client: Client) -> str:
        return head.path.decode("latin-1")


def prefix_base(prefix: str) -> bytes:
    """What a prefix compares with: "/v1" and "/v1/" are the same prefix, "/" has the base b"".
    ValueError for one that does not begin with "/": no path could ever match it."""
    if not prefix.startswith("/"):
        raise ValueError(f'the prefix {prefix!r} must begin with "/"')
    return prefix.removesuffix("/").encode()


@cython.ccall
def under(path: bytes, base: bytes) -> cython.bint:
    """Whether `base` (see prefix_base) covers whole segments of `path` from its beginning."""
    size: cython.Py_ssize_t = len(base)
    if not path.startswith(base):
        return False
    return path[size] == 47 if len(path) > size else size > 0  # "/"


@cython.cclass
class OnPrefix(Predicate):
    """The path begins with the whole segments of one of these."""

    bases: list[bytes]

    def __init__(self, prefixes: Sequence[str]) -> None:
        Predicate.__init__(self, "path_prefix", " | ".join(prefixes))
        self.bases = [prefix_base(p) for p in prefixes]

    @cython.ccall
    def holds(self, head: RequestHead, client: Client) -> cython.bint:
        base: bytes
        for base in self.bases:  # noqa: SIM110
            if under(head.path, base):
                return True
        return False

    @cython.ccall
    def found(self, head: RequestHead, client: Client) -> str:
        return head.path.decode("latin-1")


@cython.cclass
class OnPathRegex(Predicate):
    """One of these is found in the path (re.search: anchors are the operator's)."""

    patterns: list[re.Pattern[str]]

    def __init__(self, patterns: Sequence[str]) -> None:
        Predicate.__init__(self, "path_regex", " | ".join(patterns))
        self.patterns = [compiled_regex(p) for p in patterns]

    @cython.ccall
    def holds(self, head: RequestHead, client: Client) -> cython.bint:
        text: str = head.path.decode("latin-1")
        for pattern in self.patterns:  # noqa: SIM110
            if pattern.search(text) is not None:
                return True
        return False

    @cython.ccall
    def found(self, head: RequestHead, client: Client) -> str:
        return head.path.decode("latin-1")


@cython.cclass
class OnMethod(Predicate):
    """Methods are case-sensitive (RFC 9110 9.1)."""

    methods: frozenset[bytes]

    def __init__(self, methods: Sequence[str]) -> None:
        Predicate.__init__(self, "method", " | ".join(methods))
        self.methods = frozenset([m.encode() for m in methods])

    @cython.ccall
    def holds(self, head: RequestHead, client: Client) -> cython.bint:
        return head.method in self.methods

    @cython.ccall
    def found(self, head: RequestHead, client: Client) -> str:
        return head.method.decode("latin-1")


@cython.cclass
class OnClient(Predicate):
    """The client's address is in one of these blocks. One set look-up for each prefix length that is
    present, however long the list is."""

    def __init__(self, blocks: Sequence[str]) -> None:
        Predicate.__init__(self, "client_ip", " | ".join(blocks))
        # (IP version, bits to shift away) -> networks
        self.blocks: dict[tuple[int, int], set[int]] = {}
        for text in blocks:
            network = ip_network(text, strict=False)
            # Client.number() counts IPv4-mapped addresses as IPv4: so do blocks of them (::ffff:0:0/96).
            if network.version == 6 and network.prefixlen >= 96 and network.network_address.ipv4_mapped:
                network = IPv4Network((network.network_address.ipv4_mapped, network.prefixlen - 96))
            shift = network.max_prefixlen - network.prefixlen
            number = int(network.network_address) >> shift
            self.blocks.setdefault((network.version, shift), set()).add(number)

    @cython.ccall
    def holds(self, head: RequestHead, client: Client) -> cython.bint:
        version, number = client.number()
        for (family, shift), networks in self.blocks.items():
            if family == version and (number >> shift) in networks:
                return True
        return False

    @cython.ccall
    def found(self, head: RequestHead, client: Client) -> str:
        return client.address or "(no address)"
