"""nginx itself and lb on the imported file: the same requests have the same answers, and reach the same
servers in the same words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from lb.importing.nginx import import_nginx
from tests.importing.real import Alike, Ask, compared

TENANT = "one.tenants.test"


@pytest.fixture(scope="module")
def shop() -> Iterator[Alike]:
    alike = Alike("nginx", "shop.nginx.conf", import_nginx)
    yield alike
    alike.close()


@pytest.fixture(scope="module")
def groups() -> Iterator[Alike]:
    alike = Alike("nginx", "upstreams.nginx.conf", import_nginx)
    yield alike
    alike.close()


@pytest.fixture(scope="module")
def site() -> Iterator[Alike]:
    alike = Alike("nginx", "site.conf", import_nginx)
    yield alike
    alike.close()


@pytest.fixture(scope="module")
def guards() -> Iterator[Alike]:
    alike = Alike("nginx", "guards.nginx.conf", import_nginx)
    yield alike
    alike.close()


SHOP = [
    # names
    Ask("/a", "nowhere.test"),
    Ask("/a?b=c", "www.shop.test"),
    Ask("/a", "alias.test"),
    Ask("/a", "SHOP.test"),
    Ask("/a", "shop.test:8080"),
    Ask("/a", "tenants.test"),
    Ask("/a", "x.tenants.test"),
    Ask("/a", "x.y.tenants.test"),
    Ask("/a", "x.eu.tenants.test"),
    Ask("/a", "eu.tenants.test"),
    Ask("/a", TENANT),
    # locations
    Ask("/"),
    Ask("/?x"),
    Ask("/cart/7?a=1&b=%20"),
    Ask("/healthz"),
    Ask("/healthz/x"),
    Ask("/teapot"),
    Ask("/gone"),
    Ask("/nothing"),
    Ask("/moved"),
    Ask("/asked"),
    Ask("/asked?a=1"),
    Ask("/old-shop"),
    Ask("/sale"),
    Ask("/api/users"),
    Ask("/api/users?a=1"),
    Ask("/api/"),
    Ask("/api"),
    Ask("/api/a%20b"),
    Ask("/v2"),
    Ask("/v2/x"),
    Ask("/v2x", differs="whole segments only"),
    Ask("/kept/a/b"),
    Ask("/kept/"),
    Ask("/deep/x"),
    Ask("/deep/er/x"),
    Ask("/index.php"),
    Ask("/a/b.PNG"),
    Ask("/v2/a.css"),
    Ask("/raw/a.css"),
    Ask("/raw/a.php"),
    Ask("/users/7/x"),
    Ask("/users/me/x"),
    Ask("/legacy/a/b?c=d"),
    Ask("/item/7"),
    Ask("/item/7?c=d"),
    Ask("/item/x"),
    Ask(
        "/heads/x",
        headers={"X-Dropped": "1", "Accept-Encoding": "gzip", "X-Kept": "1", "X-Real-IP": "6.6.6.6"},
    ),
    Ask("/heads/x?say=500", differs="whatever the status"),
    Ask("/plain-heads/x"),
    Ask("/plain-heads/x?say=500", differs="whatever the status"),
    Ask("/cart", method="POST", body=b"x" * 8192),
    Ask("/cart", method="POST", body=b"x" * 8193, differs="one limit"),
    Ask("/upload", method="POST", body=b"x" * 65536),
    Ask("/upload", method="POST", body=b"x" * 65537, differs="one limit"),
    Ask("/x?say=503"),
    Ask("/cart", method="DELETE"),
    Ask("/cart", method="HEAD"),
    Ask("/inside/x"),
    Ask("/outside/x"),
    Ask("/shut/x"),
    Ask("/exact/only"),
    Ask("/exact/other"),
    Ask("/files/x"),
    # the same place in other words
    Ask("/x/../shut/x"),
    Ask("//shut/x"),
    Ask("/%73hut/x"),
    Ask("/shut%2Fx"),
    Ask("/x/%2e%2e/shut/x"),
    Ask("/./healthz"),
]


@pytest.mark.parametrize("ask", SHOP, ids=str)
def test_names_and_locations(shop: Alike, ask: Ask) -> None:
    compared(shop, ask)


SITE = [
    Ask("/a", "blog.test"),
    Ask("/a", "other.test"),
    Ask("/a", "blog.test", headers={"X-Forwarded-For": "10.1.2.3"}),
    Ask("/members/a", "blog.test"),
    Ask("/members/a", "blog.test", headers={"X-Forwarded-For": "10.1.2.3"}),
    Ask("/members/a", "blog.test", headers={"X-Forwarded-For": "10.1.2.3, 8.8.8.8"}),
    Ask("/admin/a", "blog.test"),
    Ask("/admin/a", "blog.test", headers={"X-Forwarded-For": "10.1.2.3"}),
    Ask("/administrator", "blog.test", differs="beyond a whole segment is not refused"),
    Ask("/wp-admin/x", "blog.test"),
    Ask("/wp-login.php", "blog.test"),
    Ask("/a/.git/config", "blog.test"),
    Ask("/favicon.ico", "blog.test"),
    Ask("/search?q=x", "blog.test"),
    Ask("/search", "blog.test", method="POST", body=b"x"),
]


@pytest.mark.parametrize("ask", SITE, ids=str)
def test_a_file_of_conf_d(site: Alike, ask: Ask) -> None:
    compared(site, ask)


GUARDS = [
    Ask("/a"),
    Ask("/asked/a", differs="lb cannot check it, so the route refuses with 403"),
    Ask("/office/a"),
    Ask("/elsewhere/a"),
    Ask("/read/a"),
    Ask("/read/a", method="POST", body=b"x"),
    Ask("/gone/a"),
    Ask("/below/a"),
    Ask("/both/a"),
    Ask("/a", "office.test"),
    Ask("/a", "elsewhere.test"),
]


@pytest.mark.parametrize("ask", GUARDS, ids=str)
def test_guards_of_named_locations(guards: Alike, ask: Ask) -> None:
    compared(guards, ask)


GROUPS = [
    Ask("/weighted"),
    Ask("/spare"),
    Ask("/off"),
    Ask("/failing"),
    Ask("/dead"),
    Ask("/fewest"),
    Ask("/byuri/1"),
    Ask("/byuser", headers={"X-User": "ann"}),
    Ask("/bycookie", headers={"Cookie": "cart=7"}),
    Ask("/byclient"),
    Ask("/two"),
    Ask("/kept"),
    Ask("/slow?wait=0"),
    Ask("/slow?wait=0.8"),
    Ask("/again?say=503"),
    Ask("/once?say=503"),
    Ask("/direct/a"),
]


@pytest.mark.parametrize("ask", GROUPS, ids=str)
def test_groups_of_servers(groups: Alike, ask: Ask) -> None:
    compared(groups, ask)


def shares(alike: Alike, side: str, asks: list[Ask]) -> Counter[str]:
    return Counter(alike.seen(side, ask)["server"] for ask in asks)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/weighted", {"a1": 30, "a2": 10}),
        ("/fewest", {"e1": 20, "e2": 20}),
        ("/off", {"c2": 40}),
        ("/spare", {"b1": 40}),
        ("/failing", {"d1": 40}),
    ],
)
def test_servers_have_the_same_shares(groups: Alike, path: str, expected: dict[str, int]) -> None:
    for side in ("real", "lb"):
        assert shares(groups, side, [Ask(path)] * 40) == expected, side


@pytest.mark.parametrize(
    "asks",
    [
        [Ask(f"/byuri/{number}") for number in range(30)],
        [Ask("/byuser", headers={"X-User": f"user{number}"}) for number in range(30)],
        [Ask("/bycookie", headers={"Cookie": f"cart={number}"}) for number in range(30)],
    ],
    ids=lambda asks: asks[0].target,
)
def test_a_key_has_one_server_and_keys_have_several(groups: Alike, asks: list[Ask]) -> None:
    for side in ("real", "lb"):
        first = [groups.seen(side, ask)["server"] for ask in asks]
        assert first == [groups.seen(side, ask)["server"] for ask in asks], side
        assert len(set(first)) > 1, side


def test_a_client_has_one_server(groups: Alike) -> None:
    for side in ("real", "lb"):
        assert len(shares(groups, side, [Ask("/byclient")] * 10)) == 1, side


def test_what_fails_is_tried_elsewhere_as_often(groups: Alike) -> None:
    for side in ("real", "lb"):
        for path, times in (("/again", 2), ("/once", 1)):
            before = sum(len(one.exchanges) for one in groups.servers.values())
            assert groups.seen(side, Ask(f"{path}?say=503"))["status"] == 503
            assert sum(len(one.exchanges) for one in groups.servers.values()) - before == times, (side, path)
