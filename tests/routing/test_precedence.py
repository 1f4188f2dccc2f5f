"""Who wins where several routes match: the rules of docs/routing.md, as tables."""

from __future__ import annotations

import pytest

from lb.plan import RoutePlan, ValuePlan
from lb.routing.table import build_table
from tests.routing.making import LOCAL, one, request, route

BETA = request("/v1/u", "a.b.io", lines="x: 1")
X = ValuePlan("x", exact=("1",))

# The winner's advantage; both match GET http://a.b.io/v1/u with x: 1.
# fmt: off
PAIRS: list[tuple[str, RoutePlan, RoutePlan]] = [
    # because                winner                                   loser
    ("priority before all",  route(priority=1),                     route(host=("a.b.io",), path=("/v1/u",))),
    ("negative priority",    route(),                               route(priority=-1, host=("a.b.io",))),
    ("exact, wildcard host", route(host=("a.b.io",)),                 route(host=("*.b.io",))),
    ("longer wildcard",      route(host=("*.b.io",)),                 route(host=("*.io",))),
    ("wildcard, no host",    route(host=("*.io",)),                   route()),
    ("host before path",     route(host=("*.io",)),                   route(path=("/v1/u",))),
    ("exact path, prefix",   route(path=("/v1/u",)),                  route(path_prefix=("/v1/u",))),
    ("longer prefix",        route(path_prefix=("/v1/u",)),           route(path_prefix=("/v1",))),
    ("prefix, regex",        route(path_prefix=("/",)),               route(path_regex=("^/v1/u$",))),
    ("regex, no path",       route(path_regex=(".",)),                route()),
    ("path before others",   route(path_regex=(".",)),                route(method=("GET",), header=(X,))),
    ("more others",          route(method=("GET",), listener=("web",)), route(header=(X,))),
    ("two headers are two",  route(header=(X, ValuePlan("host", present=True))), route(method=("GET",))),
    ("order in the file",    route(method=("GET",)),                  route(listener=("web",))),
    ("no final slash",       route(path_prefix=("/v1",)),             route(path_prefix=("/v1/",))),
]
SAME = {"order in the file", "no final slash"}  # equally specific
# fmt: on


@pytest.mark.parametrize(("because", "winner", "loser"), PAIRS, ids=[p[0] for p in PAIRS])
def test_winner(because: str, winner: RoutePlan, loser: RoutePlan) -> None:
    assert build_table([winner, loser]).match(BETA, LOCAL) == 0, because
    assert build_table([loser]).match(BETA, LOCAL) == 0, "the loser must match, or the row says nothing"
    if because not in SAME:
        assert build_table([loser, winner]).match(BETA, LOCAL) == 1, because


SHOP = build_table(
    [
        route("any"),
        route("host", host=("shop.example.com",)),
        route("sub", host=("*.example.com",)),
        route("api", host=("shop.example.com", "*.shop.example.com"), path_prefix=("/v1/", "/v2")),
        route("exact", host=("shop.example.com",), path=("/v1/health", "/health")),
        route("post", host=("shop.example.com",), path_prefix=("/v1",), method=("POST",)),
        route("numbers", host=("shop.example.com",), path_regex=("^/[0-9]+$",)),
        route("urgent", path_prefix=("/v1/urgent",), priority=5),
    ]
)

# fmt: off
REQUESTS = [
    # method  host                     target           route
    ("GET",   "shop.example.com",      "/",             "host"),
    ("GET",   "SHOP.example.com:8080", "/",             "host"),
    ("GET",   "www.example.com",       "/",             "sub"),
    ("GET",   "a.b.example.com",       "/",             "sub"),
    ("GET",   "example.com",           "/",             "any"),
    ("GET",   "badexample.com",        "/",             "any"),
    ("GET",   "shop.example.com",      "/v1",           "api"),
    ("GET",   "shop.example.com",      "/v1/",          "api"),
    ("GET",   "shop.example.com",      "/v1/x",         "api"),
    ("GET",   "shop.example.com",      "/v1?x",         "api"),
    ("GET",   "shop.example.com",      "/v10",          "host"),
    ("GET",   "shop.example.com",      "/V1",           "host"),
    ("GET",   "shop.example.com",      "//v1",          "host"),
    ("GET",   "shop.example.com",      "/%761",         "host"),
    ("GET",   "shop.example.com",      "/v2/x/y/z",     "api"),
    ("GET",   "x.shop.example.com",    "/v2/x",         "api"),
    ("GET",   "x.shop.example.com",    "/v3/x",         "sub"),
    ("POST",  "shop.example.com",      "/v1/x",         "post"),
    ("post",  "shop.example.com",      "/v1/x",         "api"),
    ("POST",  "shop.example.com",      "/v2/x",         "api"),
    ("POST",  "shop.example.com",      "/v1/health",    "exact"),
    ("GET",   "shop.example.com",      "/v1/health/",   "api"),
    ("GET",   "shop.example.com",      "/health?x=1",   "exact"),
    ("GET",   "shop.example.com",      "/123",          "numbers"),
    ("GET",   "shop.example.com",      "/123/",         "host"),
    ("POST",  "shop.example.com",      "/v1/urgent",    "urgent"),
    ("GET",   "shop.example.com",      "/v1/urgently",  "api"),
    ("OPTIONS", "shop.example.com",    "*",             "host"),
]
# fmt: on


@pytest.mark.parametrize(("method", "host", "target", "name"), REQUESTS)
def test_request(method: str, host: str, target: str, name: str) -> None:
    at = SHOP.match(request(target, host, method), LOCAL)
    assert SHOP.routes[at].name == name


def test_nothing_matches() -> None:
    table = build_table([route(host=("example.com",), path_prefix=("/v1",))])
    assert table.match(request("/v2"), LOCAL) == -1
    assert table.match(request("/v1", "example.org"), LOCAL) == -1
    assert build_table([]).match(request(), LOCAL) == -1


def test_a_loser_by_other_predicates_leaves_the_place_to_the_next() -> None:
    """The index finds the longest prefix first; a route there that does not hold must not end the search."""
    table = build_table(
        [
            route("wide", path_prefix=("/v1",)),
            route("deep", path_prefix=("/v1/users",), method=("DELETE",)),
            route("exact", path=("/v1/users",), header=one("x-beta", "1")),
        ]
    )
    assert table.match(request("/v1/users"), LOCAL) == 0
    assert table.match(request("/v1/users", method="DELETE"), LOCAL) == 1
    assert table.match(request("/v1/users", method="DELETE", lines="X-Beta: 1"), LOCAL) == 2


def test_each_alternative_has_its_own_specificity() -> None:
    both = route("both", host=("one.example.com", "*.example.com"))
    table = build_table([route("wild", host=("*.example.com",)), both])
    assert table.match(request("/", "one.example.com"), LOCAL) == 1
    assert table.match(request("/", "two.example.com"), LOCAL) == 0


def test_a_route_found_by_its_header_is_not_hidden_by_one_that_came_after() -> None:
    table = build_table(
        [
            route("first", header=one("x-tenant", "a"), priority=1),
            route("last", header=one("x-tenant", "b"), priority=-1),
            route("host", host=("example.com",)),
        ]
    )
    assert table.match(request(lines="x-tenant: a"), LOCAL) == 0
    assert table.match(request(lines="x-tenant: b"), LOCAL) == 2
