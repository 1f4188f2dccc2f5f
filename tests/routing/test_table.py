"""The index: bounded work for any request and any number of routes; building in slices; errors."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from lb.message import RequestHead
from lb.plan import HeaderEditsPlan, RewritePlan, RoutePlan, ValuePlan
from lb.routing.route import RouteError
from lb.routing.table import Table, build_steps, build_table
from tests.routing.making import APP, LOCAL, bare, one, request, route

# Kinds of route of which there may be thousands, and a request for number n of them.
MANY: dict[str, tuple[Callable[[int], RoutePlan], Callable[[int], RequestHead]]] = {
    "hosts": (lambda n: route(host=(f"h{n}.example.com",)), lambda n: request("/a/b", f"h{n}.example.com")),
    "wildcards": (
        lambda n: route(host=(f"*.h{n}.example.com",)),
        lambda n: request("/", f"w.h{n}.example.com"),
    ),
    "exact paths": (lambda n: route(path=(f"/v1/{n}/x",)), lambda n: request(f"/v1/{n}/x")),
    "prefixes under one host": (
        lambda n: route(host=("example.com",), path_prefix=(f"/svc-{n}/v1",)),
        lambda n: request(f"/svc-{n}/v1/users"),
    ),
    "tenants by header": (
        lambda n: route(header=one("x-tenant", f"t{n}")),
        lambda n: request(lines=f"x-tenant: t{n}"),
    ),
    "tenants by cookie": (
        lambda n: route(cookie=one("tenant", f"t{n}")),
        lambda n: request(lines=f"cookie: a=b; tenant=t{n}"),
    ),
}


def _fastest(tables: list[Table], heads: list[list[RequestHead]]) -> list[float]:
    """Seconds for one round of heads on each table, the best of many, taken in turn."""
    best = [1.0] * len(tables)
    for _ in range(150):
        for at, table in enumerate(tables):
            begin = time.perf_counter()
            for head in heads[at]:
                table.match(head, LOCAL)
            best[at] = min(best[at], time.perf_counter() - begin)
    return best


@pytest.mark.parametrize("kind", MANY)
def test_5000_routes_cost_what_10_cost(kind: str) -> None:
    """A scan would cost hundreds of times as much; 2 leaves room for the noise of a shared machine."""
    make, ask = MANY[kind]
    few, many = (build_table([make(n) for n in range(count)]) for count in (10, 5000))
    heads = [[ask(n) for n in range(10)], [ask(n) for n in range(0, 5000, 500)]]
    assert [many.match(head, LOCAL) for head in heads[1]] == list(range(0, 5000, 500))
    small, large = _fastest([few, many], heads)
    assert large < 2 * small


@pytest.mark.parametrize(
    "path", [b"/" * 8192, b"/a" * 4096, b"/" + b"a" * 8191], ids=["slashes", "short", "one"]
)
def test_long_paths_end_where_the_prefixes_end(path: bytes) -> None:
    deep = [route(path_prefix=("/a" * n + f"/x{n}",)) for n in range(50)]
    table = build_table([*deep, route(path_prefix=("/" * 40,)), route("any")])
    short, long = _fastest([table, table], [[bare(b"h", path[:128])], [bare(b"h", path)]])
    assert long < 4 * short


def test_a_host_of_dots_is_looked_at_no_further_than_the_longest_wildcard() -> None:
    table = build_table([route(host=("*.example.com",))])
    short, long = _fastest([table, table], [[bare(b"." * 64, b"/")], [bare(b"." * 8192, b"/")]])
    assert long < 4 * short


def test_building_yields_about_every_hundred_routes() -> None:
    plans = [route(f"r{n}", path_prefix=(f"/{n}",)) for n in range(1000)]
    assert 10 <= len(list(build_steps(plans))) <= 60


def test_building_yields_sooner_where_routes_are_costly() -> None:
    regexes = [route(path_regex=(f"^/{n}$",)) for n in range(100)]
    hosts = [route(host=tuple(f"h{m}.example.com" for m in range(100))) for n in range(100)]
    assert len(list(build_steps(regexes))) >= 20
    assert len(list(build_steps(hosts))) >= 150


def test_the_table_keeps_plans_in_the_order_of_the_file() -> None:
    plans = [route("a"), route("b", host=("b.example.com",))]
    table = build_table(plans)
    assert [r.plan for r in table.routes] == plans
    assert [r.index for r in table.routes] == [0, 1]


WRONG: dict[str, tuple[RoutePlan, str]] = {
    "path regex": (route("x", path_regex=("(",)), r"route 'x'.*regular expression '\('"),
    "header regex": (route("x", header=(ValuePlan("a", regex="["),)), r"route 'x'.*'\['"),
    "prefix": (route("x", path_prefix=("v1",)), 'must begin with "/"'),
    "paths": (route("x", path=("/a",), path_prefix=("/b",)), "only one of path"),
    "block": (route("x", client_ip=("10.0.0.0/99",)), "route 'x'.*10.0.0.0/99"),
    "to": (RoutePlan("x", services=APP, rewrite=RewritePlan(regex="a", to=r"\7")), "replacement"),
    "variable": (
        RoutePlan("x", services=APP, request_headers=HeaderEditsPlan(set=(("a", "${nope}"),))),
        r"no variable \$\{nope\}",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_route_that_cannot_be_compiled_is_named(what: str) -> None:
    plan, message = WRONG[what]
    with pytest.raises(RouteError, match=message):
        build_table([route("fine"), plan])
