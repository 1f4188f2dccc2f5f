"""What an access log must not tell of a client, taken out of one field's value.

Lives here: query values by the name of the parameter, a client's address cut to its network. Must not live
here: which field is redacted how (lb.telemetry.fields) and writing it (lb.telemetry.accesslog).

Where a value cannot be read, none of it is shown.
"""

from __future__ import annotations

import socket

from lb.fields import decoded

HIDDEN = b"***"
EVERY = "*"  # for a parameter's name: the values of all


def subnet(client: str) -> bytes:
    """The network of a client's address, as its first address: /24 of IPv4, /48 of IPv6; b"" where it is
    none."""
    try:
        if ":" in client:
            network = socket.inet_pton(socket.AF_INET6, client)[:6] + bytes(10)
            return socket.inet_ntop(socket.AF_INET6, network).encode()
        return socket.inet_ntoa(socket.inet_pton(socket.AF_INET, client)[:3] + b"\0").encode()
    except OSError:
        return b""


def hide_values(url: bytes, names: frozenset[bytes]) -> bytes:
    """`url` with *** for the value of each query parameter of these names: lower case, compared decoded and
    whatever their case. Without names: of every parameter, and a parameter without `=` altogether."""
    path, mark, query = url.partition(b"?")
    if not query:
        return url
    hide = _named if names else _every
    return path + mark + b"&".join([hide(pair, names) for pair in query.split(b"&")])


# Some servers separate parameters at ";" too, others take it for part of a value. Neither reading of what is
# shown may have more than lb means to show: from a hidden value on, all up to the next "&" is hidden.


def _named(pair: bytes, names: frozenset[bytes]) -> bytes:
    end = 0
    for parameter in pair.split(b";"):
        name, equals, _ = parameter.partition(b"=")
        end += len(name)
        if equals and decoded(name).lower() in names:
            return pair[:end] + b"=" + HIDDEN
        end += len(parameter) - len(name) + 1
    return pair


def _every(pair: bytes, _: frozenset[bytes]) -> bytes:
    names, equals, _value = pair.partition(b"=")
    if not equals:
        return HIDDEN if pair else b""
    before, semicolon, name = names.rpartition(b";")
    return (HIDDEN if before else b"") + semicolon + name + b"=" + HIDDEN
