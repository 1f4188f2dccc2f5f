"""A catalogue: what Consul's answer says, whose routes stay, and the watch of it."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lb.discovery.catalog import Catalog, RouteBrake
from lb.discovery.catalog_following import CatalogFollowing
from lb.discovery.consul_catalog import ConsulCatalogProvider, catalog
from lb.discovery.consul_http import ConsulClient
from lb.discovery.consul_settings import ConsulCatalog, ConsulConnection
from lb.discovery.contract import ProviderError
from tests.discovery.agents import Pauses, playing, said, silent

OURS = ConsulCatalog()
WEB = {"web": ("lb.route=/",)}


def test_route_tags_are_kept_and_others_are_nobodys_business():
    body = b'{"consul": [], "web": ["v1", "lb.route=b/", "lb.route=a/x strip=/x"], "none": null}'
    assert catalog(body, OURS) == Catalog((("web", ("lb.route=a/x strip=/x", "lb.route=b/")),))


def test_required_tags_and_another_prefix():
    body = b'{"a": ["edge.route=/", "public"], "b": ["edge.route=/b"], "c": ["lb.route=/c", "public"]}'
    assert catalog(body, ConsulCatalog("edge", ("public",))).services == (("a", ("edge.route=/",)),)


def test_a_tag_that_is_meant_for_lb_and_a_list_that_is_none_are_set_aside():
    found = catalog(b'{"a": ["lb.rotue=/"], "b": "lb.route=/", "c": [1], "d": ["lb.route=/"]}', OURS)
    assert found.services == (("d", ("lb.route=/",)),)
    assert [bad.entry for bad in found.unusable] == ["a: lb.rotue=/", "b", "c"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff", b'{"a": [', b"[" * 100_000])
def test_garbage_as_a_whole_is_an_error(body):
    with pytest.raises(ProviderError):
        catalog(body, OURS)


@given(st.binary(max_size=200))
def test_any_bytes(body):
    with contextlib.suppress(ProviderError):
        assert isinstance(catalog(body, OURS), Catalog)


def test_routes_of_a_service_that_is_gone_stay_for_a_time():
    brake = RouteBrake(20.0)
    brake.decide({"web": ("a",), "shop": ("b",)}, 100.0)
    brake.decide({"shop": ("c",)}, 110.0)
    assert brake.in_force == {"web": ("a",), "shop": ("c",)}, "tags of who is there are obeyed at once"
    assert (brake.held, brake.due) == ({"web": 110.0}, 130.0)
    brake.decide({}, 120.0)
    assert (brake.held, brake.due) == ({"web": 110.0, "shop": 120.0}, 130.0)
    brake.decide({"web": ("d",)}, 125.0)
    assert (brake.in_force, brake.due) == ({"web": ("d",), "shop": ("c",)}, 140.0)
    brake.decide({"web": ("d",)}, 140.0)
    assert (brake.in_force, brake.held, brake.due) == ({"web": ("d",)}, {}, 0.0)


def test_an_operator_may_let_go():
    brake = RouteBrake(20.0)
    brake.begin_with(WEB)
    assert not brake.let_go("web")
    brake.decide({}, 0.0)
    assert brake.let_go("web") and not brake.in_force and not brake.let_go("web")


def test_the_watch_tells_what_concerns_routes_and_nothing_else():
    async def run():
        pauses = Pauses()
        answers = ({"web": ["lb.route=/"]}, {"web": ["lb.route=/"], "db": ["x"]}, {})
        async with playing(*(said(body, 7 + n) for n, body in enumerate(answers))) as agent:
            connection = ConsulConnection(addresses=(agent.address,), datacenter="dc1")
            client = ConsulClient(connection, pauses.clock)
            source = ConsulCatalogProvider(client, OURS, pauses.clock, pauses.sleep)
            found = await silent(source, agent, 4)
            assert [dict(word.services) for word in found] == [WEB, {}]
            assert agent.paths[0] == "/v1/catalog/services"
            assert [asked.get("index") for asked in agent.asked] == [None, "7", "8", "9"]
            assert agent.asked[0]["dc"] == "dc1"

    asyncio.run(run())


class Script:
    """Gives its words, then fails."""

    def __init__(self, *words):
        self.words = list(words)

    async def watch(self):
        while self.words:
            yield self.words.pop(0)
        raise ProviderError("it is away")


def test_following_keeps_what_was_said_while_the_source_is_away():
    async def run():
        changes = []
        word = Catalog(tuple(WEB.items()))
        one = CatalogFollowing("here", Script(word), 9.0, lambda one: changes.append(one.brake.in_force))
        one.begin_with({"old": ("x",)}, 50.0)
        assert one.age == pytest.approx(50, abs=1)
        task = asyncio.create_task(one.run())
        await one.first.wait()
        while not one.error:
            await asyncio.sleep(0)
        assert one.brake.in_force == {"old": ("x",), **WEB} and set(one.brake.held) == {"old"}
        assert one.let_go("old") and not one.let_go("old")
        assert changes == [WEB, WEB] or changes[-1] == WEB
        assert (one.errors, one.heard, one.age < 5) == (1, True, True)
        task.cancel()
        await asyncio.wait([task])
        assert one._due is not None and one._due.cancelled()

    asyncio.run(run())
