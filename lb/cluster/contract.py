"""The contract of coordination engines: a lock that gives terms, and a small store that checks them.

Lives here: what an engine is, its records and its errors. Must not live here: any engine (one file each in
lb.cluster.engines), when to renew or step down (lb.cluster.elector), what is stored (lb.cluster.shared).

The lock is an optimisation, the compare in the write is the safety: a holder can be paused for longer than
its lease and not know. So whatever leaders write goes through `commit`, which checks **inside the store's
own transaction** that the term still holds.

Keys are relative to the cluster's name, of `[a-z0-9/._-]`, without a slash at either end. Versions are the
engine's own, at least 1, and change with every write that changes a key; 0 stands for "is not there".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

MARGIN = 0.15  # of a lease: what clocks of two machines may differ in speed, and what thread switches take
MOST_WRITES = 30  # in one commit: Consul 1.8 takes 64 operations, and a write can need two

_KEY = re.compile(r"(?!\.{1,2}(/|\Z))[a-z0-9._-]+(/(?!\.{1,2}(/|\Z))[a-z0-9._-]+)*\Z")


class Term(NamedTuple):
    """A time of leadership. `epoch`: grows with every change of the holder, over all of the store's life;
    `deadline`: time.monotonic() of this machine, counted from **before** the request that the engine granted
    was sent, less a margin for clocks that run at different speeds. Past it the holder is no leader, whatever
    anybody says. `proof`: what the engine needs to recognise it (a session, a lease, a token)."""

    epoch: int
    deadline: float
    proof: str = ""


class Holder(NamedTuple):
    """Who holds the lock as the store sees it now; `node` is the name given to `acquire`."""

    node: str
    epoch: int


class Entry(NamedTuple):
    value: bytes
    version: int


class Write(NamedTuple):
    """`value` None: delete. `version`: the one that the key must have, 0: it must not be there; None: any."""

    key: str
    value: bytes | None
    version: int | None = None


class EngineError(Exception):
    """The engine cannot be asked now, or answers nonsense. Nothing is known of a write that was under way: it
    may have happened. The text names engine and address, for an operator, and holds no secret."""


class Deposed(EngineError):  # noqa: N818  (what happened, not a failure)
    """The term does not hold any more: somebody else may lead. Nothing was written."""


class Conflict(EngineError):  # noqa: N818
    """A key does not have the version that was expected: somebody else was faster. Nothing was written."""


def deadline(before: float, ttl: float) -> float:
    """The deadline of a term of `ttl` seconds whose request was sent at `before` (time.monotonic())."""
    return before + ttl * (1 - MARGIN)


def is_key(text: str) -> bool:
    return _KEY.match(text) is not None


def check(writes: Sequence[Write], limit: int) -> None:
    """Raises ValueError for what no caller may ask: a key that is none, one key twice, more than MOST_WRITES,
    values of more than `limit` bytes together."""
    for write in writes:
        if not is_key(write.key):
            raise ValueError(f"not a key: {write.key!r}")
    if len({write.key for write in writes}) != len(writes):
        raise ValueError("one key is written twice in one commit")
    if len(writes) > MOST_WRITES:
        raise ValueError(f"{len(writes)} writes in one commit; at most {MOST_WRITES}")
    size = sum(len(write.value or b"") for write in writes)
    if size > limit:
        raise ValueError(f"{size} bytes in one write; at most {limit}: store them in pieces")


class Engine(Protocol):
    """One connection to a store on behalf of one cluster. Used by one event loop; never blocks it. Every
    call ends within the time-out that the engine was made with, or raises EngineError. Cancelling a call
    leaves the engine usable."""

    name: str
    """local, consul, etcd, zookeeper or redis."""
    value_limit: int
    """Bytes that one value, and all the values of one commit together, may have; what is larger is stored in
    pieces, by `put`."""

    async def close(self) -> None:
        """Let go of connections; a term that is held is left to lapse (`release` gives it back)."""

    # the lock

    async def acquire(self, node: str, ttl: float, above: int = 0) -> Term | None:
        """Try once to hold the lock for `ttl` seconds; None where somebody else holds it. The holder is this
        engine object, not the name: two with one `node` are two. A call after one whose answer got lost, or
        while this object holds the lock, ends that term and gets a new one. The epoch is above the store's
        last one and above `above`: the highest that this node remembers, so that a store which lost its
        memory does not begin anew with epochs that everybody refuses."""
        ...

    async def renew(self, term: Term) -> Term:
        """The same epoch with a later deadline. Raises Deposed where the term is over."""
        ...

    async def release(self, term: Term) -> None:
        """Give the lock back at once. Raises Deposed where it was not held any more."""
        ...

    async def holder(self) -> Holder | None:
        """Who holds it as the store says, not a replica that may be behind where there is a choice."""
        ...

    # the store

    async def get(self, key: str) -> Entry | None: ...

    async def list(self, prefix: str) -> Mapping[str, Entry]:
        """All entries whose key begins with `prefix` and a slash, by key."""
        ...

    async def put(self, write: Write) -> int:
        """Write without a term: what belongs to a node alone, or is named by its own digest. The new version
        (0 after a delete). Raises Conflict."""
        ...

    async def commit(self, term: Term, writes: Sequence[Write]) -> None:
        """Write all or nothing, in one transaction that checks that `term` holds and every version given.
        Raises Deposed or Conflict, after which nothing was written; Deposed where both are true; ValueError
        (here and in `put`) for what `check` refuses."""
        ...

    async def changed(self, prefix: str, wait: float) -> bool:
        """Wait until something below `prefix` may have changed since the last call for it returned (the
        first one: since it was called), at most `wait` seconds; whether it may have. Spurious ones are
        allowed, lost ones are not."""
        ...
