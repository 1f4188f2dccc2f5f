"""Asking Consul over HTTP: one question to one of the agents, the answer read strictly and up to a bound.

Lives here: the session, fail-over between agents, tokens and TLS on every question, headers of the answer,
refusals in an operator's words. Must not live here: when to ask and what the answer says.

It is built on aiohttp itself and not on py-consul: of that a subclass would have replaced the transport, the
callbacks, the consistency modes, the errors (they repeat whole bodies) and the index; and CONSUL_HTTP_TOKEN
in the environment would win over the configured token, unseen.
"""

from __future__ import annotations

import asyncio
import os
import re
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Self

import aiohttp
from msgspec import Struct

from lb.discovery.consul_bell import Bell
from lb.discovery.consul_files import Tls, Token
from lb.discovery.consul_settings import ConsulConnection
from lb.discovery.contract import ProviderError

MOST_BODY = 64 * 2**20  # bytes of an answer
MOST_REFUSAL = 300  # bytes of a refusal that are repeated to the operator
CONNECT_TIME = 5.0  # seconds
ANSWER_TIME = 10.0  # seconds for an answer that does not block; added to the wait of those that do
WHERE = ("dc", "ns", "partition")  # parameters
MOST_SHORT = 20  # questions at once that do not block: hundreds of services begin together
RETURN_TIME = 60.0  # seconds after which the first agent is tried again
WAIT_REFUSED = 10.0  # seconds to leave an agent alone that refuses our token
WAIT_BUSY = 5.0  # the same where there are too many requests, and it does not say for how long
WAIT_LEADERLESS = 2.0
LONGEST_WAIT = 60.0

_NUMBER = re.compile(r"[0-9]{1,20}\Z")


class Answer(Struct, frozen=True):
    """`index`: None where there was none; `age`: seconds since the server that answered heard of a leader."""

    body: bytes
    index: int | None = None
    age: float = 0.0
    leader: bool = True


class AgentError(ProviderError):
    """This agent failed; another one may do better."""


class ConsulClient:
    """The agents of one connection, for any number of Providers. Used as `async with`: the connections close
    with the last one that leaves. `news`: how many answers brought some, to all Providers together."""

    def __init__(self, connection: ConsulConnection, clock: Callable[[], float] | None = None) -> None:
        self.connection = connection
        self.news = 0
        self._clock = clock
        self._token = Token(connection)
        self._tls = Tls(connection.tls)
        self._session: aiohttp.ClientSession | None = None
        self._users = 0
        self._watches = 0
        self._bells: dict[tuple[tuple[str, str], ...], Bell] = {}
        self._current = 0  # the agent that is asked
        self._short = asyncio.Semaphore(MOST_SHORT)
        self._return_at = 0.0  # when the first one is tried again

    async def __aenter__(self) -> Self:
        self._users += 1
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=10),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"accept": "application/json", "accept-encoding": "identity", "user-agent": "lb"},
                auto_decompress=False,
                trust_env=False,
            )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._users -= 1
        if not self._users and self._session is not None:
            session, self._session = self._session, None
            await session.close()

    def take_watch(self) -> bool:
        """A place for a question that blocks; False where `max_watches` of them are open: an agent refuses
        further connections of one address (http_max_conns_per_client, 200)."""
        if self._watches >= self.connection.max_watches:
            return False
        self._watches += 1
        return True

    def free_watch(self) -> None:
        self._watches -= 1

    def bell(self, query: Mapping[str, str]) -> Bell:
        """That of the part of Consul which `query` asks, for questions without such a place."""
        where = {name: query[name] for name in WHERE if name in query}
        return self._bells.setdefault(tuple(where.items()), Bell(self, where))

    async def ask(self, path: str, query: Mapping[str, str], index: int = 0, stale: bool = False) -> Answer:
        """`path` as it stands in the URL. `index`: above 0 the answer comes when there is a newer one, or
        after the connection's wait and its sixteenth. Each agent is tried once, the later ones without index.
        Raises ProviderError."""
        if index:
            return await self._try(path, query, index, stale)
        async with self._short:
            return await self._try(path, query, index, stale)

    async def _try(self, path: str, query: Mapping[str, str], index: int, stale: bool) -> Answer:
        problem: AgentError | None = None
        for turn, place in enumerate(self._order(index)):
            try:
                answer = await self._ask(place, path, query, 0 if turn else index, stale)
            except AgentError as error:
                problem = problem or error
                self._leave(place)
            else:
                # others find the next agent by `_leave`; a question that was held says nothing of now
                if not place:
                    self._current = place
                return answer
        assert problem is not None
        raise ProviderError(str(problem), problem.wait)

    def _order(self, index: int) -> list[int]:
        places = range(len(self.connection.addresses))
        first = self._current
        if first and not index and self._now() >= self._return_at:
            self._return_at = self._now() + RETURN_TIME
            first = 0
        return sorted(places, key=lambda place: (place - first) % len(places))

    def _leave(self, place: int) -> None:
        """Many Providers learn of a dead agent at once: only the first of them moves on."""
        if place == self._current:
            self._current = (place + 1) % len(self.connection.addresses)
        self._return_at = self._now() + RETURN_TIME

    def _now(self) -> float:
        return (self._clock or asyncio.get_running_loop().time)()

    async def tell(self, path: str, body: bytes = b"") -> None:
        """Tell the first agent, and no other: what is told is about this machine. Raises ProviderError."""
        assert self._session is not None, "ConsulClient is used as a context"
        connection = self.connection
        address = connection.addresses[0]
        where = {"ns": connection.namespace, "partition": connection.partition}
        token = self._token.token()
        with _failing(address, ANSWER_TIME):
            async with self._session.put(
                address + path,
                params={name: value for name, value in where.items() if value},
                data=body,
                headers={"x-consul-token": token} if token else None,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=ANSWER_TIME, sock_connect=CONNECT_TIME),
                ssl=self._tls.current() if address.startswith("https:") else True,
                server_hostname=connection.tls.server_name or None,
            ) as response:
                if response.status != 200:
                    raise await _refusal(address, response, bool(token), "write")

    async def _ask(self, place: int, path: str, query: Mapping[str, str], index: int, stale: bool) -> Answer:
        assert self._session is not None, "ConsulClient is used as a context"
        address = self.connection.addresses[place]
        asked = dict(query)
        limit = ANSWER_TIME
        if stale:
            asked["stale"] = ""
        if index:
            wait = self.connection.wait
            asked |= {"index": str(index), "wait": f"{int(wait * 1000)}ms"}
            limit += wait * 17 / 16  # the servers spread the ends of waits by up to a sixteenth
        token = self._token.token()
        with _failing(address, limit):
            async with self._session.get(
                address + path,
                params=asked,
                headers={"x-consul-token": token} if token else None,
                allow_redirects=False,  # the token is for this address
                timeout=aiohttp.ClientTimeout(total=limit, sock_connect=CONNECT_TIME),
                ssl=self._tls.current() if address.startswith("https:") else True,
                server_hostname=self.connection.tls.server_name or None,
            ) as response:
                if response.status != 200:
                    raise await _refusal(address, response, bool(token))
                return await _answer(address, response)
        raise AssertionError("it returns or raises")


@contextmanager
def _failing(address: str, limit: float) -> Iterator[None]:
    """What goes wrong on the way, in an operator's words."""
    try:
        yield
    except aiohttp.ConnectionTimeoutError:
        raise AgentError(f"Consul at {address} cannot be reached within {CONNECT_TIME:g}s") from None
    except TimeoutError:
        raise AgentError(f"Consul at {address} gave no answer within {limit:g}s") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise AgentError(f"Consul at {address} cannot be asked: {_cause(error)}") from None


async def _answer(address: str, response: aiohttp.ClientResponse) -> Answer:
    headers = response.headers
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise AgentError(f"Consul at {address} answered in an encoding that was not asked for")
    leader = headers.get("x-consul-knownleader", "true").lower()
    if leader not in ("true", "false"):
        raise AgentError(f"{address} is no Consul: X-Consul-KnownLeader is neither true nor false")
    index = _number(address, response, "X-Consul-Index")
    contact = _number(address, response, "X-Consul-LastContact")
    body = await _read(response, MOST_BODY + 1)
    if len(body) > MOST_BODY:
        raise AgentError(f"the answer of Consul at {address} is longer than {MOST_BODY} bytes")
    return Answer(body, index, (contact or 0) / 1000, leader == "true")


async def _refusal(
    address: str, response: aiohttp.ClientResponse, token: bool, right: str = "read"
) -> ProviderError:
    status = response.status
    if 300 <= status < 400:
        return AgentError(f"{address} is no agent of Consul: it redirects (HTTP {status})")
    said = await _read(response, MOST_REFUSAL)
    words = "".join(c if c.isprintable() else " " for c in said.decode("utf-8", "replace")).strip()
    told = f"Consul at {address} refused (HTTP {status}): {words or 'without a reason'}"
    if status == 429:
        after = response.headers.get("retry-after", "")
        wait = float(after) if _NUMBER.match(after) else WAIT_BUSY
        return ProviderError(told, min(LONGEST_WAIT, max(1.0, wait)))  # asking elsewhere makes it worse
    if status in (401, 403):
        which = f"the token has not the right to {right} this" if token else "it wants a token"
        return ProviderError(f"{told}; {which}", WAIT_REFUSED)
    if "No cluster leader" in words:
        return AgentError(told, WAIT_LEADERLESS)
    if status >= 500:
        return AgentError(told)
    return ProviderError(told, WAIT_REFUSED)


async def _read(response: aiohttp.ClientResponse, most: int) -> bytes:
    """Up to `most` bytes of the body."""
    parts = bytearray()
    async for part in response.content.iter_chunked(2**16):
        parts += part
        if len(parts) >= most:
            break
    return bytes(parts[:most])


def _number(address: str, response: aiohttp.ClientResponse, header: str) -> int | None:
    text = response.headers.get(header)
    if text is None:
        return None
    if not _NUMBER.match(text):
        raise AgentError(f"{address} is no Consul: its header {header} is not a number")
    return int(text)


def _cause(error: Exception) -> str:
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(cause, OSError) and cause.errno and cause.errno > 0 and not isinstance(cause, ssl.SSLError):
        return os.strerror(cause.errno)  # what asyncio says has no reason in it
    return str(cause) or type(cause).__name__
