"""Sets of servers of HAProxy as services.

Lives here: balance, server, checks, cookies, limits. Must not live here: who is sent there
(lb.importing.haproxy).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from lb.importing.haproxylines import Line
from lb.importing.result import Draft
from lb.importing.values import UnmappableError, milliseconds

_TIME = re.compile(r"(\d+)(us|ms|s|m|h|d)?\Z")
_UNITS = {"us": 0.001, "ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_ALGORITHMS: dict[str, Any] = {
    "roundrobin": "round_robin",
    "static-rr": "round_robin",
    "leastconn": "least_connections",
    "first": "first",
    "random": "power_of_two",
    "source": {"name": "consistent_hash", "key": "client_ip"},
    "uri": {"name": "consistent_hash", "key": "path"},
}
TAKEN = ("server", "balance", "cookie")
OF_SECTIONS = (("option", "httpchk"), ("timeout", "check"))
OF_CHECKS = {"rise", "fall", "port", "inter", "downinter", "fastinter", "check-ssl"}
FLAGS = {"check", "backup", "disabled", "enabled", "check-ssl", "agent-check"}
# Parameters without a value, besides FLAGS and those that begin with force- and no-.
BARE = {
    *(
        "allow-0rtt",
        "check-send-proxy",
        "check-via-socks4",
        "non-stick",
        "stick",
        "tfo",
        "ssl-reuse",
        "sslv3",
    ),
    *("tls-tickets", "tlsv10", "tlsv11", "tlsv12", "tlsv13"),
}
MOOT_WORDS = {
    "resolvers",
    "cookie",
    "id",
    "init-addr",
}  # lb's cookies and ids are its own; names are resolved while it runs


def time(value: str) -> str | int:
    """A time of HAProxy, in milliseconds where it has no unit, as lb writes it. Raises UnmappableError."""
    found = _TIME.match(value)
    if not found:
        raise UnmappableError(f"{value} is no time")
    return milliseconds(round(int(found[1]) * _UNITS[found[2] or "ms"]))


class Servers:
    """The service of one section. `lines`: those of its defaults first, then its own."""

    def __init__(self, draft: Draft, name: str, lines: Sequence[Line]) -> None:
        self._draft, self.name = draft, name
        self._servers: list[dict[str, Any]] = []
        self._section: dict[str, Any] = {}
        self._check: dict[str, Any] = {}
        self._checked = 0
        self._default: list[str] = []
        self._waiting: list[Line] = []  # lines that mean something where a server comes after, or is checked
        for line in lines:
            self._take(line)

    def add(self) -> bool:
        """Puts the service into the draft; False where no server of it maps."""
        if not self._servers:
            return False
        if self._checked:
            for line in self._waiting:
                line.used = line.used or line.words[0] != "default-server"
            check = dict(self._check)
            if "http" not in check:  # http-check means nothing without option httpchk
                for key in ("method", "host", "headers", "expect"):
                    check.pop(key, None)
                check["tcp"] = True
            check.setdefault("interval", "2s")
            self._section["health_check"] = check
        plain = [one["address"] if len(one) == 1 else one for one in self._servers]
        self._draft.services[self.name] = {**self._section, "servers": plain}
        return True

    def _take(self, line: Line) -> None:
        words = line.words
        if words[0] in TAKEN or words[:2] == ("timeout", "queue"):
            line.used = True
        elif words[0] in ("default-server", "http-check") or words[:2] in OF_SECTIONS:
            self._waiting.append(line)
        try:
            if words[0] == "server":
                self._server(line)
            elif words[0] == "default-server":
                self._default += words[1:]
            elif words[0] == "balance":
                self._section["algorithm"] = _algorithm(words[1:])
                for word in words[3 if words[1] == "url_param" else 2 :]:
                    self._draft.gap(line.place, str(line), f"lb's algorithm has no {word}")
            elif words[0] == "cookie":
                self._section["sticky"] = self._sticky(line)
            elif words[:2] == ("option", "httpchk"):
                self._httpchk(line)
            elif words[0] == "http-check":
                self._http_check(line)
            elif words[:2] == ("timeout", "check"):
                self._check["timeout"] = time(words[2])
            elif words[:2] == ("timeout", "queue"):
                self._section.setdefault("connections", {})["queue_timeout"] = time(words[2])
        except (ValueError, IndexError) as error:
            self._draft.gap(line.place, str(line), str(error) or "it is not understood")

    def _server(self, line: Line) -> None:
        address = re.sub(r"\A(ipv[46]|tcp)@", "", line.words[2])
        if address.startswith(("/", "unix@")):
            address = f"unix:{address.removeprefix('unix@')}"
        elif not re.search(r":\d+\Z", address):
            raise UnmappableError("a server of lb has a port of its own")
        server: dict[str, Any] = {"address": address}
        words = [*self._default, *line.words[3:]]
        if not {"check", "agent-check"} & set(words):
            for word in sorted(OF_CHECKS & set(words)):
                self._draft.needless(line.place, f"{word} of a server that is not checked")
        for waiting in self._waiting:
            waiting.used = waiting.used or waiting.words[0] == "default-server"
        words = [word for word in words if f"no-{word}" not in words]
        if "ssl" in words:
            raise UnmappableError("lb does not speak TLS to servers yet; the server is left out")
        if any(word.startswith("send-proxy") for word in words):
            raise UnmappableError("lb does not send the PROXY protocol; the server is left out")
        at = 0
        while at < len(words):
            word = words[at]
            at += 1
            if word in FLAGS:
                self._flag(line, server, word)
            elif word.startswith("no-"):
                self._draft.needless(line.place, word)
            elif word in BARE or word.startswith("force-"):
                self._draft.gap(line.place, word, "lb has no such parameter of a server")
            else:
                self._parameter(line, server, word, words[at] if at < len(words) else "")
                at += 1
        self._servers.append(server)

    def _flag(self, line: Line, server: dict[str, Any], word: str) -> None:
        if word == "check":
            self._checked += 1
        elif word == "backup":
            server["backup"] = True
        elif word == "disabled":
            server["weight"] = 0
            self._draft.note(
                line.place, "disabled", "as weight 0; lb servers maintenance does it at run time"
            )
        elif word == "check-ssl":
            self._check["tls"] = {"verify": False}
        elif word == "enabled":
            self._draft.needless(line.place, word)
        elif word == "agent-check":
            self._draft.gap(line.place, word, "lb has one agent per service", "write health_check.agent")

    def _parameter(self, line: Line, server: dict[str, Any], word: str, value: str) -> None:
        if word == "weight":
            server["weight"] = int(value)
        elif word == "maxconn":
            self._agree(line, self._section.setdefault("connections", {}), "max_per_server", int(value))
        elif word == "slowstart":
            self._agree(line, self._section, "slow_start", time(value))
        elif word in ("rise", "fall", "port"):
            self._agree(line, self._check, word, int(value))
        elif word in ("inter", "downinter", "fastinter"):
            key = {"inter": "interval", "downinter": "interval_down", "fastinter": "interval_rising"}[word]
            self._agree(line, self._check, key, time(value))
        elif word == "resolvers" and re.search("[a-z]", server["address"].rpartition(":")[0]):
            server["resolve"] = "10s"
        elif word in MOOT_WORDS:
            self._draft.needless(line.place, f"{word} {value}")
        else:
            self._draft.gap(line.place, f"{word} {value}".strip(), "lb has no such parameter of a server")

    def _agree(self, line: Line, section: dict[str, Any], key: str, value: Any) -> None:
        """What HAProxy says per server and lb per service: the first one counts."""
        if section.setdefault(key, value) != value:
            why = f"lb has one {key} for all servers of a service: {section[key]}"
            self._draft.gap(line.place, str(line), why, "split the service")

    def _httpchk(self, line: Line) -> None:
        words = line.words[2:]
        method, path = (
            ("OPTIONS", "/") if not words else ("OPTIONS", words[0]) if len(words) == 1 else words[:2]
        )
        self._check.update(method=method, http=path)
        rest = " ".join(words[2:])
        host = re.search(r"[Hh]ost:\s*([^\s\\]+)", rest)
        if host:
            self._check["host"] = host[1]
        if re.sub(r"HTTP/1\.[01]|[Hh]ost:\s*[^\s\\]+|\\[rn]|\s", "", rest):
            self._draft.gap(line.place, str(line), "its headers are not read", "write health_check.headers")

    def _http_check(self, line: Line) -> None:
        words = list(line.words[1:])
        if words[0] == "send":
            for at in range(1, len(words) - 1):
                if words[at] in ("meth", "uri"):
                    self._check[{"meth": "method", "uri": "http"}[words[at]]] = words[at + 1]
                elif words[at] == "hdr" and words[at + 1].lower() == "host":
                    self._check["host"] = words[at + 2]
                elif words[at] == "hdr":
                    self._check.setdefault("headers", {})[words[at + 1].lower()] = words[at + 2]
                elif words[at] in ("body", "body-lf", "uri-lf", "hdr-lf"):
                    self._draft.gap(line.place, str(line), f"lb's checks have no {words[at]}")
        elif words[0] == "expect" and words[1] == "status":
            statuses = [int(one) if one.isdigit() else one for one in words[2].split(",")]
            self._check["expect"] = {"status": statuses}
        elif words[0] == "expect" and words[1] in ("string", "rstring"):
            self._check["expect"] = {"body" if words[1] == "string" else "regex": " ".join(words[2:])}
        elif words[0] != "disable-on-404":
            raise UnmappableError("lb's checks are one request and its answer")
        else:
            raise UnmappableError("lb drains by lb servers drain, not by a status of the check")

    def _sticky(self, line: Line) -> Any:
        words = line.words
        if "insert" not in words:
            raise UnmappableError("lb sets a cookie of its own: cookie NAME insert")
        found: dict[str, Any] = {"cookie": words[1], "http_only": "httponly" in words}
        if "secure" in words:
            found["secure"] = True
        for word, key in (("maxlife", "ttl"), ("domain", "domain")):
            if word in words:
                value = words[words.index(word) + 1]
                found[key] = time(value) if key == "ttl" else value.lstrip(".")
        if "indirect" in words:
            self._draft.note(line.place, "indirect", "servers see lb's cookie too")
        for word in sorted({"postonly", "preserve", "dynamic", "attr"} & {*words[2:]}):
            self._draft.gap(line.place, f"cookie {words[1]} {word}", "lb's cookie has no such option")
        if "nocache" in words:
            self._draft.needless(line.place, "nocache")
        if "maxidle" in words:
            self._draft.gap(line.place, "maxidle", "lb's cookie has one life, ttl")
        return found


def _algorithm(words: Sequence[str]) -> Any:
    name, _, argument = words[0].partition("(")
    if name in _ALGORITHMS:
        return _ALGORITHMS[name]
    if name == "hdr":
        return {"name": "consistent_hash", "key": f"header:{argument.rstrip(')').lower()}"}
    if name == "url_param":
        return {"name": "consistent_hash", "key": f"query:{words[1]}"}
    raise UnmappableError("lb has no such algorithm; here round_robin")
