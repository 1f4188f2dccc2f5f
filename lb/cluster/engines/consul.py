"""The Consul engine: a session holds the lock, a transaction checks session and epoch.

Lives here: lock, epochs and store on Consul's sessions and key-value store. Must not live here: which agent
is asked (lb.cluster.engines.http); the catalogue (lb.discovery).

    lb/NAME/lead/lock     locked by the holder's session; its value names the holder
    lb/NAME/lead/epoch    the last epoch, written in the transaction that takes the lock
    lb/NAME/keys/KEY      what is stored

The epoch is a key of its own and not the lock's ModifyIndex: it is dense, and can be lifted above what nodes
remember after the store lost its memory. A term's proof is the session and the ModifyIndex of the epoch, so
that the same session with a later term is told apart. Every commit checks both; that is why the session asks
for no lock-delay, which is for those who cannot check. Consul lets a session live up to twice its TTL.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from lb.cluster import contract
from lb.cluster.contract import Conflict, Deposed, EngineError, Entry, Holder, Term, Write
from lb.cluster.engines.http import Answer, Http, shown

LEAST_TTL = 10.0  # seconds; Consul takes no shorter session
JITTER = 16 / 17  # Consul waits up to a sixteenth longer than it is asked to

# Why an operation was refused, of a transaction that was understood. Others ("Permission denied") are errors.
_REFUSALS = (
    *("lock is already held", "lock isn't held", "failed session check", "failed to check session"),
    *("invalid session", "failed index check", "failed to check index", "index is stale", "exist"),
)

Operation = dict[str, Any]
Results = list[Any]
Operations = list[Operation]


class ConsulEngine:
    """See lb.cluster.contract.Engine."""

    name = "consul"
    value_limit = 256 * 1024  # the body of a transaction, in base64, is at most 512 KiB

    def __init__(self, http: Http, cluster: str) -> None:
        self._http = http
        self._lead = f"lb/{cluster}/lead"
        self._keys = f"lb/{cluster}/keys/"
        self._session = ""
        self._ttl = 0.0
        self._seen: dict[str, int] = {}

    async def close(self) -> None:
        await self._http.close()

    # the lock

    async def acquire(self, node: str, ttl: float, above: int = 0) -> Term | None:
        lock, epoch = await self._leads()
        owner = lock.get("Session", "")
        if owner and owner != self._session:
            return None
        self._ttl = ttl
        before = time.monotonic()
        await self._have_session(node, ttl)
        number = max(_number(_value(epoch)), above) + 1
        says = json.dumps({"node": node, "epoch": number}).encode()
        results = await self._transaction(
            _op("lock", f"{self._lead}/lock", says, Session=self._session),
            _op("cas", f"{self._lead}/epoch", str(number).encode(), Index=epoch.get("ModifyIndex", 0)),
        )
        if isinstance(results, int):
            return None
        return Term(number, contract.deadline(before, ttl), f"{self._session} {self._index_of(results[1])}")

    async def renew(self, term: Term) -> Term:
        session, index = _proof(term)
        before = time.monotonic()
        if not await self._renewed(session):
            raise self._over(term)
        lock, epoch = await self._leads()
        if lock.get("Session") != session or epoch.get("ModifyIndex") != index:
            raise self._over(term)
        return term._replace(deadline=contract.deadline(before, self._ttl))

    async def release(self, term: Term) -> None:
        session, index = _proof(term)
        results = await self._transaction(
            _op("unlock", f"{self._lead}/lock", b"", Session=session),
            _op("check-index", f"{self._lead}/epoch", Index=index),
        )
        if isinstance(results, int):
            raise self._over(term)

    async def holder(self) -> Holder | None:
        lock, epoch = await self._leads()
        if not lock.get("Session"):
            return None
        try:
            says = json.loads(_value(lock))
            return Holder(str(says["node"]), int(says["epoch"]))
        except (ValueError, KeyError, TypeError, RecursionError):
            return Holder("", _number(_value(epoch)))  # locked by somebody who is no lb

    async def _leads(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The keys `lock` and `epoch` as Consul shows them; {} where one is not there."""
        found = await self._below(f"{self._lead}/")
        return found.get(f"{self._lead}/lock", {}), found.get(f"{self._lead}/epoch", {})

    async def _have_session(self, node: str, ttl: float) -> None:
        if self._session and await self._renewed(self._session):
            return
        asked = {"Name": f"{self._lead} {node}", "TTL": f"{int(max(LEAST_TTL, ttl) * 1000)}ms",
                 "LockDelay": "0s", "Behavior": "release", "NodeChecks": []}  # fmt: skip
        answer = self._good(await self._http.ask("PUT", "/v1/session/create", asked))
        try:
            self._session = str(self._http.parsed(answer.body)["ID"])
        except (KeyError, TypeError):
            raise self._nonsense(answer) from None

    async def _renewed(self, session: str) -> bool:
        answer = await self._http.ask("PUT", f"/v1/session/renew/{session}", safe=True)
        if answer.status == 404:
            if session == self._session:
                self._session = ""
            return False
        self._good(answer)
        return True

    def _over(self, term: Term) -> Deposed:
        return Deposed(f"{self._http.where}: the term of epoch {term.epoch} is over")

    # the store

    async def get(self, key: str) -> Entry | None:
        path = f"/v1/kv/{quote(self._keys + key)}?consistent"
        answer = await self._http.ask("GET", path, safe=True)
        if answer.status == 404:
            return None
        for one in self._found(answer).values():
            return Entry(_value(one), one["ModifyIndex"])
        raise self._nonsense(answer)

    async def list(self, prefix: str) -> Mapping[str, Entry]:
        found = await self._below(f"{self._keys}{prefix}/")
        return {
            name.removeprefix(self._keys): Entry(_value(one), one["ModifyIndex"])
            for name, one in found.items()
        }

    async def put(self, write: Write) -> int:
        contract.check([write], self.value_limit)
        results = await self._transaction(*self._operations(write))
        if isinstance(results, int):
            raise self._raced(write)
        return 0 if write.value is None else self._index_of(results[-1])

    async def commit(self, term: Term, writes: Sequence[Write]) -> None:
        contract.check(writes, self.value_limit)
        session, index = _proof(term)
        steps = [(operation, write) for write in writes for operation in self._operations(write)]
        results = await self._transaction(
            _op("check-session", f"{self._lead}/lock", Session=session),
            _op("check-index", f"{self._lead}/epoch", Index=index),
            *(operation for operation, _ in steps),
        )
        if isinstance(results, int):
            if results < 2:
                raise self._over(term)
            raise self._raced(steps[results - 2][1])

    def _operations(self, write: Write) -> Operations:
        key = self._keys + write.key
        if write.value is not None:
            if write.version is None:
                return [_op("set", key, write.value)]
            return [_op("cas", key, write.value, Index=write.version)]
        if write.version is None:
            return [_op("delete", key)]
        if write.version == 0:
            return [_op("check-not-exists", key)]
        # delete-cas is content with a key that is not there
        return [_op("check-index", key, Index=write.version), _op("delete", key)]

    def _raced(self, write: Write) -> Conflict:
        return Conflict(f"{self._http.where}: {write.key} does not have the version {write.version}")

    async def changed(self, prefix: str, wait: float) -> bool:
        place = f"/v1/kv/{quote(f'{self._keys}{prefix}/')}?keys"
        begun = time.monotonic()
        if prefix not in self._seen:
            self._seen[prefix] = -1
            self._seen[prefix] = self._index(await self._http.ask("GET", place, safe=True))
        seen = self._seen[prefix]
        left = wait - (time.monotonic() - begun)
        if seen > 0 and left > 0.001:
            asked = left * JITTER
            answer = await self._http.ask(
                "GET", f"{place}&index={seen}&wait={max(1, int(asked * 1000))}ms", wait=left, safe=True
            )
        else:
            answer = await self._http.ask("GET", place, safe=True)
        index = self._index(answer)
        self._seen[prefix] = index
        return index != seen

    def _index(self, answer: Answer) -> int:
        if answer.status != 404:
            self._good(answer)
        index = answer.headers.get("X-Consul-Index", "")
        if not (index.isascii() and index.isdigit()):
            raise self._nonsense(answer)
        return max(1, int(index))  # with 0 the next question would not wait

    # what is sent and what comes

    async def _transaction(self, *operations: dict[str, Any]) -> Results | int:
        """The results, or the position of the first operation that was refused: nothing happened then."""
        answer = await self._http.ask("PUT", "/v1/txn", operations)
        if answer.status not in (200, 409):
            raise self._nonsense(answer)
        said = self._http.parsed(answer.body)
        try:
            if answer.status == 200 and not said["Errors"]:
                return [result["KV"] for result in said["Results"] or ()]
            refused = [(int(error["OpIndex"]), str(error["What"])) for error in said["Errors"]]
            if refused and all(any(word in what for word in _REFUSALS) for _, what in refused):
                return min(position for position, _ in refused)
        except (KeyError, TypeError, ValueError):
            pass
        raise self._nonsense(answer)

    async def _below(self, prefix: str) -> dict[str, dict[str, Any]]:
        answer = await self._http.ask("GET", f"/v1/kv/{quote(prefix)}?recurse&consistent", safe=True)
        return {} if answer.status == 404 else self._found(answer)

    def _found(self, answer: Answer) -> dict[str, dict[str, Any]]:
        said = self._http.parsed(self._good(answer).body)
        try:
            for one in said:
                base64.b64decode(one["Value"] or "", validate=True)
                if one["ModifyIndex"] < 1:
                    raise ValueError
            return {str(one["Key"]): one for one in said}
        except (KeyError, TypeError, ValueError):
            raise self._nonsense(answer) from None

    def _index_of(self, result: Any) -> int:
        try:
            return int(result["ModifyIndex"])
        except (KeyError, TypeError, ValueError):
            raise EngineError(
                f"{self._http.where}: a transaction without the index of what it wrote"
            ) from None

    def _good(self, answer: Answer) -> Answer:
        if answer.status != 200:
            raise self._nonsense(answer)
        return answer

    def _nonsense(self, answer: Answer) -> EngineError:
        return EngineError(f"{self._http.where}: status {answer.status}{shown(answer.body)}")


def _op(verb: str, key: str, value: bytes | None = None, **more: Any) -> dict[str, Any]:
    operation = {"Verb": verb, "Key": key, **more}
    if value is not None:
        operation["Value"] = base64.b64encode(value).decode()
    return {"KV": operation}


def _value(one: Mapping[str, Any]) -> bytes:
    return base64.b64decode(one.get("Value") or "")


def _number(text: bytes) -> int:
    return int(text) if text.isdigit() else 0


def _proof(term: Term) -> tuple[str, int]:
    session, _, index = term.proof.partition(" ")
    return session, int(index)
