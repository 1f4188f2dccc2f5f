"""HAProxy itself and lb on the imported file: the same requests have the same answers, and reach the same
servers in the same words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from lb.importing.haproxy import import_haproxy
from tests.importing.real import Alike, Ask, compared, steady


@pytest.fixture(scope="module")
def front() -> Iterator[Alike]:
    alike = Alike("haproxy", "front.haproxy.cfg", import_haproxy)
    yield alike
    alike.close()


@pytest.fixture(scope="module")
def pools() -> Iterator[Alike]:
    alike = Alike("haproxy", "pools.haproxy.cfg", import_haproxy)
    yield alike
    alike.close()


API, TENANT = "api.test", "a.tenants.test"
FRONT = [
    Ask("/a?b=c"),
    Ask("/admin/x"),
    Ask("/gone"),
    Ask("/gone/x"),
    Ask("/api/x", headers={"User-Agent": "curl/8"}),
    Ask("/apix", headers={"User-Agent": "a Wget"}),
    Ask("/ping"),
    Ask("/ping?x"),
    Ask("/alive"),
    Ask("/static/x", method="DELETE"),
    Ask("/docs"),
    Ask("/a?b=c", "old.test"),
    Ask("/a?b=c", "OLDER.test"),
    Ask("/secure?x=y"),
    Ask("/v1/users", API),
    Ask("/v1", API, differs="whole segments"),
    Ask("/v2/users", API),
    Ask("/v/users", API),
    Ask("/x", "API.test"),
    Ask("/x", TENANT),
    Ask("/x", "a.b.tenants.test"),
    Ask("/x", "tenants.test"),
    Ask("/x", headers={"Cookie": "group=beta"}),
    Ask("/x", headers={"Cookie": "a=b; group=beta; c=d"}),
    Ask("/x", headers={"Cookie": "group=betamax"}),
    Ask("/old/a/b?c", headers={"X-Canary": "1"}),
    Ask("/closed", headers={"X-Canary": "1"}),
    Ask("/x?v=9"),
    Ask("/x?v=9", headers={"X-Many": "0", "X-Gone": "0", "X-Late": "0"}),
    Ask("/x?v=91"),
    Ask("/static/x"),
    Ask("/img/x"),
    Ask("/imgs", differs="whole segments"),
    Ask("/x/y.png"),
    Ask("/x/y.png", method="HEAD"),
    Ask("/x/y.png", method="PUT", body=b"x"),
    Ask("/x", method="POST", body=b"x" * 100),
    Ask("/x", headers={"X-Secret": "1", "X-Edge": "client", "X-Trace": "c", "X-Real-IP": "6.6.6.6"}),
    Ask("/x?say=500"),
    # what refuses, in other words
    Ask("/PRIVATE/x"),
    Ask("/privately"),
    *(
        Ask("/x", headers={name: value})
        for name in ("X-A", "X-B", "X-C")
        for value in (
            "bad",
            "BAD",
            "good, bad",
            "good ,  worse , x",
            "a, bad7, b",
            "a bad",
            "badly",
            "b, bad ",
        )
    ),
    Ask("/x", headers={"X-D": "bad"}),
    Ask("/x", headers={"X-D": "badly"}),
    Ask("/x?w=bad"),
    Ask("/x?w=good&w=bad", differs="lb looks at the first of that name"),
]


@pytest.mark.parametrize("ask", FRONT, ids=str)
def test_rules(front: Alike, ask: Ask) -> None:
    compared(front, ask)


def test_servers_are_told_the_scheme_that_a_rule_says(front: Alike) -> None:
    for side in ("real", "lb"):
        told = front.seen(side, Ask("/x?v=9"))
        assert told["forwarded"]["x-forwarded-proto"] == "https", side
        assert dict(told["sent"])["x-forwarded-port"] == "443", side


POOLS = [
    Ask("/weighted"),
    Ask("/checked"),
    Ask("/byuri/1"),
    Ask("/byheader", headers={"X-User": "ann"}),
    Ask("/filled"),
    Ask("/failing"),
    Ask("/dead", differs="502 where no server can be reached"),
    Ask("/slow?wait=0"),
    Ask("/slow?wait=0.8"),
]


@pytest.mark.parametrize("ask", POOLS, ids=str)
def test_backends(pools: Alike, ask: Ask) -> None:
    steady(pools, Ask("/checked"), "d1")
    compared(pools, ask)


def shares(alike: Alike, side: str, asks: list[Ask]) -> Counter[str]:
    return Counter(alike.seen(side, ask)["server"] for ask in asks)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/weighted", {"a1": 30, "a2": 10}),
        ("/fewest", {"e1": 20, "e2": 20}),
        ("/off", {"c2": 40}),
        ("/spare", {"b1": 40}),
        ("/checked", {"d1": 40}),
        ("/filled", {"j1": 40}),
    ],
)
def test_servers_have_the_same_shares(pools: Alike, path: str, expected: dict[str, int]) -> None:
    steady(pools, Ask("/spare"), "b1")
    steady(pools, Ask("/checked"), "d1")
    for side in ("real", "lb"):
        assert shares(pools, side, [Ask(path)] * 40) == expected, side


@pytest.mark.parametrize(
    "asks",
    [
        [Ask(f"/byuri/{number}") for number in range(30)],
        [Ask("/byheader", headers={"X-User": f"user{number}"}) for number in range(30)],
    ],
    ids=lambda asks: asks[0].target,
)
def test_a_key_has_one_server_and_keys_have_several(pools: Alike, asks: list[Ask]) -> None:
    for side in ("real", "lb"):
        first = [pools.seen(side, ask)["server"] for ask in asks]
        assert first == [pools.seen(side, ask)["server"] for ask in asks], side
        assert len(set(first)) > 1, side


def test_a_client_has_one_server(pools: Alike) -> None:
    for side in ("real", "lb"):
        assert len(shares(pools, side, [Ask("/byclient")] * 10)) == 1, side


def test_a_cookie_keeps_a_client_at_its_server(pools: Alike) -> None:
    for side in ("real", "lb"):
        said = pools.answer(side, Ask("/sticky"))
        cookie, *attributes = (said.get("set-cookie") or "").split("; ")
        assert cookie.startswith("SRV="), side
        assert "httponly" in (one.lower() for one in attributes), side
        kept = [Ask("/sticky", headers={"Cookie": f"a=b; {cookie}"})] * 10
        assert len(shares(pools, side, kept)) == 1, side
        assert pools.answer(side, kept[0]).get("set-cookie") is None, side
        seen = dict(pools.seen(side, kept[0])["sent"])["cookie"]
        assert seen == ("a=b" if side == "real" else f"a=b; {cookie}")
    assert any("servers see lb's cookie too" in str(gap) for gap in pools.draft.gaps)
