"""haproxy.cfg as a draft: its sections, listeners, and rules in order.

Lives here: the file as a whole and frontends. Must not live here: conditions (lb.importing.haproxyrules),
servers (lb.importing.haproxyservices), single actions (lb.importing.haproxyactions), lines that nothing came
of (lb.importing.haproxynamed).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lb.importing.haproxyacls import Acls
from lb.importing.haproxyactions import CONDITIONS, action_of, closes, guards, is_rate
from lb.importing.haproxyedits import edits
from lb.importing.haproxylines import SECTIONS, Line, Section, read, words_of
from lb.importing.haproxynamed import ADVICE, FRONT, name_unused
from lb.importing.haproxyrules import Choice, alternatives_of, conditions, put_before, reachable
from lb.importing.haproxyservices import Servers, time
from lb.importing.result import Draft, UnreadableError, read_text
from lb.importing.values import UnmappableError

FRONTS, POOLS = ("frontend", "listen"), ("backend", "listen")
FRONT_ONLY = (
    "use_backend",
    "default_backend",
    "monitor-uri",
)  # a section asked for its servers has no say in it
REFUSED = {"respond": {"status": 403}}
UNREACHED = {"respond": {"status": 503}}
RETRIED: dict[str, list[int | str]] = {
    "conn-failure": ["connect"],
    "empty-response": ["reset"],
    "response-timeout": ["timeout"],
    "all-retryable-errors": ["connect", "reset", "timeout", 500, 502, 503, 504],
}


class Proxy(NamedTuple):
    """A frontend, backend or listen section with the lines of its defaults before its own."""

    section: Section
    lines: list[Line]

    def last(self, *words: str) -> Line | None:
        found = [line for line in self.lines if line.words[: len(words)] == words]
        if not found:
            return None
        found[-1].used = True
        return found[-1]

    def time(self, name: str) -> str | int | None:
        line = self.last("timeout", name)
        return time(line.words[2]) if line else None


def is_haproxy(path: Path) -> bool:
    """Whether its first word is a section of HAProxy. Raises UnreadableError where it cannot be read."""
    for text in read_text(path).splitlines():
        try:
            words = words_of(text, "")
        except UnreadableError:
            return False
        if words:
            return words[0] in SECTIONS
    return False


def import_haproxy(path: Path) -> Draft:
    """Reads `path`. Raises UnreadableError."""
    draft = Draft(str(path))
    try:
        _File(draft, read(path)).map()
    except (ValueError, IndexError) as error:
        if isinstance(error, UnreadableError):
            raise
        raise UnreadableError(f"{path}: {error}; does haproxy -c accept it?") from None
    return draft


class _File:
    def __init__(self, draft: Draft, sections: Sequence[Section]) -> None:
        self._draft = draft
        self._global = [line for one in sections if one.kind == "global" for line in one.lines]
        self._proxies: list[Proxy] = []
        defaults: list[Line] = []
        named: dict[str, list[Line]] = {}
        for one in sections:
            if one.kind == "defaults":
                defaults = named[one.name] = one.lines
            elif one.kind in (*FRONTS, *POOLS):
                self._proxies.append(Proxy(one, [*_from(one, named, defaults), *one.lines]))
            elif one.kind != "global":
                draft.gap(one.head.place, str(one.head), "lb has no such section", ADVICE.get(one.kind, ""))
        self._pools = {one.section.name: one for one in self._proxies if one.section.kind in POOLS}
        self._usable: dict[str, bool] = {}
        kinds = ("defaults", "global", *FRONTS, *POOLS)
        self._lines = [line for one in sections if one.kind in kinds for line in one.lines]

    def map(self) -> None:
        _process(self._draft, self._global)
        for name, proxy in self._pools.items():
            if _is_http(proxy):
                self._usable[name] = Servers(self._draft, name, proxy.lines).add()
        fronts = [one for one in self._proxies if one.section.kind in FRONTS]
        for proxy in fronts:
            head = proxy.section.head
            said = len(self._draft.gaps)
            if not _is_http(proxy):
                self._draft.gap(head.place, str(head), "mode tcp: lb speaks HTTP", "keep HAProxy for it")
            elif not any(
                line.words[0] in ("use_backend", "default_backend", "server", "http-request", "redirect")
                for line in proxy.section.lines
            ):
                self._draft.gap(head.place, str(head), "it sends requests nowhere", ADVICE["stats"])
            else:
                self._front(proxy)
                continue
            if len(self._draft.gaps) > said:  # of the section as a whole
                for line in proxy.section.lines:
                    line.used = True
        if len(self._draft.listeners) == 1:
            for route in self._draft.routes:
                route["match"].pop("listener", None)
        self._draft.routes = [_without_empty_match(route) for route in self._draft.routes]
        for line in self._lines:
            if not line.used:
                name_unused(self._draft, line)

    def _front(self, proxy: Proxy) -> None:
        tls, plain = self._listeners(proxy)
        acls = Acls(
            [line for line in proxy.lines if line.words[0] == "acl"],
            tls,
            plain,
            self._draft,
        )
        listeners = {"listener": [*plain, *tls]}
        chosen = reachable(self._rules(proxy, acls, self._default(proxy)), listeners)
        for rank, choice in zip(reversed(range(len(chosen))), chosen, strict=True):
            title = f"{proxy.section.name}:{choice.title}"
            priority = {"priority": rank} if rank else {}
            self._draft.add_route(title, {"match": choice.match, **priority, **choice.action})

    def _rules(self, proxy: Proxy, acls: Acls, rest: list[Choice]) -> list[Choice]:
        """HAProxy looks at tcp-request, then http-request, then redirect, then use_backend."""
        lines = [line for line in proxy.lines if line.words[0] in ("tcp-request", "block") and closes(line)]
        lines += [line for line in proxy.lines if line.words[0] == "http-request" and guards(line)]
        lines += [line for line in proxy.lines if line.words[0] in ("redirect", "monitor-uri")]
        lines += [line for line in proxy.lines if line.words[0] == "use_backend"]
        for line in reversed(lines):
            rest = self._rule(line, proxy, acls, rest)
        return rest

    def _rule(self, line: Line, proxy: Proxy, acls: Acls, rest: list[Choice]) -> list[Choice]:
        line.used = True
        acls.at, acls.exact = line, closes(line)
        at = next((at for at, word in enumerate(line.words) if at and word in CONDITIONS), len(line.words))
        condition = self._without_rates(line, line.words[at:], acls)
        try:
            found = conditions(condition, acls)
            if line.words[0] == "use_backend":
                if line.words[1].startswith("%["):
                    raise UnmappableError("a service has a fixed name in a route")
                return put_before(found, self._pool(line.words[1], proxy, line), rest)
            if line.words[0] == "monitor-uri":
                return [Choice({"path": [line.words[1]]}, {"respond": {"status": 200}}, "monitor"), *rest]
            action = action_of(self._draft, line, line.words[:at])
            return put_before(found, [Choice({}, action, line.words[1])], rest)
        except UnmappableError as error:
            if closes(line) and not is_rate(acls.behind(condition)):
                why = f"{error}; so what comes after it refuses with 403"
                self._draft.gap(line.place, str(line), why, "write routes with match")
                return [Choice({}, REFUSED, "closed")]
            self._draft.gap(line.place, str(line), str(error), "write routes with match")
            return rest

    def _without_rates(self, line: Line, words: tuple[str, ...], acls: Acls) -> Sequence[str]:
        """The condition of a rule that refuses without the parts of it that ask for counters, where others
        are left."""
        if not closes(line) or words[:1] != ("if",):
            return words
        parts = alternatives_of(words[1:])
        kept = [part for part in parts if not is_rate(acls.behind(part))]
        if not kept or len(kept) == len(parts):
            return words
        self._draft.gap(line.place, str(line), "lb keeps no counters of clients; the rest of it maps")
        joined = [word for part in kept for word in ("||", *part)]
        return ["if", *joined[1:]]

    def _default(self, proxy: Proxy) -> list[Choice]:
        line = proxy.last("default_backend")
        if line:
            return self._pool(line.words[1], proxy, line)
        if proxy.section.kind == "listen":
            return self._pool(proxy.section.name, proxy, proxy.section.head)
        return [Choice({}, UNREACHED, "none")]

    def _pool(self, name: str, front: Proxy, line: Line) -> list[Choice]:
        """What becomes of a request that is sent there: its own rules, then its servers."""
        proxy = self._pools.get(name)
        if proxy is None or not self._usable.get(name):
            self._draft.gap(line.place, str(line), f"{name} has no servers that map; here 503")
            return [Choice({}, UNREACHED, name)]
        both_lines = front.lines if proxy is front else [*front.lines, *proxy.section.lines]
        action = {"service": name, **edits(self._draft, both_lines), **_times(self._draft, proxy)}
        sent = [Choice({}, action, name)]
        if proxy is front:
            return sent
        own = Acls(
            [one for one in proxy.section.lines if one.words[0] == "acl"],
            [],
            [],
            self._draft,
        )
        inner = [one for one in proxy.section.lines if one.words[0] not in FRONT_ONLY]
        return self._rules(Proxy(proxy.section, inner), own, sent)

    def _listeners(self, proxy: Proxy) -> tuple[list[str], list[str]]:
        """Makes them; the names of those that HAProxy has with TLS, and of the others."""
        name, plain, tls = proxy.section.name, list[str](), list[str]()
        head = proxy.section.head
        if len(head.words) > 2 and head.words[2] != "from":  # as before bind was written on a line of its own
            plain += [_bind(address) for address in head.words[2].split(",")]
        for line in proxy.lines:
            if line.words[0] != "bind":
                continue
            line.used = True
            for address in line.words[1].split(","):
                (tls if "ssl" in line.words else plain).append(_bind(address))
            if "accept-proxy" in line.words:
                why = "lb does not read the PROXY protocol yet"
                self._draft.gap(line.place, str(line), why, "send X-Forwarded-For to lb")
            if "ssl" in line.words:
                inside = [f"127.0.0.1:{_inside(bind)}" for bind in tls]
                why = f"lb does not end TLS yet; here plain on {', '.join(inside)}"
                self._draft.gap(line.place, str(line), why, FRONT)
            elif not {*line.words[2:]} <= {"accept-proxy", "v4v6", "v6only"}:
                self._draft.gap(line.place, str(line), "only the address of a bind is in lb")
            elif line.words[2:] and "accept-proxy" not in line.words:
                self._draft.needless(line.place, str(line))
        limits = _limits(proxy)
        found: tuple[list[str], list[str]] = ([], [])
        if plain:
            self._draft.listeners.append({"name": name, "bind": plain, **limits})
            found[1].append(name)
        if tls:
            binds = list(dict.fromkeys(f"127.0.0.1:{_inside(bind)}" for bind in tls))
            trusted = {"trusted_proxies": ["127.0.0.0/8"]}
            self._draft.listeners.append({"name": f"{name}-tls", "bind": binds, **trusted, **limits})
            found[0].append(f"{name}-tls")
        return found


def _from(section: Section, named: Mapping[str, list[Line]], last: list[Line]) -> list[Line]:
    """The defaults that a section names, else the last ones before it."""
    words = section.head.words
    return named.get(words[3], last) if words[2:3] == ("from",) and len(words) > 3 else last


def _is_http(proxy: Proxy) -> bool:
    line = proxy.last("mode")
    return line is not None and line.words[1] == "http"


def _without_empty_match(route: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in route.items() if key != "match" or value}


def _bind(address: str) -> str:
    if address.startswith(("/", "unix@")):
        return f"unix:{address.removeprefix('unix@')}"
    host, _, port = address.removeprefix("ipv4@").removeprefix("ipv6@").rpartition(":")
    if not port.isdigit():
        raise UnmappableError(f"bind {address}: a listener of lb has one port per address")
    if ":" in host and not host.startswith("["):
        host = f"[{host}]"
    return f"{'' if host == '*' else host}:{port}"


def _inside(bind: str) -> int:
    port = bind.rpartition(":")[2]
    return int(port) + 8000 if port.isdigit() and int(port) < 57_000 else 8443


def _limits(proxy: Proxy) -> dict[str, Any]:
    found: dict[str, Any] = {}
    line = proxy.last("maxconn")
    if line:
        found["max_connections"] = int(line.words[1])
    for name, key in (
        ("http-request", "header_timeout"),
        ("http-keep-alive", "idle_timeout"),
        ("client", "body_timeout"),
    ):
        value = proxy.time(name)
        if value:
            found[key] = value
    return {"limits": found} if found else {}


def _times(draft: Draft, proxy: Proxy) -> dict[str, Any]:
    """Time-outs and retries of a route to these servers."""
    waits = {
        key: value
        for name, key in (("connect", "connect"), ("server", "response"), ("server", "idle"))
        for value in [proxy.time(name)]
        if value is not None
    }
    retry: dict[str, Any] = {}
    if line := proxy.last("retries"):
        retry["attempts"] = min(int(line.words[1]), 10)
        if int(line.words[1]) > 10:
            draft.gap(line.place, str(line), "lb tries 10 times more at most")
    if line := proxy.last("retry-on"):
        on: list[int | str] = []
        for word in line.words[1:]:
            if word == "none":
                retry["attempts"] = 0
            elif word.isdigit():
                on.append(int(word))
            elif word in RETRIED:
                on += RETRIED[word]
            else:
                draft.gap(line.place, f"retry-on {word}", "lb has no such reason to try again")
        if on:
            retry["on"] = on
    return {**({"timeout": waits} if waits else {}), **({"retry": retry} if retry else {})}


def _process(draft: Draft, lines: Sequence[Line]) -> None:
    """What lb has once for the whole file."""
    for line in lines:
        line.used = line.words[0] in ("nbthread", "nbproc", "hard-stop-after", "maxconn")
        if line.words[0] in ("nbthread", "nbproc"):
            draft.top["workers"] = int(line.words[1])
        elif line.words[0] == "hard-stop-after":
            draft.top["shutdown_grace"] = time(line.words[1])
        elif line.words[0] == "maxconn":
            draft.note(line.place, str(line), "lb bounds connections per listener and worker: limits")
        elif line.words[0] == "log" and "access_log" not in draft.top:
            line.used = True
            where = line.words[1]
            path = where if where in ("stdout", "stderr") else f"syslog:{where}"
            if not where.startswith("/") and path != where:
                path = f"syslog:udp://{where if ':' in where else f'{where}:514'}"
            draft.top["access_log"] = {"path": path}
