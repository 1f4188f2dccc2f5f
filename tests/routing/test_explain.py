"""What people are told about a request."""

from __future__ import annotations

from lb.plan import ValuePlan
from lb.routing.explain import Miss, Verdict, explain
from lb.routing.table import build_table
from tests.routing.making import LOCAL, one, request, route

TABLE = build_table(
    [
        route("rest"),
        route(
            "api", host=("api.example.com", "*.api.example.com"), path_prefix=("/v1",), method=("GET", "POST")
        ),
        route(
            "beta",
            path_regex=("^/v[0-9]$",),
            header=(*one("x-beta", "1", "2"), ValuePlan("x-old", present=False)),
            query=(ValuePlan("debug", regex="^[01]$"),),
            cookie=one("group", "beta"),
            client_ip=("10.0.0.0/8",),
            listener=("tls",),
        ),
    ]
)


def test_every_route_says_what_it_missed() -> None:
    head = request("/v2?debug=x", "www.example.com", "PUT", "x-old: yes\ncookie: group=alpha")
    assert explain(TABLE, head, LOCAL) == [
        Verdict(
            "api",
            1,
            False,
            (
                Miss("host", "api.example.com | *.api.example.com", "www.example.com"),
                Miss("path_prefix", "/v1", "/v2"),
                Miss("method", "GET | POST", "PUT"),
            ),
        ),
        Verdict(
            "beta",
            2,
            False,
            (
                Miss("listener", "tls", "web"),
                Miss("client_ip", "10.0.0.0/8", "127.0.0.1"),
                Miss("header x-beta", "1 | 2", "(absent)"),
                Miss("header x-old", "absent", "yes"),
                Miss("query debug", "matches ^[01]$", "x"),
                Miss("cookie group", "beta", "alpha"),
            ),
        ),
        Verdict("rest", 0, True, ()),
    ]


def test_nobody_wins() -> None:
    verdicts = explain(build_table([route("a", path=("/a",))]), request("/b"), LOCAL)
    assert verdicts == [Verdict("a", 0, False, (Miss("path", "/a", "/b"),))]


def test_a_route_stands_where_the_alternative_that_concerns_the_request_stands() -> None:
    both = route("both", host=("one.example.com", "*.example.com"))
    table = build_table([both, route("get", host=("*.example.com",), method=("GET",))])
    assert [v.route for v in explain(table, request("/", "one.example.com"), LOCAL)] == ["both", "get"]
    assert [v.route for v in explain(table, request("/", "two.example.com"), LOCAL)] == ["get", "both"]
