"""One node of a cluster as a process: elector, follower and desk as in lb, and a log of what they did.

A process of tests.safety.spawner; orders are lines that come through a pipe: `push N`, `push N NODE` (on it
first), `resign`, `stall SECONDS`, `stall-elector SECONDS`, `clock SECONDS`, `in-commit stop|kill SECONDS
UNTIL`. There are no workers: what is put in force is written down.
"""

from __future__ import annotations

import time

_real, _step = time.time, [0.0]
time.time = lambda: _real() + _step[0]  # before lb is imported: a clock that can be stepped

import asyncio  # noqa: E402
import contextlib  # noqa: E402
import hashlib  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import signal  # noqa: E402
import threading  # noqa: E402
from pathlib import Path  # noqa: E402

import msgspec  # noqa: E402

from lb.cluster.contract import Conflict, Deposed, EngineError  # noqa: E402
from lb.cluster.desk import Desk  # noqa: E402
from lb.cluster.electing import Electing  # noqa: E402
from lb.cluster.elector import Elector, NotLeading  # noqa: E402
from lb.cluster.engines import connect  # noqa: E402
from lb.cluster.following import Applied, Follower  # noqa: E402
from lb.cluster.heard import Heard  # noqa: E402
from lb.cluster.memory import Memory  # noqa: E402
from lb.cluster.records import HEAD, CorruptError, Revision, Stage, Wish  # noqa: E402
from lb.cluster.shared import Shared  # noqa: E402
from lb.cluster.wishing import UnheardError, ask  # noqa: E402
from lb.config.cluster import ClusterSpec  # noqa: E402
from lb.control.statedir import write_whole  # noqa: E402
from tests.safety.engines import NAIVE, section  # noqa: E402


class Log:
    """A line for each thing, whole in one write: what was written outlives a kill."""

    def __init__(self, path):
        self.file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def say(self, what, **more):
        line = json.dumps({"at": time.monotonic(), "what": what, **more})
        os.write(self.file, line.encode() + b"\n")

    def revision(self, what, one):
        self.say(what, revision=one.revision, epoch=one.epoch, digest=one.digest)


class Recorded(Electing):
    """Publications are written down, before and after."""

    log: Log  # of this process
    hit = None  # what befalls the next publication, how many seconds after it was sent, until when
    _control: asyncio.AbstractEventLoop

    async def start(self):
        self._control = asyncio.get_running_loop()
        await super().start()

    async def commit(self, epoch, writes):
        heads = [msgspec.json.decode(one.value, type=Revision) for one in writes if one.key == HEAD]
        for head in heads:
            self.log.revision("tried", head)
        if heads and self.hit is not None and time.monotonic() < self.hit[2]:
            (what, seconds, _), self.hit = self.hit, None
            threading.Timer(seconds, self._befall, [what]).start()
        outcome = "unknown"
        try:
            await super().commit(epoch, writes)
            outcome = "accepted"
        except (Conflict, Deposed, NotLeading):
            outcome = "refused"
            raise
        finally:
            for head in heads:
                self.log.revision(outcome, head)

    def _befall(self, what):
        self.log.say("did", fault=f"{what}-in-commit")
        os.kill(os.getpid(), signal.SIGSTOP if what == "stop" else signal.SIGKILL)

    def obey(self, words):
        """An order that is a fault; from any thread."""
        if self._loop is None:
            return  # it came too early
        match words:
            case ["stall" | "stall-elector" as fault, seconds]:
                loop = self._control if fault == "stall" else self._loop
                loop.call_soon_threadsafe(self._stall, fault, float(seconds))
            case ["clock", seconds]:
                _step[0] += float(seconds)
                self.log.say("did", fault="clock", wall=time.time() - _real())
            case ["in-commit", what, seconds, until]:
                self.hit = (what, float(seconds), float(until))

    def _stall(self, fault, seconds):
        before = time.monotonic()
        time.sleep(seconds)
        self.log.say("did", fault=fault, seconds=time.monotonic() - before)


def engine_of(given):
    parts = section(given["engine"], given["ports"], given["shared"])
    if given["engine"] in NAIVE:
        from tests.cluster.naive import NaiveEngine

        return NaiveEngine(parts["url"], given["cluster"], given["engine"] == "naive-expiring")
    spec = ClusterSpec.model_validate(
        {
            "engine": given["engine"], "name": given["cluster"], "node": given["node"],
            "ttl": f"{given['ttl']}s", given["engine"]: parts,
        }
    )  # fmt: skip
    return connect(spec, Path(given["folder"]))


async def no_problems(_file, _text):
    return []


async def main(given):
    folder = Path(given["folder"])
    folder.mkdir(exist_ok=True)
    log, memory, applied = Log(given["log"]), Memory(folder, write_whole), [0]
    log.say("started", pid=os.getpid())
    Recorded.log = log
    shared = Shared(engine_of(given))
    heard = Heard(shared)
    electing = Recorded(
        lambda: Elector(
            engine_of(given), given["node"], given["ttl"], above=lambda: max(memory.seen.epoch, heard.epoch),
            told=lambda reason, epoch, text: log.say(reason, epoch=epoch),
        )
    )  # fmt: skip

    async def apply(revision, _text):
        log.revision("applied", revision)
        applied[0] += 1
        return Applied(applied[0])

    follower = Follower(shared, given["node"], memory, apply, lambda: applied[0])
    # The judge reads all of the history.
    desk = Desk(shared, electing, memory, no_problems, heard=heard, history=1000)
    await electing.start()
    tasks = {asyncio.create_task(part.run()) for part in (follower, desk)}

    async def publish(number, first):
        stage = Stage(first=first, watch=given["ttl"], requests=0) if first else None
        wish = Wish(kind="push", author="ada", at=time.time(), stage=stage)
        with contextlib.suppress(EngineError, UnheardError, CorruptError):
            text = f"# {given['cluster']} {number}\n".encode() * 50
            answer = await ask(shared, wish, text, 8.0)
            if not answer.error:
                digest = hashlib.sha256(text).hexdigest()
                log.say("promised", revision=answer.revision, number=number, digest=digest)

    def ended(task):
        tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.say("bug", text=repr(task.exception()))

    for task in tasks:
        task.add_done_callback(ended)

    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    orders = os.fdopen(os.open(given["orders"], os.O_RDWR | os.O_NONBLOCK), "rb", 0)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), orders)
    while words := (await reader.readline()).decode().split():
        match words:
            case ["push", number, *first]:
                tasks.add(one := asyncio.create_task(publish(int(number), first)))
                one.add_done_callback(ended)
            case ["resign"]:
                if electing.term is not None:
                    log.say("did", fault="resign")
                electing.resign()
            case _:
                electing.obey(words)
