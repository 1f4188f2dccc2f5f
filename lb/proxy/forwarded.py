"""What lb tells servers about the client: X-Forwarded-*, Forwarded (RFC 7239), Via (RFC 9110 7.6.3).

A client's own claims are dropped, unless its address is one of the listener's trusted proxies; then they
are continued. Must not live here: the rest of the head (lb.proxy.heads).
"""

from __future__ import annotations

from lb.http1.fields import FORWARDED, X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PROTO, joined
from lb.message import Client, RequestHead
from lb.proxy.rules import ListenerRules

# An address in a list of claims: long enough for IPv6 with brackets, port and zone.
_MOST_ADDRESS = 64


def own_lines(rules: ListenerRules, address: str, scheme: bytes) -> bytes:
    """The lines that are the same for every request of an untrusted connection."""
    lines = []
    if rules.add_for and address:
        lines.append(b"X-Forwarded-For: %b\r\n" % address.encode())
    if rules.add_proto:
        lines.append(b"X-Forwarded-Proto: %b\r\n" % scheme)
    return b"".join(lines)


def forwarded_element(address: str, host: bytes, scheme: bytes) -> bytes:
    """One element of Forwarded; an IPv6 address is quoted in brackets (RFC 7239 6)."""
    sender = f'"[{address}]"' if ":" in address else (address or "unknown")
    # `host` was validated as an authority: it holds no quote and no backslash
    return b'for=%b;host="%b";proto=%b' % (sender.encode(), host, scheme)


def continued_lines(rules: ListenerRules, head: RequestHead, address: str, scheme: bytes) -> bytes:
    """The lines for a request from a trusted proxy: its claims, with this hop added."""
    lines = []
    if rules.add_for:
        theirs = joined(head, X_FORWARDED_FOR)
        chain = b"%b, %b" % (theirs, address.encode()) if theirs else address.encode()
        if chain:
            lines.append(b"X-Forwarded-For: %b\r\n" % chain)
    if rules.add_proto:
        lines.append(b"X-Forwarded-Proto: %b\r\n" % (joined(head, X_FORWARDED_PROTO) or scheme))
    if rules.add_host:
        lines.append(b"X-Forwarded-Host: %b\r\n" % (joined(head, X_FORWARDED_HOST) or head.authority))
    if rules.add_forwarded:
        element = forwarded_element(address, head.authority, scheme)
        theirs = joined(head, FORWARDED)
        lines.append(b"Forwarded: %b\r\n" % (b"%b, %b" % (theirs, element) if theirs else element))
    return b"".join(lines)


def source_of(rules: ListenerRules, head: RequestHead, hop: Client) -> Client:
    """The client behind trusted proxies: the last address in X-Forwarded-For that is not trusted itself.
    `hop` where there is none, or where the list is not one of addresses."""
    theirs = joined(head, X_FORWARDED_FOR)
    if theirs is None:
        return hop
    found = hop
    for element in reversed(theirs.split(b",")):
        text = element.strip(b" \t")
        if not text or len(text) > _MOST_ADDRESS:
            return found
        address = text.decode("latin-1")
        if address.startswith("["):
            address = address[1:].partition("]")[0]
        elif address.count(":") == 1:
            address = address.partition(":")[0]
        client = Client(address, hop.listener)
        if client.number()[0] == 0:
            return found
        found = client
        if not rules.trusts(address):
            return found
    return found
