"""Texts with ${variables}: parsed once, rendered per request.

Lives here: the template and the variables of a request. Must not live here: what the text is for, and
therefore how values are made harmless (lb.routing.edits, lb.routing.redirect).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import cython

from lb.message import Client, RequestHead

# The order is that of Variables.value
NAMES = ("client_ip", "host", "path", "query", "scheme", "request_id", "uri")
_VARIABLE: re.Pattern[str] = re.compile(r"\$\{([^}]*)\}")


@cython.cclass
class Variables:
    """The values of one request, as bytes. One object serves many requests, one after another."""

    client_ip: bytes
    host: bytes
    path: bytes
    query: bytes
    scheme: bytes
    request_id: bytes
    uri: bytes

    def __init__(self) -> None:
        self.client_ip = self.host = self.path = self.query = self.scheme = self.request_id = self.uri = b""

    @cython.ccall
    def fill(self, head: RequestHead, client: Client, scheme: bytes, request_id: bytes) -> object:
        """Take the values of a request; `path` and `uri` are the client's own, before any rewrite."""
        self.client_ip = client.address.encode()
        self.host = head.host
        self.path = head.path
        self.query = b"" if head.query is None else head.query
        self.scheme = scheme
        self.request_id = request_id
        self.uri = head.target
        return None

    @cython.ccall
    def value(self, slot: cython.Py_ssize_t) -> bytes:
        """The value of NAMES[slot]."""
        if slot == 0:
            return self.client_ip
        if slot == 1:
            return self.host
        if slot == 2:
            return self.path
        if slot == 3:
            return self.query
        if slot == 4:
            return self.scheme
        if slot == 5:
            return self.request_id
        return self.uri


@cython.cclass
class Template:
    """`parts` alternates: literal bytes, slot of a variable, literal bytes, …, literal bytes."""

    parts: list[object]
    literal: object  # the whole text, where there is no variable; None otherwise

    def __init__(self, text: str, allowed: Sequence[str]) -> None:
        """ValueError for a variable that is not one of `allowed`, and for "${" without an end."""
        pieces = _VARIABLE.split(text)
        self.parts = []
        for at, piece in enumerate(pieces):
            if at % 2 == 0:
                if "${" in piece:
                    raise ValueError(f'{text!r}: "${{" without "}}"')
                self.parts.append(piece.encode())
            elif piece in allowed:
                self.parts.append(NAMES.index(piece))
            else:
                known = " ".join([f"${{{name}}}" for name in allowed])
                raise ValueError(f"{text!r}: there is no variable ${{{piece}}} here; there are {known}")
        self.literal = self.parts[0] if len(self.parts) == 1 else None

    @cython.ccall
    def render(self, variables: Variables) -> bytes:
        if self.literal is not None:
            return self.literal  # type: ignore[return-value]
        return b"".join(
            [part if isinstance(part, bytes) else variables.value(part) for part in self.parts]  # type: ignore[arg-type]
        )
