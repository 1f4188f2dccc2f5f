"""One session with ZooKeeper: kazoo's threads on one side, the loop on the other.

Lives here: starting and ending a session, waiting for answers, what a failure is called. Must not live here:
what is asked (lb.cluster.engines.zookeeper).

kazoo would keep a request for a server that is away, and send it whenever there is one again. So nothing is
asked while there is no connection; what is under way when it breaks fails.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from kazoo.client import KazooClient
from kazoo.exceptions import KazooException, NodeExistsError, RolledBackError, RuntimeInconsistency
from kazoo.protocol.states import KazooState
from kazoo.retry import KazooRetry
from kazoo.security import CREATOR_ALL_ACL

from lb.cluster.contract import EngineError
from lb.config.cluster import EngineTlsSpec

POLL = 0.02  # seconds between two looks whether there is a connection

# kazoo tells every request at its lowest level, the one with the password among them. What matters to an
# operator is in the errors.
_SILENT = logging.Logger("lb.cluster.zookeeper", logging.CRITICAL)
_SILENT.addHandler(logging.NullHandler())


class Access(NamedTuple):
    """How ZooKeeper is reached. Its text holds no secret."""

    servers: tuple[str, ...]
    user: str
    password: str
    tls: EngineTlsSpec | None

    def __repr__(self) -> str:
        return f"Access({','.join(self.servers)})"

    @property
    def where(self) -> str:
        """For messages."""
        return f"zookeeper at {','.join(self.servers)}"


class Session:
    """A session that lives `lease` seconds without a connection; another one follows it then. `broken` is
    called, in a thread of kazoo's, as soon as the connection is lost."""

    def __init__(
        self, access: Access, lease: float, timeout: float, broken: Callable[[], None] | None = None
    ) -> None:
        self._access = access
        self._timeout = timeout
        self._broken = broken
        self._loop = asyncio.get_running_loop()
        tls = access.tls
        self._client = KazooClient(
            hosts=",".join(access.servers),
            timeout=lease,
            logger=_SILENT,
            connection_retry=KazooRetry(max_tries=-1, delay=0.05, backoff=2, max_delay=1.0),
            auth_data=[("digest", f"{access.user}:{access.password}")] if access.user else None,
            default_acl=CREATOR_ALL_ACL if access.user else None,
            use_ssl=tls is not None,
            ca=tls.ca if tls else None,
            certfile=tls.cert if tls else None,
            keyfile=tls.key if tls else None,
            verify_certs=tls.verify if tls else True,
            check_hostname=tls.verify if tls else False,
        )
        self._client.add_listener(self._changed)
        self._client.start_async()
        self._closing: threading.Thread | None = None

    @property
    def identity(self) -> int:
        """What ZooKeeper calls this session; 0: none yet."""
        known = self._client.client_id
        return int(known[0] or 0) if known else 0

    @property
    def lease(self) -> float:
        """Seconds that the server agreed to."""
        return float(self._client._session_timeout) / 1000

    def end(self) -> None:
        """End the session, and with it what it holds, without waiting. May be called in any thread."""
        if self._closing is None:
            self._closing = threading.Thread(target=self._stop, name="lb-zookeeper-end", daemon=True)
            self._closing.start()

    async def ask(self, call: str, *arguments: Any, **more: Any) -> Any:
        """What KazooClient's `call`_async gives. Raises EngineError, and kazoo's own errors for what the
        server says of nodes (NoNodeError …)."""
        return await self._answer(lambda: getattr(self._client, f"{call}_async")(*arguments, **more))

    async def transaction(self, *operations: tuple[Any, ...]) -> list[Any] | int:
        """The results of operations such as ("check", path, version), or the position of the one that
        failed: nothing happened then."""

        def begin() -> Any:
            transaction = self._client.transaction()
            for name, *arguments in operations:
                getattr(transaction, name)(*arguments)
            return transaction.commit_async()

        results: list[Any] = await self._answer(begin)
        for position, result in enumerate(results):
            if isinstance(result, Exception) and not isinstance(
                result, RolledBackError | RuntimeInconsistency
            ):
                if type(result).__name__ not in _REFUSALS:
                    raise EngineError(f"{self._access.where}: {_words(result)}")
                return position
        if len(results) != len(operations) or any(isinstance(one, Exception) for one in results):
            raise EngineError(f"{self._access.where}: the answer makes no sense")
        return results

    async def make(self, path: str, value: bytes = b"") -> None:
        """A node, and those above it, where it is not there."""
        with contextlib.suppress(NodeExistsError):
            await self.ask("create", path, value, makepath=True)

    async def _answer(self, begin: Callable[[], Any]) -> Any:
        end = time.monotonic() + self._timeout
        while not self._client.connected:
            if time.monotonic() > end or self._closing is not None:
                raise EngineError(f"{self._access.where}: no connection")
            await asyncio.sleep(POLL)
        future: asyncio.Future[Any] = self._loop.create_future()

        def settle(result: Any) -> None:
            if not future.done():
                if result.exception is None:
                    future.set_result(result.value)
                else:
                    future.set_exception(result.exception)

        try:
            begin().rawlink(lambda result: self.in_loop(settle, result))
            async with asyncio.timeout_at(asyncio.get_running_loop().time() + end - time.monotonic()):
                return await future
        except TimeoutError:
            raise EngineError(f"{self._access.where}: no answer in {self._timeout:g} s") from None
        except KazooException as error:
            if type(error).__name__ in _REFUSALS:
                raise
            raise EngineError(f"{self._access.where}: {_words(error)}") from None
        except (OSError, ValueError, AttributeError, TypeError) as error:  # kazoo, of a closed connection
            raise EngineError(f"{self._access.where}: {_words(error)}") from None

    def in_loop(self, call: Callable[..., None], *arguments: Any) -> None:
        """Call it in the loop, from any thread."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            self._loop.call_soon_threadsafe(call, *arguments)

    def _changed(self, state: str) -> None:
        if state != KazooState.CONNECTED and self._broken is not None:
            self._broken()

    def _stop(self) -> None:
        with contextlib.suppress(Exception):  # kazoo raises what happens to its threads and sockets
            self._client.stop()
        with contextlib.suppress(Exception):
            self._client.close()


# What the server says of nodes; everything else says that it could not be asked.
_REFUSALS = {"NoNodeError", "NodeExistsError", "BadVersionError"}


def _words(error: Exception) -> str:
    return f"{type(error).__name__} {error}".strip()
