"""Asking agents: refusals, garbage, bounds, fail-over, tokens."""

from __future__ import annotations

import asyncio
import logging
import re

import pytest
from aiohttp import web

from lb.discovery import consul_http
from lb.discovery.consul_http import ConsulClient
from lb.discovery.consul_settings import ConsulConnection, ConsulTls
from lb.discovery.contract import ProviderError
from tests.discovery.agents import addresses, entry, playing, provider, said, silent, words

ONE = [entry("10.0.0.1")]
SECRET = "0f9a3b1c-very-secret"
REFUSALS = {
    "no leader": (said(b"No cluster leader", None, 500), "No cluster leader", 2.0),
    "no leader, with the prefix of an agent": (
        said(b"rpc error making call: No cluster leader", None, 500),
        "No cluster leader",
        2.0,
    ),
    "other failure": (said(b"rpc error: i/o deadline reached", None, 500), "i/o deadline reached", 0.0),
    "busy": (said(b"Your IP is issuing too many requests", None, 429), "too many", 5.0),
    "busy for a time": (said(b"", None, 429, Retry_After=17), "429", 17.0),
    "busy for ever": (said(b"", None, 429, Retry_After=10**9), "429", 60.0),
    "busy, nonsense": (said(b"", None, 429, Retry_After="Tue"), "429", 5.0),
    "not allowed": (said(b"Permission denied", None, 403), "it wants a token", 10.0),
    "bad filter": (said(b"Failed to parse filter", None, 400), "Failed to parse filter", 10.0),
    "no such query": (said(b"Query not found", None, 404), "Query not found", 10.0),
    "redirect": (said(b"", None, 302, Location="http://192.0.2.1/"), "redirects", 0.0),
    "other good status": (said(ONE, 7, 204), "204", 10.0),
    "control characters": (said(b"a\r\nb\x1b[31m" + b"c" * 9999, None, 400), r"a  b \[31mccc", 10.0),
    "index is text": (said(ONE, "x"), "X-Consul-Index", 0.0),
    "index is negative": (said(ONE, -1), "X-Consul-Index", 0.0),
    "age is text": (said(ONE, 7, X_Consul_LastContact="1.5"), "LastContact", 0.0),
    "leader is text": (said(ONE, 7, X_Consul_KnownLeader="maybe"), "KnownLeader", 0.0),
    "compressed": (said(ONE, 7, Content_Encoding="gzip"), "encoding", 0.0),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals(name):
    given, text, wait = REFUSALS[name]

    async def run():
        async with playing(given) as agent:
            with pytest.raises(ProviderError, match=text) as caught:
                await words(provider(agent), 1)
            assert agent.address in str(caught.value)
            assert caught.value.wait == wait
            assert len(str(caught.value)) < 500

    asyncio.run(run())


def test_a_dead_agent():
    async def run():
        async with playing() as agent:
            source = provider(agent)
        with pytest.raises(ProviderError, match=re.escape(agent.address) + ".*refused"):
            await words(source, 1)

    asyncio.run(run())


def test_a_body_cut_short():
    async def cut(request):
        response = web.StreamResponse(headers={"X-Consul-Index": "7", "Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b"[")
        request.transport.close()
        return response

    async def run():
        async with playing(cut) as agent:
            with pytest.raises(ProviderError, match=re.escape(agent.address)):
                await words(provider(agent), 1)

    asyncio.run(run())


def test_a_huge_body_is_not_read_to_its_end(monkeypatch):
    monkeypatch.setattr(consul_http, "MOST_BODY", 10_000)

    async def endless(request):
        response = web.StreamResponse(headers={"X-Consul-Index": "7"})
        await response.prepare(request)
        while True:
            await response.write(b" " * 1000)

    async def run():
        async with playing(endless) as agent:
            with pytest.raises(ProviderError, match="longer than 10000 bytes"):
                await words(provider(agent), 1)

    asyncio.run(run())


def test_an_agent_that_never_answers(monkeypatch):
    monkeypatch.setattr(consul_http, "ANSWER_TIME", 0.05)

    async def run():
        async with playing() as agent:
            with pytest.raises(ProviderError, match="no answer within"):
                await words(provider(agent), 1)

    asyncio.run(run())


def test_a_question_that_blocks_has_time_for_the_spread(monkeypatch):
    monkeypatch.setattr(consul_http, "ANSWER_TIME", 1.0)

    async def late(request):
        await asyncio.sleep(1.1)
        return said([], 9)

    async def run():
        async with playing(said(ONE, 7), late) as agent:
            assert len(await words(provider(agent, wait=1.0), 2)) == 2

    asyncio.run(run())


def test_the_next_agent_is_asked_at_once_and_stays_the_one():
    async def run():
        broken = said(b"rpc error", None, 500)
        async with playing(said(ONE, 7), broken) as first, playing(said([], 3), said(ONE, 4)) as second:
            found = await silent(provider(first, second), second, 3)
            assert [addresses(word) for word in found] == [["10.0.0.1:8080"], [], ["10.0.0.1:8080"]]
            assert len(first.asked) == 2
            # the other agent may know less: it is asked without index, and a lower one begins anew
            assert [asked.get("index") for asked in second.asked] == [None, None, "4"]

    asyncio.run(run())


def test_all_agents_dead_names_the_first():
    async def run():
        async with playing() as first, playing() as second:
            source = provider(first, second)
        with pytest.raises(ProviderError, match=re.escape(first.address)):
            await words(source, 1)

    asyncio.run(run())


def test_other_agents_are_not_asked_when_the_servers_are_busy_or_refuse():
    async def run():
        for status in (429, 403):
            async with playing(said(b"no", None, status)) as first, playing(said(ONE)) as second:
                with pytest.raises(ProviderError):
                    await words(provider(first, second), 1)
                assert second.asked == []

    asyncio.run(run())


def test_the_first_agent_is_asked_again_after_a_minute():
    async def run():
        now = [0.0]
        async with playing(said(b"", None, 500), said(ONE)) as first, playing(said(ONE), said(ONE)) as second:
            settings = ConsulConnection(addresses=(first.address, second.address))
            async with ConsulClient(settings, lambda: now[0]) as client:
                for _ in range(2):
                    await client.ask("/v1/x", {})
                assert (len(first.asked), len(second.asked)) == (1, 2)
                now[0] = 61
                await client.ask("/v1/x", {})
                assert (len(first.asked), len(second.asked)) == (2, 2)

    asyncio.run(run())


def test_a_question_that_the_other_agent_held_does_not_lead_back_there():
    async def run():
        now, release = [0.0], asyncio.Event()

        async def held(request):
            await release.wait()
            return said(ONE, 8)

        async with (
            playing(said(b"", None, 500), said(ONE), said(ONE)) as first,
            playing(said(ONE), held) as second,
        ):
            settings = ConsulConnection(addresses=(first.address, second.address))
            async with ConsulClient(settings, lambda: now[0]) as client:
                await client.ask("/v1/x", {})
                waiting = asyncio.create_task(client.ask("/v1/x", {}, 7))
                while len(second.asked) < 2:
                    await asyncio.sleep(0.005)
                now[0] = 61
                await client.ask("/v1/x", {})
                release.set()
                await waiting
                await client.ask("/v1/x", {})
                assert (len(first.asked), len(second.asked)) == (3, 2)

    asyncio.run(run())


def test_a_token_is_read_again_when_its_file_changes(tmp_path):
    file = tmp_path / "token"
    file.write_text("first\n")

    def wrote(text):
        async def act(request):
            file.unlink()
            if text is not None:
                file.write_text(text)
            return said(ONE, 7)

        return act

    async def run():
        script = [wrote("second-one\n"), wrote(""), wrote("not one\nline"), wrote(None)]
        async with playing(*script) as agent:
            await silent(provider(agent, token_file=str(file)), agent, 5)
            assert agent.tokens == ["first", *["second-one"] * 4]

    asyncio.run(run())


@pytest.mark.parametrize("content", [None, b"", b"a b", b"\xff", b"x" * 5000, b"a\r\nX-Evil: 1"])
def test_no_token_is_an_error_and_not_a_question_without_one(tmp_path, content):
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)

    async def run():
        async with playing(said(ONE)) as agent:
            with pytest.raises(ProviderError, match=re.escape(str(file))):
                await words(provider(agent, token_file=str(file)), 1)
            assert agent.asked == []

    asyncio.run(run())


def test_a_token_from_the_environment(monkeypatch):
    monkeypatch.setenv("LB_TEST_TOKEN", SECRET)
    monkeypatch.setenv("CONSUL_HTTP_TOKEN", "not-this-one")

    async def run():
        async with playing(said(ONE)) as agent:
            await words(provider(agent, token_env="LB_TEST_TOKEN"), 1)
            await_none = provider(agent)
            agent.script.append(said(ONE))
            await words(await_none, 1)
            assert agent.tokens == [SECRET, None]

    asyncio.run(run())


def test_the_token_is_in_no_text(tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    file = tmp_path / "token"
    file.write_text(SECRET)

    async def run():
        texts = []
        for given in (
            said(b"Permission denied", None, 403),
            said(b"x", None, 500),
            said(b"", 7),
            said(b"", "x"),
        ):
            async with playing(given) as agent:
                source = provider(agent, token_file=str(file))
                with pytest.raises(ProviderError) as caught:
                    await words(source, 1)
                texts += [
                    repr(caught.value),
                    repr(vars(source)),
                    repr(vars(source._client)),
                    *map(repr, agent.asked),
                ]
        return texts

    assert SECRET not in "".join(asyncio.run(run())) + caplog.text


def test_a_redirect_gets_no_token(tmp_path):
    file = tmp_path / "token"
    file.write_text(SECRET)

    async def run():
        async with playing(said(ONE)) as other:
            async with playing(said(b"", None, 307, Location=f"{other.address}/v1/x")) as agent:
                with pytest.raises(ProviderError, match="redirects"):
                    await words(provider(agent, token_file=str(file)), 1)
            assert other.asked == []

    asyncio.run(run())


def test_files_of_tls_that_cannot_be_used(tmp_path):
    async def run():
        settings = ConsulConnection(("https://127.0.0.1:1",), tls=ConsulTls(ca=str(tmp_path / "ca.pem")))
        async with ConsulClient(settings) as client:
            with pytest.raises(ProviderError, match=r"TLS to Consul.*ca\.pem"):
                await client.ask("/v1/x", {})

    asyncio.run(run())


def test_hundreds_of_services_begin_a_few_at_a_time():
    async def run():
        at_once = most = 0

        async def slow(request):
            nonlocal at_once, most
            at_once += 1
            most = max(most, at_once)
            await asyncio.sleep(0.005)
            at_once -= 1
            return said(ONE)

        async with (
            playing(*[slow] * 200) as agent,
            ConsulClient(ConsulConnection((agent.address,))) as client,
        ):
            await asyncio.gather(*(client.ask("/v1/x", {}) for _ in range(200)))
        assert 1 < most <= consul_http.MOST_SHORT

    asyncio.run(run())
