"""The leader's desk: wishes that nodes lay into the store, published one after the other, and what follows
from the watch over a staged revision.

Lives here: what is published, under which conditions, in which transaction; what is thrown away. Must not
live here: whether a document is valid (`check`, from lb.control), laying wishes there (lb.cluster.wishing),
whether a rollout goes on (lb.cluster.rollout).

A wish is taken off in the transaction that publishes it and answers it. So it is done once or not at all, by
whichever leader; an outcome that got lost is found out by looking whether the wish is still there.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import msgspec

from lb.cluster.contract import MOST_WRITES, Conflict, EngineError, Entry, Term, Write, is_key
from lb.cluster.heard import Heard
from lb.cluster.memory import Memory
from lb.cluster.ordering import OBEYED, Decide
from lb.cluster.records import HEAD, Answer, CorruptError, Revision, Stage, Wish, cut, decode, encode
from lb.cluster.rollout import Rollout
from lb.cluster.shared import Head, Shared
from lb.cluster.verdict import Way

HISTORY = 20  # revisions that are kept
LATE = 60.0  # seconds after which nobody waits for a wish any more
LITTER = (
    600.0  # seconds after which an answer that nobody fetched, a document without its wish are thrown away
)
GONE = 7 * 86_400.0  # seconds after which the report of a node that says nothing is thrown away
MOST_PROBLEMS = 100  # in an answer
MOST_PIECES = 1000  # of a wish that makes no sense
POLL = 2.0  # seconds between two looks where nothing is heard

Problems = list[dict[str, str | int]]


class Leader(Protocol):
    """Of lb.cluster.electing.Electing."""

    @property
    def term(self) -> Term | None: ...
    async def commit(self, epoch: int, writes: Sequence[Write]) -> None: ...
    def resign(self) -> None: ...
    def outdated(self) -> None: ...


class _Refused(Exception):  # noqa: N818  (an answer, not a failure)
    def __init__(self, error: str, message: str, problems: Problems | None = None) -> None:
        super().__init__(message)
        self.error, self.problems = error, problems or []


class Desk:
    """One per node, in control's loop; idle where its node does not lead."""

    def __init__(
        self,
        shared: Shared,
        leader: Leader,
        memory: Memory,
        check: Callable[[str, str], Awaitable[Problems]],
        *,
        heard: Heard | None = None,
        decide: Decide | None = None,
        history: int = HISTORY,
        told: Callable[[str, str], None] = lambda reason, text: None,
        bug: Callable[[Exception], None] = lambda error: None,
        now: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """`check`: the name of a document and its text → all that is wrong with it. `heard`: what nodes saw,
        where others ask it too. `decide`: of orders
        (lb.cluster.ordering); None: this desk takes none. `told` hears how rollouts go: reason (promoted,
        aborted, stuck) and a sentence; `bug`: of what nobody expected, after which `run` goes on. `wall`:
        unix seconds."""
        self._shared = shared
        self._leader = leader
        self._memory = memory
        self._check = check
        self._heard = heard or Heard(shared)
        self._decide = decide
        self._history = history
        self._told = told
        self._bug = bug
        self._wall = wall
        self._rollout = Rollout(shared, leader, now)
        self._stuck = 0
        self._unpublished: dict[str, int] = {}  # by digest: pieces that were saved for nothing
        self._orphans: dict[str, float] = {}  # by name: when its wish was first missed

    async def run(self) -> None:
        """Until cancelled. Nothing that the engine or the store does ends it."""
        while True:
            try:
                await self.step()
                await self._shared.engine.changed("wishes", POLL)
            except EngineError:
                await asyncio.sleep(1.0)  # who leads, and what cannot be asked, is told elsewhere
            except Exception as error:
                self._bug(error)
                await asyncio.sleep(POLL)

    async def step(self) -> None:
        """Do every wish that is there, and watch a rollout, where this node leads. Raises EngineError; what
        is not done is there still."""
        term = self._leader.term
        if term is None:
            return
        await self._heard.look()
        if self._heard.epoch > term.epoch:  # nodes would refuse all that it publishes
            return self._leader.outdated()
        wishes = await self._shared.engine.list("wishes")
        for key, entry in wishes.items():
            if is_key(key):  # no lb laid down any other, and no lb can take it off
                await self._serve(term.epoch, key.removeprefix("wishes/"), entry)
        if wishes:
            await self._tidy(term.epoch)
        await self._watch(term.epoch)

    async def _watch(self, epoch: int) -> None:
        head = await self._shared.head()
        staged = head.revision
        if staged is None or staged.stage is None or self._stuck == staged.revision:
            return
        if staged.revision != max(self._memory.seen.revision, self._heard.revision):
            return  # the store lost what came after it
        verdict = await self._rollout.look(epoch, staged, staged.stage)
        if verdict.way is Way.WAIT:
            return
        promoted = verdict.way is Way.ON
        words = f"revision {staged.revision} {'goes on to all nodes' if promoted else 'is taken back'}"
        try:
            source = await self._source(verdict.way, staged, staged.stage)
        except CorruptError as error:
            self._stuck = staged.revision
            self._told("stuck", f"{words}: {verdict.text}; that cannot be done: {error}")
            return
        revision = self._again(source, staged, epoch, "lb", f"{words}: {verdict.text}")
        try:
            await self._leader.commit(epoch, _writes(revision, head))
        except Conflict:
            return  # an operator was faster
        self._told("promoted" if promoted else "aborted", revision.message)

    async def _source(self, way: Way, staged: Revision, stage: Stage) -> Revision:
        """The revision whose document all nodes are to run after a rollout. Raises CorruptError."""
        return staged if way is Way.ON else await self._shared.revision(stage.stable)

    def _again(self, source: Revision, now: Revision, epoch: int, author: str, message: str) -> Revision:
        """The document of `source` for all nodes, in place of `now`."""
        return Revision(
            revision=now.revision + 1, epoch=epoch, digest=source.digest, size=source.size,
            pieces=source.pieces, author=cut(author), message=cut(message), at=self._wall(),
            previous=now.revision, restores=source.revision,
        )  # fmt: skip

    async def _serve(self, epoch: int, name: str, entry: Entry) -> None:
        resigns, pieces = False, 0
        try:
            wish = decode(f"wishes/{name}", entry.value, Wish)
            pieces = min(wish.pieces, MOST_PIECES)
            if self._wall() - wish.at > LATE:
                raise _Refused(
                    "late",
                    f"asked {self._wall() - wish.at:.0f}s ago by the leader's clock; ask again, and if "
                    "it says so again set the clocks of the node that was asked and of the leader",
                )
            if wish.kind == "resign":
                resigns, answer, writes = True, Answer(at=self._wall()), list[Write]()
            elif wish.order is not None and self._decide is not None:
                answer, writes = await self._decide(epoch, wish)
            else:
                answer, writes = await self._publication(epoch, name, wish)
        except CorruptError as error:
            answer, writes = Answer(at=self._wall(), error="corrupt", message=cut(str(error))), []
        except _Refused as error:
            problems = _fitting(error.problems, self._shared.engine.value_limit // 2)
            answer = Answer(at=self._wall(), error=error.error, message=cut(str(error)), problems=problems)
            writes = []
        done = [Write(f"wishes/{name}", None, entry.version), Write(f"answers/{name}", encode(answer), 0)]
        try:
            await self._leader.commit(epoch, [*writes, *done])
        except EngineError as error:
            for written in writes:
                if written.key == HEAD and written.value is not None:
                    lost = decode(HEAD, written.value, Revision)
                    self._unpublished[lost.digest] = lost.pieces
            if isinstance(error, Conflict):  # withdrawn, or somebody else's by now: the next look tells
                return
            raise
        await self._remove(epoch, [f"wished/{name}/{at}" for at in range(pieces)])
        if resigns:
            self._leader.resign()

    async def _publication(self, epoch: int, name: str, wish: Wish) -> tuple[Answer, list[Write]]:
        """Raises _Refused and CorruptError."""
        head = await self._shared.head()
        now = head.revision
        # Where the store lost its memory, what nodes remember counts: they refuse anything below.
        stored = now.revision if now is not None else await self._highest()
        latest = max(stored, self._memory.seen.revision, self._heard.revision)
        if wish.base is not None and wish.base != latest:
            raise _Refused("conflict", _overtaken(wish.base, latest, now))
        if wish.kind in (Way.ON.value, Way.BACK.value):
            if now is None or now.stage is None or now.revision != latest:
                raise _Refused("no_rollout", "no rollout is under way")
            source = await self._source(Way(wish.kind), now, now.stage)
            revision = self._again(source, now, epoch, wish.author, wish.message)
            return Answer(at=revision.at, revision=revision.revision), _writes(revision, head)
        if wish.kind == "push":
            stage = await self._stage(wish.stage, now, latest)
            data = await self._shared.fetch(f"wished/{name}", wish.pieces, wish.size, wish.digest)
            digest = wish.digest
        elif wish.kind == "rollback":
            old = await self._shared.revision(wish.revision)
            stage, data, digest = None, await self._shared.document(old), old.digest
        else:
            raise _Refused("corrupt", f"nobody here knows what {wish.kind!r} is; run one version of lb")
        if now is not None and now.stage is None and now.digest == digest and now.revision == latest:
            return Answer(at=self._wall(), revision=latest, message="it is in force already"), []
        await self._must_be_valid(wish.file or f"revision {wish.revision}", data)
        pieces = await self._shared.save(f"pieces/{digest}", data)
        revision = Revision(
            revision=latest + 1, epoch=epoch, digest=digest, size=len(data), pieces=pieces,
            author=cut(wish.author), message=cut(wish.message), at=self._wall(), previous=latest,
            restores=wish.revision if wish.kind == "rollback" else 0, stage=stage,
        )  # fmt: skip
        return Answer(at=revision.at, revision=revision.revision), _writes(revision, head)

    async def _stage(self, wished: Stage | None, now: Revision | None, latest: int) -> Stage | None:
        """What a push to some nodes first becomes part of the revision. Raises _Refused."""
        if wished is None:
            return None
        if now is None or now.revision != latest:
            raise _Refused(
                "no_rollout", "nothing is in force that the other nodes could stay with; push to all"
            )
        if now.stage is not None:
            raise _Refused(
                "conflict", f"revision {now.revision} is still tried on {', '.join(now.stage.first)}; "
                "promote or abort it first, or push to all",
            )  # fmt: skip
        known = [report.node for report in await self._shared.nodes()]
        strange = [node for node in wished.first if node not in known]
        if strange or not wished.first:
            raise _Refused(
                "no_such_node", f"no node is called {strange[0]!r}; there are {', '.join(known)}"
                if strange else "no node is named that is first",
            )  # fmt: skip
        return msgspec.structs.replace(wished, first=list(dict.fromkeys(wished.first)), stable=now.revision)

    async def _highest(self) -> int:
        """The highest number that was ever given, as far as the store tells without its head: one that is
        taken could never be published."""
        numbers = [key.removeprefix("revisions/") for key in await self._shared.engine.list("revisions")]
        return max((int(one) for one in numbers if re.fullmatch("[0-9]{1,15}", one)), default=0)

    async def _must_be_valid(self, file: str, data: bytes) -> None:
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise _Refused("invalid_configuration", f"{file} is not UTF-8 text") from None
        problems = await self._check(file, text)
        if problems:
            count = f"{len(problems)} problem{'' if len(problems) == 1 else 's'}"
            raise _Refused("invalid_configuration", f"{file} has {count}; nothing is published", problems)

    async def _tidy(self, epoch: int) -> None:
        """Throw away what no kept revision and no wish needs. As the leader: nobody else saves pieces now."""
        engine = self._shared.engine
        revisions = await self._shared.history()
        head = (await self._shared.head()).revision
        kept = {one.digest for one in revisions[: self._history]} | ({head.digest} if head else set())
        old = [f"revisions/{one.revision}" for one in revisions[self._history :]]
        gone = {one.digest: one.pieces for one in revisions[self._history :]} | self._unpublished
        old += [
            f"pieces/{digest}/{at}"
            for digest, pieces in gone.items() if digest not in kept for at in range(min(pieces, MOST_PIECES))
        ]  # fmt: skip
        limit = self._wall() - LITTER
        for key, entry in (await engine.list("answers")).items():
            if _since(key, entry) < limit:
                old.append(key)
        old += [f"nodes/{one.node}" for one in await self._shared.nodes() if self._wall() - one.at > GONE]
        # Of a node without a report; one that lives lays it there again.
        nodes = {one.node for one in await self._shared.nodes()}
        old += [key for key in await engine.list(OBEYED) if key.partition("/")[2] not in nodes]
        old += await self._orphaned(limit)
        await self._remove(epoch, [key for key in old if is_key(key)])
        self._unpublished = {}

    async def _orphaned(self, limit: float) -> list[str]:
        """Documents whose wish was missed since `limit` already: who laid them there is gone. They have no
        date of their own."""
        engine = self._shared.engine
        laid = {key: key.split("/")[1] for key in await engine.list("wished")}
        wishes = await engine.list("wishes")
        self._orphans = {
            name: self._orphans.get(name, self._wall())
            for name in laid.values() if f"wishes/{name}" not in wishes
        }  # fmt: skip
        return [key for key, name in laid.items() if self._orphans.get(name, self._wall()) < limit]

    async def _remove(self, epoch: int, keys: Sequence[str]) -> None:
        for at in range(0, len(keys), MOST_WRITES):
            await self._leader.commit(epoch, [Write(key, None) for key in keys[at : at + MOST_WRITES]])


def _writes(revision: Revision, head: Head) -> list[Write]:
    value = encode(revision)
    return [Write(HEAD, value, head.version), Write(f"revisions/{revision.revision}", value, 0)]


def _overtaken(base: int, latest: int, now: Revision | None) -> str:
    if now is None or now.revision != latest:
        return f"revision {latest} was seen, though the store does not have it; this one is based on {base}"
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now.at))
    said = f": {now.message}" if now.message else ""
    who = f", by {now.author or 'somebody'} at {when}{said}"
    return f"revision {latest} is in force{who}; this one is based on revision {base}"


def _fitting(problems: Problems, size: int) -> Problems:
    """The first of them, at most so many bytes: an answer is one value of the engine."""
    problems = [
        {key: cut(said) if isinstance(said, str) else said for key, said in one.items()} for one in problems
    ]
    taken, left = 0, size
    for problem in problems[:MOST_PROBLEMS]:
        left -= len(msgspec.json.encode(problem)) + 1
        if left < 0:
            break
        taken += 1
    return problems[:taken]


def _since(key: str, entry: Entry) -> float:
    try:
        return decode(key, entry.value, Answer).at
    except CorruptError:
        return 0.0
