"""The DNS Provider: the servers of a service as the records of a name, asked for again when they expire.

Lives here: what records mean, when they are asked for again. Must not live here: the protocol (dnspython).

Addresses (A, AAAA) have one port for all. SRV records (RFC 2782) have ports, weights and priorities of
their own, and name hosts whose addresses are asked for as well. A name without records, or that does not
exist, is an answer: nobody is there, and the brake decides what that may do.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import NamedTuple

import dns.asyncresolver
import dns.exception
import dns.nameserver
import dns.rdatatype
import dns.resolver

from lb.discovery.contract import Member, Membership, ProviderError, Unusable

SHORTEST, LONGEST = 1.0, 300.0  # seconds that records are believed, whatever their TTL
NEGATIVE = 5.0  # seconds that "there is none" is believed at the most
PATIENCE = 5.0  # seconds for an answer, all servers and repetitions together
MOST_TARGETS = 1000  # of SRV records
AT_ONCE = 20  # of them are asked for their addresses
MOST_PRIORITY = 100
TYPES = {"a": ("A",), "aaaa": ("AAAA",), "address": ("A", "AAAA")}


class DnsQuery(NamedTuple):
    """`name`: absolute, without a search list. `records`: a, aaaa, address (both) or srv. `port`: of the
    addresses; not for srv. `servers`: (IP address, port) of the name servers; none: those of the system."""

    name: str
    records: str = "address"
    port: int = 80
    servers: tuple[tuple[str, int], ...] = ()


class ResolvedServer(NamedTuple):
    """A server of the configuration whose name is asked for again every `every` seconds; each of its
    addresses is a server with this weight, priority and `backup`."""

    name: str
    port: int
    every: float
    weight: int = 1
    priority: int = 0
    backup: bool = False


class _Found(NamedTuple):
    """`error`: why the addresses are those of an earlier answer, or none."""

    addresses: tuple[str, ...]
    ttl: float
    error: str = ""


class DnsProvider:
    """One per service."""

    def __init__(self, query: DnsQuery) -> None:
        self._query = query
        self._known: dict[str, _Found] = {}  # by target, what was said of it last

    async def watch(self) -> AsyncGenerator[Membership, None]:
        """See the contract. Raises ProviderError alone."""
        resolver = _resolver(self._query.servers)
        told: Membership | None = None
        while True:
            try:
                found, ttl = await self._ask(resolver)
            except (dns.exception.DNSException, OSError) as error:
                raise ProviderError(f"DNS, {self._query.name}: {_words(error)}") from None
            if found != told:
                told = found
                yield found
            await asyncio.sleep(min(max(ttl, SHORTEST), LONGEST))

    async def _ask(self, resolver: dns.asyncresolver.Resolver) -> tuple[Membership, float]:
        if self._query.records == "srv":
            return await self._services(resolver)
        found = await _addresses(resolver, self._query.name, TYPES[self._query.records])
        members = tuple(Member(_joined(address, self._query.port)) for address in found.addresses)
        return Membership(members), found.ttl

    async def _services(self, resolver: dns.asyncresolver.Resolver) -> tuple[Membership, float]:
        answer = await _resolve(resolver, self._query.name, "SRV")
        ttl = _ttl(answer)
        records = sorted(
            answer or (), key=lambda one: (one.priority, one.target.to_text(), one.port)
        )  # ranks do not depend on the order in which a server shuffles them
        ranks = {priority: rank for rank, priority in enumerate(sorted({one.priority for one in records}))}
        members: dict[str, Member] = {}
        unusable = []
        hosts = [one.target.to_text(omit_final_dot=True) for one in records[:MOST_TARGETS]]
        known = self._known = await self._targets(resolver, set(hosts) - {"", ".", "@"})
        if known and all(found.error for found in known.values()):
            first = min(known.items())
            raise ProviderError(
                f"DNS, {self._query.name}: none of its targets answers; {first[0]}: {first[1].error}"
            )
        ttl = min([ttl, *(found.ttl for found in known.values())])
        for one, host in zip(records, hosts, strict=False):
            if host not in known:  # ".": "decidedly not available at this domain"
                continue
            if reason := known[host].error or ("" if known[host].addresses else "the name has no address"):
                unusable.append(Unusable(f"{host}:{one.port}", reason))
            for address in known[host].addresses:
                joined = _joined(address, one.port)
                # Weight 0 is "a very small chance" (RFC 2782); here it would be none.
                members.setdefault(
                    joined,
                    Member(joined, max(1, one.weight), min(ranks[one.priority], MOST_PRIORITY), name=host),
                )
        return Membership(tuple(members.values()), tuple(unusable)), ttl

    async def _targets(self, resolver: dns.asyncresolver.Resolver, hosts: set[str]) -> dict[str, _Found]:
        """What is known of each; one that fails hurts no other."""
        gate = asyncio.Semaphore(AT_ONCE)

        async def ask(host: str) -> _Found:
            async with gate:
                try:
                    async with asyncio.timeout(PATIENCE):
                        return await _addresses(resolver, host, TYPES["address"])
                except (TimeoutError, dns.exception.Timeout):
                    error = f"no answer within {PATIENCE:g}s"
                except (dns.exception.DNSException, OSError) as problem:
                    error = _words(problem)
            last = self._known.get(host)
            if last is None or not last.addresses:
                return _Found((), NEGATIVE, error)
            return _Found(last.addresses, NEGATIVE, f"its last addresses stay: {error}")

        ordered = sorted(hosts)
        return dict(zip(ordered, await asyncio.gather(*map(ask, ordered)), strict=True))


class ResolveProvider:
    """The servers of one service that are written as names. Where an address is there twice, the first
    counts. A name that fails is an error for all of them: what they were stays in force."""

    def __init__(
        self, servers: tuple[ResolvedServer, ...], name_servers: tuple[tuple[str, int], ...] = ()
    ) -> None:
        """`name_servers`: as in DnsQuery."""
        self._servers = servers
        self._name_servers = name_servers

    async def watch(self) -> AsyncGenerator[Membership, None]:
        """See the contract. Raises ProviderError alone."""
        resolver = _resolver(self._name_servers)
        now = asyncio.get_running_loop().time
        due = dict.fromkeys(self._servers, 0.0)
        found: dict[ResolvedServer, tuple[str, ...]] = {}
        told: Membership | None = None
        while True:
            for server in [one for one in self._servers if due[one] <= now()]:
                try:
                    answer = await _addresses(resolver, server.name, TYPES["address"])
                except (dns.exception.DNSException, OSError) as error:
                    raise ProviderError(f"DNS, {server.name}: {_words(error)}") from None
                found[server] = answer.addresses
                due[server] = now() + max(server.every, SHORTEST)
            members: dict[str, Member] = {}
            for one in self._servers:
                for address in found[one]:
                    joined = _joined(address, one.port)
                    made = Member(joined, one.weight, one.priority, name=one.name, backup=one.backup)
                    members.setdefault(joined, made)
            word = Membership(tuple(members.values()))
            if word != told:
                told = word
                yield word
            await asyncio.sleep(max(0.0, min(due.values()) - now()))


def _resolver(name_servers: tuple[tuple[str, int], ...]) -> dns.asyncresolver.Resolver:
    """`name_servers`: as in DnsQuery. Raises ProviderError."""
    try:
        resolver = dns.asyncresolver.Resolver(configure=not name_servers)
    except (dns.exception.DNSException, OSError) as error:
        raise ProviderError(f"DNS: the system's name servers are not known: {_words(error)}") from None
    if name_servers:
        resolver.nameservers = [dns.nameserver.Do53Nameserver(*one) for one in name_servers]
    resolver.lifetime = PATIENCE
    return resolver


async def _addresses(resolver: dns.asyncresolver.Resolver, name: str, types: tuple[str, ...]) -> _Found:
    answers = [await _resolve(resolver, name, kind) for kind in types]
    texts = sorted({one.address for answer in answers for one in answer or ()})
    there = [_ttl(answer) for answer in answers if answer is not None and answer.rrset is not None]
    return _Found(tuple(texts), min(there, default=NEGATIVE))


async def _resolve(resolver: dns.asyncresolver.Resolver, name: str, kind: str) -> dns.resolver.Answer | None:
    """None: the name does not exist."""
    try:
        return await resolver.resolve(name, kind, raise_on_no_answer=False, search=False)
    except dns.resolver.NXDOMAIN:
        return None


def _ttl(answer: dns.resolver.Answer | None) -> float:
    return NEGATIVE if answer is None or answer.rrset is None else float(answer.rrset.ttl)


def _joined(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _words(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
