"""etcd's JSON gateway: what is sent and what comes back.

Lives here: base64, whole numbers as text, fields that are left out when they are 0, logging in. Must not live
here: what keys mean (lb.cluster.engines.etcd).
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from lb.cluster.contract import EngineError
from lb.cluster.engines.http import Answer, Http, shown

Json = dict[str, Any]


class Pair(NamedTuple):
    """`version`: the revision of its last change."""

    key: str
    value: bytes
    version: int


class Done(NamedTuple):
    """`found`: for every `fetch` of the branch that ran, what it found."""

    succeeded: bool
    revision: int
    found: list[list[Pair]]


def compare(key: str, version: int) -> Json:
    """Whether `key` has `version`; 0: is not there."""
    return {"key": _coded(key), "target": "MOD", "result": "EQUAL", "mod_revision": str(version)}


def fetch(key: str, below: bool = False) -> Json:
    """The key, or all that begin with it."""
    return {"request_range": {"key": _coded(key), **({"range_end": _coded(_after(key))} if below else {})}}


def store(key: str, value: bytes, lease: int = 0) -> Json:
    return {
        "request_put": {"key": _coded(key), "value": base64.b64encode(value).decode(), "lease": str(lease)}
    }


def delete(key: str) -> Json:
    return {"request_delete_range": {"key": _coded(key)}}


class Gateway:
    """Every call raises EngineError."""

    def __init__(self, http: Http, user: str = "", password: str = "") -> None:
        self._http = http
        self._user = user
        self._password = password
        self._token = ""

    async def close(self) -> None:
        await self._http.close()

    @property
    def where(self) -> str:
        """For messages."""
        return self._http.where

    async def read(self, *fetches: Json) -> list[list[Pair]]:
        """What each of `fetches` finds, at one moment, confirmed by a majority."""
        return (await self._transaction({"success": list(fetches)}, safe=True)).found

    async def write(
        self, compares: Sequence[Json], writes: Sequence[Json], otherwise: Sequence[Json] = ()
    ) -> Done:
        """`writes` where all of `compares` hold, `otherwise` where not."""
        body = {"compare": list(compares), "success": list(writes), "failure": list(otherwise)}
        return await self._transaction(body, safe=False)

    async def _transaction(self, body: Json, safe: bool) -> Done:
        said = await self._ask("/v3/kv/txn", body, safe=safe)
        try:
            found = [
                [
                    Pair(
                        base64.b64decode(one["key"], validate=True).decode(),
                        base64.b64decode(one.get("value", ""), validate=True),
                        int(one["mod_revision"]),
                    )
                    for one in response["response_range"].get("kvs", ())
                ]
                for response in said.get("responses", ())
                if "response_range" in response
            ]
            return Done(said.get("succeeded", False) is True, int(said["header"]["revision"]), found)
        except (KeyError, TypeError, ValueError, AttributeError):
            raise self._nonsense("a transaction") from None

    async def revision(self) -> int:
        """The revision of the whole store, confirmed by a majority."""
        body = {"key": _coded("lb/"), "limit": "1", "keys_only": True}
        said = await self._ask("/v3/kv/range", body, safe=True)
        try:
            return int(said["header"]["revision"])
        except (KeyError, TypeError, ValueError):
            raise self._nonsense("a range") from None

    async def grant(self, ttl: int) -> int:
        """A new lease of at least `ttl` seconds."""
        said = await self._ask("/v3/lease/grant", {"TTL": str(ttl)})
        try:
            if int(said["TTL"]) >= ttl and int(said["ID"]):
                return int(said["ID"])
        except (KeyError, TypeError, ValueError):
            pass
        raise self._nonsense("a lease")

    async def keep_alive(self, lease: int) -> bool:
        """Begin the time of a lease anew; False where it is over."""
        said = await self._ask("/v3/lease/keepalive", {"ID": str(lease)}, safe=True)
        try:
            return int(said["result"].get("TTL", 0)) > 0
        except (KeyError, TypeError, ValueError, AttributeError):
            raise self._nonsense("a lease") from None

    async def revoke(self, lease: int) -> None:
        await self._ask("/v3/lease/revoke", {"ID": str(lease)})

    async def next_change(self, prefix: str, revision: int) -> int:
        """Waits for a change of a key that begins with `prefix`, at `revision` or later; the revision up to
        which all is seen, 0 where that past was compacted. Has no time-out of its own."""
        wanted = {"key": _coded(prefix), "range_end": _coded(_after(prefix)), "start_revision": str(revision)}
        if self._user and not self._token:
            await self._log_in()
        async with self._http.lines("/v3/watch", {"create_request": wanted}, self._authorization()) as lines:
            async for line in lines:
                try:
                    said = self._http.parsed(line)
                    result = said["result"]
                    if result.get("events"):
                        return max(revision, int(result["header"]["revision"]))
                    if int(result.get("compact_revision", 0)):
                        return 0
                    if result.get("canceled"):
                        self._token = ""  # it may be that: the next call finds out
                        reason = str(result.get("cancel_reason", "no reason given"))
                        raise EngineError(f"{self.where}: a watch was refused: {reason}")
                except (KeyError, TypeError, ValueError, AttributeError):
                    raise self._nonsense("a watch") from None
        raise EngineError(f"{self.where}: the watch ended")

    async def _ask(self, path: str, body: Json, safe: bool = False) -> Json:
        if self._user and not self._token:
            await self._log_in()
        answer = await self._http.ask("POST", path, body, self._authorization(), safe=safe)
        if self._user and answer.status == 401:
            await self._log_in()
            answer = await self._http.ask("POST", path, body, self._authorization(), safe=safe)
        return self._good(answer)

    async def _log_in(self) -> None:
        body = {"name": self._user, "password": self._password}
        said = self._good(await self._http.ask("POST", "/v3/auth/authenticate", body, safe=True))
        self._token = str(said.get("token", ""))

    def _authorization(self) -> Mapping[str, str]:
        return {"Authorization": self._token} if self._token else {}

    def _good(self, answer: Answer) -> Json:
        if answer.status != 200:
            raise EngineError(f"{self.where}: status {answer.status}{shown(answer.body)}")
        said = self._http.parsed(answer.body)
        if not isinstance(said, dict):
            raise self._nonsense("an answer")
        return said

    def _nonsense(self, what: str) -> EngineError:
        return EngineError(f"{self.where}: {what} without what belongs to it")


def _coded(key: str) -> str:
    return base64.b64encode(key.encode()).decode()


def _after(prefix: str) -> str:
    """The first key after those that begin with `prefix`."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)
