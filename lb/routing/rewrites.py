"""Rewrites of what the server is asked for: the target and the host.

Lives here: prefix and regular-expression rewrites of a path, and which host is sent. Must not live
here: header edits (lb.routing.edits) and the choice of a server.
"""

from __future__ import annotations

import re

import cython

from lb.plan import RewritePlan
from lb.routing.octets import quoted, single_slash, without_dots
from lb.routing.predicates import compiled_regex, prefix_base, under

# What `host` of a rewrite says
_PRESERVE: cython.int = 0
_SERVER: cython.int = 1
_LITERAL: cython.int = 2

_HOST: re.Pattern[str] = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z._~-]+)(:[0-9]{1,5})?")


@cython.cclass
class Rewrite:
    """`changes_target` says whether `target` does anything."""

    changes_target: cython.bint
    _strip: bytes
    _add: bytes
    _regex: re.Pattern[str] | None
    _to: str
    _host: cython.int
    _literal: bytes

    def __init__(self, plan: RewritePlan) -> None:
        """ValueError for a prefix, a regular expression, a replacement or a host that is not valid."""
        self._strip = b"" if plan.strip_prefix is None else prefix_base(plan.strip_prefix)
        self._add = b"" if plan.add_prefix is None else quoted(prefix_base(plan.add_prefix), False)
        self._regex = None if plan.regex is None else compiled_regex(plan.regex)
        # Beyond ASCII the replacement is escaped here, so that the outcome is Latin-1 like its input.
        self._to = re.sub(r"[^\x00-\x7f]+", lambda m: quoted(m[0].encode(), False).decode(), plan.to or "")
        if self._regex is not None:
            try:
                self._regex.sub(self._to, "")
            except (re.error, IndexError) as problem:
                raise ValueError(f"the replacement {plan.to!r} is not valid: {problem}") from None
        self.changes_target = bool(self._strip or self._add or self._regex is not None)
        self._host = {"preserve": _PRESERVE, "server": _SERVER}.get(plan.host, _LITERAL)
        self._literal = plan.host.encode() if self._host == _LITERAL else b""
        if self._host == _LITERAL and _HOST.fullmatch(plan.host) is None:
            raise ValueError(
                f"{plan.host!r} is not a host: preserve, server, or a name with an optional port"
            )

    @cython.ccall
    def target(self, path: bytes, query: object) -> bytes:
        """The new target for a path and its query (without "?", or None). It begins with "/", has no
        dot segments that the path had not, and no byte that is illegal in a target: those are
        percent-encoded. "*" (OPTIONS) stays "*"."""
        at: cython.Py_ssize_t
        text: str
        asked: bytes = b"" if query is None else b"?" + query  # type: ignore[operator]
        if path == b"*":
            return path
        if self._strip and under(path, self._strip):
            # One slash in front, whatever followed the prefix: "//host" is no path to many readers.
            path = single_slash(path[len(self._strip) :])
        if self._regex is not None:
            text = self._regex.sub(self._to, path.decode("latin-1"))
            path = text.encode("latin-1")
            at = path.find(b"?")
            if at >= 0:
                # The replacement brings a query of its own: the client's follows it.
                asked = path[at:] + b"&" + asked[1:] if asked else path[at:]
                path = path[:at]
            path = single_slash(without_dots(single_slash(path)))
        if self._add:
            path = self._add + path
        return quoted(path + asked, False)

    @cython.ccall
    def authority(self, sent: bytes, server: bytes) -> bytes:
        """The Host for the server: `sent` is the client's, `server` the server's own."""
        if self._host == _PRESERVE:
            return sent
        return server if self._host == _SERVER else self._literal
