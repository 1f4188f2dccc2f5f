"""The Consul Provider against a scripted agent: index, pace, staleness, polling."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from lb.discovery.consul import ConsulProvider
from lb.discovery.consul_bell import CHECKS, SERVICES
from lb.discovery.consul_http import ConsulClient
from lb.discovery.consul_settings import ConsulConnection, ConsulQuery
from lb.discovery.contract import Membership, ProviderError
from tests.discovery.agents import Pauses, addresses, entry, playing, provider, said, silent, words

ONE = [entry("10.0.0.1")]
TWO = [entry("10.0.0.1"), entry("10.0.0.2", id="web-2")]


def indices(agent):
    return [asked.get("index") for asked in agent.asked]


def test_what_is_there_now_and_what_changes():
    async def run():
        async with playing(said(ONE, 7), said(TWO, 9)) as agent:
            found = await words(provider(agent), 2)
            assert [addresses(word) for word in found] == [
                ["10.0.0.1:8080"],
                ["10.0.0.1:8080", "10.0.0.2:8080"],
            ]
            assert indices(agent) == [None, "7"]
            assert agent.asked[1]["wait"] == "60000ms"
            assert agent.paths[0] == "/v1/health/service/web"

    asyncio.run(run())


@pytest.mark.parametrize(
    ("given", "expected"),
    {
        "higher": ([7, 9, 12], [None, "7", "9", "12"]),
        "equal": ([7, 7], [None, "7", "7"]),
        "lower: all is read again": ([7, 3, 4], [None, "7", None, "4"]),
        "zero": ([0, 0], [None, "1", "1"]),
        "missing": ([None, 5], [None, "1", "5"]),
    }.values(),
)
def test_index(given, expected):
    async def run():
        async with playing(*(said(ONE, index) for index in given)) as agent:
            found = await silent(provider(agent), agent, len(expected))
            assert indices(agent) == expected
            assert len(found) == 1  # the content was the same each time

    asyncio.run(run())


def test_an_answer_without_news_is_not_told_and_slows_the_questions_down():
    async def run():
        pauses = Pauses()
        async with playing(*(said(ONE, 7 + turn) for turn in range(40))) as agent:
            assert len(await silent(provider(agent, pauses=pauses), agent, 41)) == 1
        assert pauses.slept[:2] == [0.0, 0.0]  # the burst
        assert pauses.slept[-1] == pytest.approx(15.0, abs=0.01)

    asyncio.run(run())


def test_all_is_read_again_after_some_minutes():
    async def run():
        pauses = Pauses()

        async def late(request):
            pauses.now += 301
            return said(ONE, 7)

        async with playing(said(ONE, 7), late, said(TWO, 7)) as agent:
            found = await silent(provider(agent, pauses=pauses), agent, 4)
            assert indices(agent) == [None, "7", None, "7"]
            assert [len(word.members) for word in found] == [1, 2]

    asyncio.run(run())


def test_an_empty_answer_is_told_as_it_is():
    async def run():
        async with playing(said(ONE, 7), said([], 9)) as agent:
            assert (await words(provider(agent), 2))[1] == Membership()

    asyncio.run(run())


def test_a_stale_answer_that_is_too_old_is_read_from_the_leader():
    async def run():
        old = said(ONE, 7, X_Consul_LastContact=10_001)
        async with playing(old, said(TWO, 9)) as agent:
            (found,) = await words(provider(agent), 1)
            assert (len(found.members), found.age) == (2, 0.0)
            assert ["stale" in asked for asked in agent.asked] == [True, False]
            assert indices(agent) == [None, None]

    asyncio.run(run())


def test_a_stale_answer_that_is_young_enough_is_fresh():
    async def run():
        async with playing(said(ONE, 7, X_Consul_LastContact=9_999, X_Consul_KnownLeader="true")) as agent:
            (found,) = await words(provider(agent), 1)
            assert found.age == 0.0

    asyncio.run(run())


@pytest.mark.parametrize(
    "refusal",
    [said(b"No cluster leader", None, 500), said(b"rate limit exceeded", None, 429)],
    ids=["no leader", "busy"],
)
def test_the_servers_are_spared_while_they_have_no_leader_or_too_much_to_do(refusal):
    async def run():
        def old():
            return said(ONE, 7, X_Consul_LastContact=20_000, X_Consul_KnownLeader="false")

        async with playing(old(), refusal, old(), said(TWO, 8, X_Consul_LastContact=30_000)) as agent:
            found = await words(provider(agent), 2)
            assert [word.age for word in found] == [20.0, 30.0]
            assert ["stale" in asked for asked in agent.asked] == [True, False, True, True]

    asyncio.run(run())


def test_without_stale_the_leader_answers():
    async def run():
        async with playing(said(ONE)) as agent:
            await words(provider(agent, stale=False), 1)
            assert "stale" not in agent.asked[0]

    asyncio.run(run())


def test_a_prepared_query_is_polled():
    async def run():
        pauses = Pauses()
        query = ConsulQuery(prepared_query="near/east", datacenter="dc2")
        async with playing(said({"Nodes": ONE}, None), said({"Nodes": TWO}, None)) as agent:
            found = await words(provider(agent, pauses=pauses, query=query), 2)
            assert [len(word.members) for word in found] == [1, 2]
            assert agent.paths == ["/v1/query/near%2Feast/execute"] * 2
            assert [set(asked) for asked in agent.asked] == [{"dc", "stale"}] * 2
            assert pauses.slept == [5.0]

    asyncio.run(run())


def test_what_is_asked():
    async def run():
        query = ConsulQuery(
            service="a b/c&d",
            tags=("v2", "é"),
            meta=(("zone", "a"),),
            filter='Service.Port > 1 or "x" in Service.Tags',
            namespace="team",
        )
        async with playing(said(ONE)) as agent:
            await words(provider(agent, query=query, datacenter="dc1", namespace="no", partition="p"), 1)
        assert agent.paths == ["/v1/health/service/a%20b%2Fc&d"]  # "&" stands for itself in a path
        assert agent.asked[0] == {
            "dc": "dc1",
            "ns": "team",
            "partition": "p",
            "stale": "",
            "filter": '"v2" in Service.Tags and "é" in Service.Tags and "zone" in Node.Meta and '
            'Node.Meta["zone"] == "a" and (Service.Port > 1 or "x" in Service.Tags)',
        }

    asyncio.run(run())


def test_watches_above_the_bound_are_polled_until_one_ends():
    async def run():
        pauses = Pauses()
        async with playing(*(said(ONE, 7) for _ in range(3))) as agent:
            agent.held = frozenset({SERVICES, CHECKS})
            client = ConsulClient(ConsulConnection(addresses=(agent.address,), max_watches=1), pauses.clock)
            first, second = (
                ConsulProvider(client, ConsulQuery(service=name), pauses.clock, pauses.sleep) for name in "ab"
            )
            async with contextlib.aclosing(first.watch()) as one:
                await anext(one)
                assert await silent(second, agent, 5)
                assert set(indices(agent)) == {None}
                assert pauses.slept[:2] == [0.0, 5.0]
            assert client.take_watch()

    asyncio.run(run())


def test_garbage_as_a_whole_is_an_error():
    async def run():
        for body in (b"", b"{", b"null", b"{}", b"[1", b"\xff\xfe", b"[" * 100_000, b'"' + b"a" * 1000):
            async with playing(said(body)) as agent:
                with pytest.raises(ProviderError):
                    await words(provider(agent), 1)

    asyncio.run(run())


def test_everything_is_freed_at_the_end():
    async def run():
        async with playing(said(ONE)) as agent:
            source = provider(agent)
            await words(source, 1)
            assert source._client._session is None
            assert source._client._watches == 0

    asyncio.run(run())
