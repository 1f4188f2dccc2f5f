"""The DNS Provider: the servers of a service as the records of a name, asked for again when they expire.

Lives here: what records mean, when they are asked for again. Must not live here: the protocol (dnspython).

Names are asked for over TCP. Into a datagram a server puts what it likes, and need not say that it left out
the rest: Consul names three of thirty servers, others each time. Where nobody can be reached by TCP, UDP is
used.

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
ATTEMPT = 1.0  # seconds for one of them
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
    """`error`: why nothing is known of a name now."""

    addresses: tuple[str, ...]
    ttl: float
    error: str = ""

    @property
    def trouble(self) -> str:
        """Why there are no addresses; "" where there are."""
        if self.error:
            return f"what was known of it stays: {self.error}"
        return "" if self.addresses else "the name has no address"


class _Resolver(dns.asyncresolver.Resolver):
    """`datagrams_until`: the loop's time up to which TCP is not tried, as what was sent by it got lost."""

    datagrams_until = 0.0


class DnsProvider:
    """One per service."""

    def __init__(self, query: DnsQuery) -> None:
        self._query = query

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

    async def _ask(self, resolver: _Resolver) -> tuple[Membership, float]:
        if self._query.records == "srv":
            return await self._services(resolver)
        found = await _addresses(resolver, self._query.name, TYPES[self._query.records])
        members = tuple(Member(_joined(address, self._query.port)) for address in found.addresses)
        return Membership(members), found.ttl

    async def _services(self, resolver: _Resolver) -> tuple[Membership, float]:
        answer = await _resolve(resolver, self._query.name, "SRV")
        ttl = _ttl(answer)
        records = sorted(
            answer or (), key=lambda one: (one.priority, one.target.to_text(), one.port)
        )  # ranks do not depend on the order in which a server shuffles them
        ranks = {priority: rank for rank, priority in enumerate(sorted({one.priority for one in records}))}
        members: dict[str, Member] = {}
        unusable = []
        hosts = [one.target.to_text(omit_final_dot=True) for one in records[:MOST_TARGETS]]
        known = await _hosts(resolver, set(hosts) - {"", ".", "@"})
        silent = _silent(known, f"{self._query.name}: none of its targets answers; ")
        ttl = min([ttl, *(found.ttl for found in known.values())])
        for one, host in zip(records, hosts, strict=False):
            if host not in known:  # ".": "decidedly not available at this domain"
                continue
            if reason := known[host].trouble:
                unusable.append(Unusable(f"{host}:{one.port}", reason))
            for address in known[host].addresses:
                joined = _joined(address, one.port)
                # Weight 0 is "a very small chance" (RFC 2782); here it would be none.
                members.setdefault(
                    joined,
                    Member(joined, max(1, one.weight), min(ranks[one.priority], MOST_PRIORITY), name=host),
                )
        return Membership(tuple(members.values()), tuple(unusable), silent=silent), ttl


class ResolveProvider:
    """The servers of one service that are written as names. Where an address is there twice, the first
    counts."""

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
        known: dict[str, _Found] = {}
        told: Membership | None = None
        while True:
            asked = [one for one in self._servers if due[one] <= now()]
            known |= await _hosts(resolver, {one.name for one in asked})
            silent = _silent(known)
            for one in asked:
                wait = min(one.every, NEGATIVE) if known[one.name].error else one.every
                due[one] = now() + max(wait, SHORTEST)
            members: dict[str, Member] = {}
            unusable = []
            for one in self._servers:
                if reason := known[one.name].trouble:
                    unusable.append(Unusable(f"{one.name}:{one.port}", reason))
                for address in known[one.name].addresses:
                    joined = _joined(address, one.port)
                    made = Member(joined, one.weight, one.priority, name=one.name, backup=one.backup)
                    members.setdefault(joined, made)
            word = Membership(tuple(members.values()), tuple(unusable), silent=silent)
            if word != told:
                told = word
                yield word
            await asyncio.sleep(max(0.0, min(due.values()) - now()))


def _resolver(name_servers: tuple[tuple[str, int], ...]) -> _Resolver:
    """`name_servers`: as in DnsQuery. Raises ProviderError."""
    try:
        resolver = _Resolver(configure=not name_servers)
    except (dns.exception.DNSException, OSError) as error:
        raise ProviderError(f"DNS: the system's name servers are not known: {_words(error)}") from None
    if name_servers:
        resolver.nameservers = [dns.nameserver.Do53Nameserver(*one) for one in name_servers]
    resolver.timeout = ATTEMPT
    return resolver


async def _hosts(resolver: _Resolver, names: set[str]) -> dict[str, _Found]:
    """The addresses of each; one that fails hurts no other."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def ask(name: str) -> _Found:
        async with gate:
            try:
                async with asyncio.timeout(PATIENCE):
                    return await _addresses(resolver, name, TYPES["address"])
            except (TimeoutError, dns.exception.Timeout):
                error = f"no answer within {PATIENCE:g}s"
            except (dns.exception.DNSException, OSError) as problem:
                error = _words(problem)
        return _Found((), NEGATIVE, error)

    ordered = sorted(names)
    return dict(zip(ordered, await asyncio.gather(*map(ask, ordered)), strict=True))


def _silent(known: dict[str, _Found], of: str = "") -> tuple[str, ...]:
    """The names that do not answer. Raises ProviderError where none does."""
    silent = tuple(name for name, found in sorted(known.items()) if found.error)
    if silent and len(silent) == len(known):
        raise ProviderError(f"DNS, {of}{silent[0]}: {known[silent[0]].error}")
    return silent


async def _addresses(resolver: _Resolver, name: str, types: tuple[str, ...]) -> _Found:
    answers = [await _resolve(resolver, name, kind) for kind in types]
    texts = sorted({one.address for answer in answers for one in answer or ()})
    there = [_ttl(answer) for answer in answers if answer is not None and answer.rrset is not None]
    return _Found(tuple(texts), min(there, default=NEGATIVE))


async def _resolve(resolver: _Resolver, name: str, kind: str) -> dns.resolver.Answer | None:
    """None: the name does not exist."""
    now = asyncio.get_running_loop().time
    end, lost = now() + PATIENCE, False
    try:
        if now() >= resolver.datagrams_until:
            try:
                return await _asked(resolver, name, kind, PATIENCE / 2, tcp=True)
            except (dns.resolver.NoNameservers, dns.resolver.LifetimeTimeout) as error:
                if any(response is not None for *_, response in error.kwargs["errors"]):
                    raise  # it was reached, and refuses
                lost = isinstance(error, dns.resolver.LifetimeTimeout)
        answer = await _asked(resolver, name, kind, end - now(), tcp=False)
    except dns.resolver.NXDOMAIN:
        return None
    if lost:
        resolver.datagrams_until = now() + LONGEST
    return answer


async def _asked(
    resolver: _Resolver, name: str, kind: str, seconds: float, *, tcp: bool
) -> dns.resolver.Answer:
    return await resolver.resolve(
        name, kind, tcp=tcp, raise_on_no_answer=False, search=False, lifetime=seconds
    )


def _ttl(answer: dns.resolver.Answer | None) -> float:
    """Of the record that expires first, where one name stands for another."""
    return NEGATIVE if answer is None or answer.rrset is None else float(answer.chaining_result.minimum_ttl)


def _joined(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _words(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
