"""The DNS Provider against a name server on loopback: what records mean, and the suite of all Providers."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from lb.discovery import dns as subject
from lb.discovery.contract import Member, ProviderError
from lb.discovery.dns import DnsProvider, DnsQuery, ResolvedServer, ResolveProvider
from tests.discovery.suite import ProviderSuite

NAME = "api.test."
OWN = f"127.53.{os.getpid() % 250}.2"  # where nobody has the same port for TCP, which is tried first


class NameServer(asyncio.DatagramProtocol):
    """Answers from `records`: (name, type) → texts; a name without any entry does not exist. By datagrams: a
    connection is refused."""

    def __init__(self) -> None:
        self.records: dict[tuple[str, str], list[str]] = {}
        self.ttl = 0
        self.rcode: dns.rcode.Rcode | None = None
        self.mute = False
        self.failing: set[str] = set()  # names that have SERVFAIL
        self.silent: set[str] = set()  # names without any answer
        self.alias: tuple[str, str, int] | None = None  # a name, the one that it stands for, its TTL
        self.asked: list[tuple[str, str]] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, place: tuple[str, int]) -> None:
        if self.mute:
            return
        query = dns.message.from_wire(data)
        question = query.question[0]
        kind = dns.rdatatype.to_text(question.rdtype)
        self.asked.append((question.name.to_text(), kind))
        said = dns.message.make_response(query)
        said.flags |= dns.flags.RA
        name = question.name.to_text()
        if name in self.silent:
            return
        if self.alias is not None and name == self.alias[0]:
            _, name, ttl = self.alias
            said.answer.append(dns.rrset.from_text(question.name, ttl, "IN", "CNAME", name))
        if self.rcode is not None:
            said.set_rcode(self.rcode)
        elif name in self.failing:
            said.set_rcode(dns.rcode.SERVFAIL)
        elif not any(known == name for known, _ in self.records):
            said.set_rcode(dns.rcode.NXDOMAIN)
        elif texts := self.records.get((name, kind)):
            said.answer.append(dns.rrset.from_text_list(name, self.ttl, "IN", kind, texts))
        self.transport.sendto(said.to_wire(), place)  # type: ignore[attr-defined]


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[NameServer, tuple[str, int]]]:
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(NameServer, (OWN, 0))
    try:
        yield server, transport.get_extra_info("sockname")
    finally:
        transport.close()


class Zone:
    """The suite's servers have ports of their own: SRV."""

    def __init__(self, server: NameServer, place: tuple[str, int]) -> None:
        self.server, self.place = server, place
        server.records["host.test.", "A"] = ["127.0.0.1"]

    def provider(self) -> DnsProvider:
        return DnsProvider(DnsQuery("_http._tcp.api.test", "srv", servers=(self.place,)))

    async def set(self, addresses: list[str]) -> None:
        ports = [address.rpartition(":")[2] for address in addresses]
        self.server.records["_http._tcp.api.test.", "SRV"] = [f"0 1 {port} host.test." for port in ports]

    async def spoil(self) -> None:
        self.server.rcode = dns.rcode.SERVFAIL

    async def mend(self) -> None:
        self.server.rcode = None


class TestTheSuite(ProviderSuite):
    @asynccontextmanager
    async def source(self) -> AsyncIterator[Zone]:
        async with serving() as (server, place):
            yield Zone(server, place)


def first(zone, **query):
    """What is told first of this zone, and what was asked."""

    async def go():
        async with serving() as (server, place):
            server.records = zone
            provider = DnsProvider(DnsQuery("api.test", servers=(place,), **query))
            async with aclosing(provider.watch()) as words:
                return await anext(words), server.asked

    return asyncio.run(go())


def test_addresses_of_both_families_have_the_port():
    word, asked = first({(NAME, "A"): ["10.0.0.2", "10.0.0.1"], (NAME, "AAAA"): ["fd00::1"]}, port=8080)
    assert {one.address for one in word.members} == {"10.0.0.1:8080", "10.0.0.2:8080", "[fd00::1]:8080"}
    assert asked == [(NAME, "A"), (NAME, "AAAA")]


def test_one_family_is_enough():
    word, asked = first({(NAME, "A"): ["10.0.0.1"]}, records="a", port=1)
    assert word.members == (Member("10.0.0.1:1"),)
    assert asked == [(NAME, "A")]


def test_services_have_weights_ranks_and_ports_of_their_own():
    records = {
        (NAME, "SRV"): ["20 5 81 one.test.", "10 0 80 one.test.", "10 7 80 two.test.", "30 1 1 gone.test.",
                        "0 0 0 ."],
        ("one.test.", "A"): ["10.0.0.1"],
        ("two.test.", "A"): ["10.0.0.2"],
    }  # fmt: skip
    word, _ = first(records, records="srv")
    assert set(word.members) == {
        Member("10.0.0.1:80", 1, 1, name="one.test"),
        Member("10.0.0.2:80", 7, 1, name="two.test"),
        Member("10.0.0.1:81", 5, 2, name="one.test"),
    }
    assert [(one.entry, one.reason) for one in word.unusable] == [("gone.test:1", "the name has no address")]


def targets(count):
    """SRV records of so many targets, t0 to the last, each with one address."""
    zone = {(f"t{n}.test.", "A"): [f"10.0.0.{n}"] for n in range(count)}
    return zone | {(NAME, "SRV"): [f"0 1 80 t{n}.test." for n in range(count)]}


def test_a_target_that_fails_or_is_silent_hurts_no_other(monkeypatch):
    monkeypatch.setattr(subject, "PATIENCE", 1.0)

    async def go():
        async with serving() as (server, place):
            server.records = targets(4)
            server.failing, server.silent = {"t0.test."}, {"t1.test."}
            return await anext(DnsProvider(DnsQuery("api.test", "srv", servers=(place,))).watch())

    word = asyncio.run(go())
    assert {one.address for one in word.members} == {"10.0.0.2:80", "10.0.0.3:80"}
    assert word.silent == ("t0.test", "t1.test")
    reasons = {one.entry: one.reason for one in word.unusable}
    assert set(reasons) == {"t0.test:80", "t1.test:80"}
    assert "SERVFAIL" in reasons["t0.test:80"] and "no answer within 1s" in reasons["t1.test:80"]
    assert all("what was known of it stays" in reason for reason in reasons.values())


def test_targets_are_asked_together(monkeypatch):
    monkeypatch.setattr(subject, "PATIENCE", 1.0)

    async def go():
        async with serving() as (server, place):
            server.records = targets(20)
            server.silent = {f"t{n}.test." for n in range(1, 20)}
            async with asyncio.timeout(3):
                return await anext(DnsProvider(DnsQuery("api.test", "srv", servers=(place,))).watch())

    word = asyncio.run(go())
    assert len(word.members) == 1 and len(word.unusable) == 19


def test_where_tcp_gets_lost_it_is_waited_for_once(monkeypatch):
    monkeypatch.setattr(subject, "PATIENCE", 1.0)

    async def go():
        async with serving() as (server, place):
            server.records = targets(3)
            ended = asyncio.Event()

            async def mute(_reader, writer):
                await ended.wait()
                writer.close()

            async with await asyncio.start_server(mute, *place):
                provider = DnsProvider(DnsQuery("api.test", "srv", servers=(place,)))
                try:
                    async with asyncio.timeout(5):
                        return await anext(provider.watch())
                finally:
                    ended.set()

    word = asyncio.run(go())
    assert len(word.members) == 3 and not word.unusable


def test_targets_that_fail_all_are_no_answer(monkeypatch):
    monkeypatch.setattr(subject, "PATIENCE", 1.0)

    async def go():
        async with serving() as (server, place):
            server.records = targets(2)
            server.failing, server.silent = {"t0.test."}, {"t1.test."}
            with pytest.raises(ProviderError, match="none of its targets"):
                await anext(DnsProvider(DnsQuery("api.test", "srv", servers=(place,))).watch())

    asyncio.run(go())


@pytest.mark.parametrize("records", [{}, {(NAME, "TXT"): ["x"]}], ids=["no such name", "no such record"])
def test_nobody_is_an_answer(records):
    assert first(records)[0].members == ()


def test_records_are_asked_for_again_when_they_expire(monkeypatch):
    waits = []
    sleep = asyncio.sleep

    async def fake(seconds):
        waits.append(seconds)
        await sleep(0)

    async def go():
        async with serving() as (server, place):
            server.records = {(NAME, "A"): ["10.0.0.1"]}
            provider = DnsProvider(DnsQuery("api.test", "a", servers=(place,)))
            monkeypatch.setattr(subject.asyncio, "sleep", fake)
            async with aclosing(provider.watch()) as words:
                for ttl, last in ((0, 2), (30, 3), (100_000, 4)):
                    server.ttl = ttl
                    await anext(words)
                    server.records = {(NAME, "A"): [f"10.0.0.{last}"]}
                await anext(words)

    asyncio.run(go())
    assert waits == [1.0, 30.0, 300.0]


def test_of_a_name_that_stands_for_another_the_shorter_time_counts(monkeypatch):
    waits = []

    async def fake(seconds):
        waits.append(seconds)
        raise asyncio.CancelledError

    async def go():
        async with serving() as (server, place):
            server.records, server.ttl = {("real.test.", "A"): ["10.0.0.1"]}, 3600
            server.alias = (NAME, "real.test.", 7)
            async with aclosing(DnsProvider(DnsQuery("api.test", "a", servers=(place,))).watch()) as words:
                assert (await anext(words)).members == (Member("10.0.0.1:80"),)
                monkeypatch.setattr(subject.asyncio, "sleep", fake)
                with pytest.raises(asyncio.CancelledError):
                    await anext(words)

    asyncio.run(go())
    assert waits == [7.0]


def test_a_server_that_is_silent_is_an_error_in_time(monkeypatch):
    monkeypatch.setattr(subject, "PATIENCE", 0.3)

    async def go():
        async with serving() as (server, place):
            server.mute = True
            with pytest.raises(ProviderError, match=r"DNS, api\.test: "):
                await anext(DnsProvider(DnsQuery("api.test", servers=(place,))).watch())

    asyncio.run(go())


def test_servers_that_are_names_keep_what_is_written_of_them(monkeypatch):
    monkeypatch.setattr(subject, "SHORTEST", 0.01)

    async def go():
        async with serving() as (server, place):
            server.records = {(NAME, "A"): ["10.0.0.1"], (NAME, "AAAA"): ["fd00::1"],
                              ("more.test.", "A"): ["10.0.0.1", "10.0.0.2"]}  # fmt: skip
            servers = (
                ResolvedServer("api.test", 80, 0.01, weight=3, priority=1),
                ResolvedServer("more.test", 80, 3600.0, backup=True),
            )
            async with aclosing(ResolveProvider(servers, (place,)).watch()) as words:
                assert (await anext(words)).members == (
                    Member("10.0.0.1:80", 3, 1, name="api.test"),
                    Member("[fd00::1]:80", 3, 1, name="api.test"),
                    Member("10.0.0.2:80", backup=True, name="more.test"),
                )
                server.records.update({(NAME, "A"): ["10.0.0.7"], ("more.test.", "A"): ["10.0.0.8"]})
                found = {one.address for one in (await anext(words)).members}
                assert found == {"10.0.0.7:80", "[fd00::1]:80", "10.0.0.1:80", "10.0.0.2:80"}
                assert server.asked.count(("more.test.", "A")) == 1, "its time has not come"

    asyncio.run(go())


def test_a_server_whose_name_fails_hurts_no_other():
    async def go(*failing):
        async with serving() as (server, place):
            server.records = {(NAME, "A"): ["10.0.0.1"], ("more.test.", "A"): ["10.0.0.2"]}
            server.failing = set(failing)
            servers = (ResolvedServer("api.test", 80, 30.0), ResolvedServer("more.test", 81, 30.0))
            return await anext(ResolveProvider(servers, (place,)).watch())

    word = asyncio.run(go("more.test."))
    assert word.members == (Member("10.0.0.1:80", name="api.test"),)
    assert word.silent == ("more.test",)
    assert [one.entry for one in word.unusable] == ["more.test:81"] and "SERVFAIL" in word.unusable[0].reason
    with pytest.raises(ProviderError, match=r"DNS, api\.test: "):
        asyncio.run(go(NAME, "more.test."))
