"""For any routes and any request: the index finds what a scan in order of precedence finds, and explain
says the same. The scan below is written from docs/routing.md, not from the code."""

from __future__ import annotations

import re
from ipaddress import ip_address, ip_network
from typing import Any
from urllib.parse import parse_qsl

from hypothesis import example, given, settings
from hypothesis import strategies as st

from lb.message import Client, RequestHead
from lb.plan import MatchPlan, RoutePlan, ValuePlan
from lb.routing.explain import explain
from lb.routing.table import build_table
from tests.routing.making import APP, bare

HOSTS = ["", "a", "a.b", "b", "x.a.b", "a.b.c", ".b", "*.b", "*.a.b", "*.c"]
PATHS = ["/", "/a", "/a/", "/a/b", "/a/b/", "/ab", "//", "/a//b", "/b"]


def _values(names: str) -> st.SearchStrategy[tuple[ValuePlan, ...]]:
    return st.lists(
        st.one_of(
            st.builds(
                ValuePlan,
                st.sampled_from(names),
                exact=st.lists(st.sampled_from("12"), min_size=1).map(tuple),
            ),
            st.builds(ValuePlan, st.sampled_from(names), regex=st.sampled_from(["1", "^.$", "2$"])),
            st.builds(ValuePlan, st.sampled_from(names), present=st.booleans()),
        ),
        max_size=2,
    ).map(tuple)


def _few(choices: list[str]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(choices), max_size=2).map(tuple)


PATH_MATCH = st.one_of(
    st.just({}),
    _few(PATHS).map(lambda p: {"path": p}),
    _few(PATHS).map(lambda p: {"path_prefix": p}),
    _few(["^/a", "b", "^/$"]).map(lambda p: {"path_regex": p}),
)


OTHERS = st.fixed_dictionaries(
    {"host": _few(HOSTS[1:])},
    optional={
        "listener": _few(["web", "tls"]),
        "method": _few(["GET", "POST"]),
        "client_ip": _few(["10.0.0.0/8", "10.1.0.0/16", "::/0", "127.0.0.1/32"]),
        "header": _values("xy"),
        "query": _values("qr"),
        "cookie": _values("cd"),
    },
)
routes = st.builds(
    lambda path, others, priority: RoutePlan(
        "r", MatchPlan(**path, **others), priority=priority, services=APP
    ),
    PATH_MATCH,
    OTHERS,
    st.sampled_from([0, 0, 0, 1, -1]),
)


def _request(
    host: str, path: str, query: list[str] | None, method: bytes, headers: list[str], cookies: list[str]
) -> RequestHead:
    lines = "".join(f"{line}\r\n" for line in headers)
    if cookies:
        lines += f"Cookie: {'; '.join(cookies)}\r\n"
    text = None if query is None else "&".join(query).encode()
    return bare(host.encode(), path.encode(), text, method, lines.encode())


requests = st.builds(
    _request,
    st.sampled_from(HOSTS[:7]),
    st.sampled_from([*PATHS, "*", "/a/b/c/d", "/A"]),
    st.none() | st.lists(st.sampled_from(["q=1", "q=2", "r=%31", "r=", "q", ""]), max_size=3),
    st.sampled_from([b"GET", b"POST", b"PUT"]),
    st.lists(st.sampled_from(["x: 1", "X: 2", "y: 1", "Y:2", "z: 1"]), max_size=3),
    st.lists(st.sampled_from(["c=1", "c=2", "d=1", "d=2"]), max_size=3),
)
clients = st.builds(
    Client,
    st.sampled_from(["10.1.2.3", "10.2.2.2", "127.0.0.1", "::1", "::ffff:10.1.0.1", ""]),
    st.sampled_from(["web", "tls"]),
)


def _host(pattern: str, host: str) -> bool:
    return (
        re.fullmatch(".+" + re.escape(pattern[1:]) if pattern.startswith("*") else re.escape(pattern), host)
        is not None
    )


def _prefix(prefix: str, path: str) -> bool:
    whole = prefix.removesuffix("/")
    return path == whole or path.startswith(whole + "/")


def _value(plan: ValuePlan, found: str | None) -> bool:
    if plan.present is not None:
        return plan.present == (found is not None)
    if found is None:
        return False
    return found in plan.exact if plan.regex is None else re.search(plan.regex, found) is not None


def _others(match: MatchPlan, head: RequestHead, client: Client) -> bool:
    headers: dict[str, str] = {}
    cookies: dict[str, str] = {}
    for line in head.raw.decode().split("\r\n")[:-2]:
        name, _, value = line.partition(":")
        value = value.strip()
        headers[name.lower()] = f"{headers[name.lower()]}, {value}" if name.lower() in headers else value
    for pair in headers.get("cookie", "").split("; "):
        cookies.setdefault(*pair.partition("=")[::2])
    query: dict[str, str] = {}
    for name, value in parse_qsl((head.query or b"").decode(), keep_blank_values=True):
        query.setdefault(name, value)
    ip = ip_address(client.address) if client.address else None
    ip = getattr(ip, "ipv4_mapped", None) or ip
    return (
        (not match.listener or client.listener in match.listener)
        and (not match.method or head.method.decode() in match.method)
        and (not match.client_ip or (ip is not None and any(ip in ip_network(b) for b in match.client_ip)))
        and all(_value(v, headers.get(v.name)) for v in match.header)
        and all(_value(v, query.get(v.name)) for v in match.query)
        and all(_value(v, cookies.get(v.name)) for v in match.cookie)
    )


def _scan(plans: list[RoutePlan], head: RequestHead, client: Client) -> int:
    """The best of all alternatives that hold, by the rules one after another."""
    host, path = head.host.decode(), head.path.decode()
    held: list[tuple[Any, ...]] = []
    for index, plan in enumerate(plans):
        m = plan.match
        if not _others(m, head, client):
            continue
        hosts = [((1, -len(h)) if h.startswith("*") else (0, 0)) for h in m.host if _host(h, host)]
        paths = [(0, 0) for p in m.path if p == path]
        paths += [(1, -len(p.removesuffix("/"))) for p in m.path_prefix if _prefix(p, path)]
        paths += [(2, 0) for p in m.path_regex if re.search(p, path)]
        if not m.host:
            hosts = [(2, 0)]
        if not (m.path or m.path_prefix or m.path_regex):
            paths = [(3, 0)]
        count = sum(map(bool, (m.listener, m.method, m.client_ip))) + len(m.header + m.query + m.cookie)
        held += [(-plan.priority, h, p, -count, index) for h in hosts for p in paths]
    return min(held)[-1] if held else -1


@settings(max_examples=150, deadline=None)
@given(st.lists(routes, max_size=10), st.lists(requests, min_size=1, max_size=4), clients)
@example([], [bare(b"a", b"/")], Client("", "web"))
def test_match_is_a_scan_in_order_of_precedence(
    plans: list[RoutePlan], heads: list[RequestHead], client: Client
) -> None:
    table = build_table(plans)
    for head in heads:
        assert table.match(head, client) == _scan(plans, head, client)


@settings(max_examples=60, deadline=None)
@given(st.lists(routes, max_size=10), requests, clients)
def test_explain_agrees_with_match(plans: list[RoutePlan], head: RequestHead, client: Client) -> None:
    table = build_table(plans)
    verdicts = explain(table, head, client)
    assert sorted(v.position for v in verdicts) == list(range(len(plans)))
    matching = [v.position for v in verdicts if not v.misses]
    winner = table.match(head, client)
    assert (matching[0] if matching else -1) == winner
    assert [v.position for v in verdicts if v.won] == ([winner] if winner >= 0 else [])
