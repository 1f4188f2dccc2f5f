"""What the admin API may see of the cluster and ask of it: the implementation of lb.admin.view.ClusterView.

Lives here: reading facts together, each with its age where the engine is away; wishes to the leader. Must not
live here: HTTP (lb.admin.cluster), doing anything itself (lb.cluster).
"""

from __future__ import annotations

import asyncio
import contextlib
import difflib
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from lb.admin.view import ClusterAnswer, Unavailable
from lb.cluster.contract import EngineError
from lb.cluster.records import CorruptError, Revision, Stage, Traffic, Wish
from lb.cluster.verdict import Way, quantile
from lb.cluster.wishing import UnheardError, ask
from lb.control.clustering import Clustering
from lb.telemetry.facts import ClusterFacts


class ClusterView:
    """Over one Clustering. What was read last is shown where the engine does not answer, with its age."""

    def __init__(self, clustering: Clustering) -> None:
        self._clustering = clustering
        self.everywhere = clustering.everywhere
        self._last: dict[str, tuple[float, Any]] = {}  # name: monotonic, what was read

    def engine(self) -> Mapping[str, Any]:
        reached, standing = self._clustering.follower.reached, self._clustering.electing.standing
        error = reached.error or standing.error
        return {
            "name": self._clustering.spec.engine, "reachable": not error,
            "age": _since(reached.at, time.monotonic()), "error": error,
        }  # fmt: skip

    async def status(self) -> Mapping[str, object]:
        it = self._clustering
        follower, standing, term = it.follower, it.electing.standing, it.electing.term
        now = time.monotonic()
        # Together: an engine that is silent costs one time-out, not three.
        (holder, _), (nodes, age), rollout = await asyncio.gather(
            self._read("holder", it.shared.engine.holder),
            self._read("nodes", it.shared.nodes),
            self._rollout(),
        )
        return {
            "name": it.spec.name,
            "node": it.node,
            "engine": self.engine(),
            "role": "leader" if term is not None else "follower",
            "term": None if term is None else {
                "epoch": term.epoch, "lasts": round(term.deadline - now, 3), "since": standing.since,
            },
            "leader": None if holder is None else holder._asdict(),
            "published": _shown(follower.head),
            "rollout": rollout,
            "seen": msgspec.structs.asdict(it.memory.seen),
            "running": msgspec.structs.asdict(follower.running),
            "trouble": follower.trouble,
            "shared_health": None if it.sharing is None else it.sharing.shown(),
            "nodes": [
                {**msgspec.structs.asdict(one), "age": round(time.time() - one.at, 1)} for one in nodes or ()
            ],
            "age": age,
        }  # fmt: skip

    async def history(self) -> Mapping[str, object]:
        found, age = await self._read("history", self._clustering.shared.history)
        if found is None:
            raise Unavailable(self._clustering.follower.reached.error or "it does not answer")
        return {"revisions": [_shown(one) for one in found], "age": age}

    async def document(self, number: int) -> tuple[Mapping[str, object], str]:
        try:
            revision = await self._clustering.shared.revision(number)
            data = await self._clustering.shared.document(revision)
        except EngineError as error:
            raise Unavailable(str(error)) from None
        except CorruptError as error:
            raise LookupError(str(error)) from None
        return _shown(revision) or {}, data.decode()

    async def diff(self, one: int, other: int) -> str:
        texts = [(await self.document(number))[1].splitlines(keepends=True) for number in (one, other)]
        lines = difflib.unified_diff(texts[0], texts[1], f"revision {one}", f"revision {other}")
        return "".join(line if line.endswith("\n") else line + "\n" for line in lines)

    async def push(
        self, text: bytes, base: int | None, file: str, author: str, message: str, stage: Stage | None
    ) -> ClusterAnswer:
        wish = Wish(
            kind="push", author=author, message=message, base=base, file=file, at=time.time(), stage=stage
        )
        return await self._ask(wish, text)

    async def end_rollout(self, promote: bool, base: int | None, author: str, message: str) -> ClusterAnswer:
        kind = Way.ON if promote else Way.BACK
        return await self._ask(
            Wish(kind=kind.value, author=author, message=message, base=base, at=time.time())
        )

    async def rollback(self, number: int, base: int | None, author: str, message: str) -> ClusterAnswer:
        return await self._ask(
            Wish(kind="rollback", author=author, message=message, base=base, revision=number, at=time.time())
        )

    async def resign(self, author: str) -> ClusterAnswer:
        return await self._ask(Wish(kind="resign", author=author, at=time.time()))

    def facts(self) -> ClusterFacts:
        """For the metrics; asks nobody."""
        it = self._clustering
        standing, term, reached = it.electing.standing, it.electing.term, it.follower.reached
        return ClusterFacts(
            name=it.spec.name,
            node=it.node,
            engine=it.spec.engine,
            leading=term is not None,
            epoch=it.memory.seen.epoch if term is None else term.epoch,
            revision=it.follower.running.revision,
            transitions=it.electing.transitions,
            renewal=standing.latency,
            lateness=standing.lateness,
            reachable=not (reached.error or standing.error),
            age=_since(reached.at, time.monotonic()),
            trouble=bool(it.follower.trouble),
            rollout=it.follower.head is not None and it.follower.head.stage is not None,
            disagreements=None if it.sharing is None else it.sharing.disagreements(),
            health_nodes=0 if it.sharing is None else len(it.sharing.nodes),
        )

    async def _rollout(self) -> dict[str, object] | None:
        """How the staged revision does; None where there is none."""
        head = self._clustering.follower.head
        if head is None or head.stage is None:
            return None
        progress, _ = await self._read("rollout", lambda: self._clustering.shared.progress(head.revision))
        found: dict[str, object] = {"revision": head.revision, **msgspec.structs.asdict(head.stage)}
        if progress is not None and progress.revision == head.revision:
            found |= {
                "watched": round(progress.watched, 1),
                "text": progress.text,
                "first_nodes": _figures(progress.first),
                "other_nodes": _figures(progress.others),
            }
        return found

    async def _ask(self, wish: Wish, data: bytes = b"") -> ClusterAnswer:
        try:
            answer = await ask(self._clustering.shared, wish, data)
        except UnheardError as error:
            return ClusterAnswer("no_leader", f"{error}; nothing was published")
        except EngineError as error:
            return ClusterAnswer("engine_away", f"{error}; look at the history whether it was published")
        except CorruptError as error:
            return ClusterAnswer("corrupt", str(error))
        return ClusterAnswer(answer.error, answer.message, answer.revision, answer.problems)

    async def _read(self, name: str, call: Callable[[], Awaitable[Any]]) -> tuple[Any, float | None]:
        """What `call` gives, or gave last; its age in seconds, None where there is nothing."""
        with contextlib.suppress(EngineError):
            read = await call()
            self._last[name] = (time.monotonic(), read)
        at, found = self._last.get(name, (0.0, None))
        return found, _since(at, time.monotonic())


def _since(at: float, now: float) -> float | None:
    return round(max(0.0, now - at), 1) if at else None  # two threads: it may have answered since


def _figures(traffic: Traffic) -> dict[str, object]:
    return {
        "requests": traffic.requests, "failures": traffic.failures, "p90": round(quantile(traffic.buckets), 6)
    }  # fmt: skip


def _shown(revision: Revision | None) -> dict[str, object] | None:
    return None if revision is None else msgspec.structs.asdict(revision)
