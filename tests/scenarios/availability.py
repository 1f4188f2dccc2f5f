"""One engine from good days through every partition, and what each operation does in each of them.

Two nodes: a real lb that reaches the engine over wires which can be cut, and one beside it that reaches the
engine directly: all that control makes of a cluster (lb.control.clustering), without workers. A third is
started in every state, with what the first has on its disk and with nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import tempfile
import threading
import time
from pathlib import Path
from types import SimpleNamespace

from lb.admin.view import Unavailable
from lb.cli import publishing
from lb.cluster.records import Traffic
from lb.control.clustering import Clustering, memory_of, recalled
from lb.control.clusterview import ClusterView
from lb.control.events import Events
from lb.control.loading import read_valid
from lb.control.statuses import Statuses
from tests.cluster.real import Server
from tests.cluster.several import Several
from tests.cluster.wire import Wire

from .harness import Origin, Scenario, answer, eventually

SECTIONS = {
    "local": lambda ports, folder: {"folder": str(folder)},
    "consul": lambda ports, folder: {"address": [f"http://127.0.0.1:{port}" for port in ports]},
    "etcd": lambda ports, folder: {"endpoints": [f"http://127.0.0.1:{port}" for port in ports]},
    "zookeeper": lambda ports, folder: {"servers": [f"127.0.0.1:{port}" for port in ports]},
    "redis": lambda ports, folder: {"url": f"redis://127.0.0.1:{ports[0]}"},
}
LEASE = {"consul": 10.0}  # seconds; the others:
SHORT = 4.0
LAPSES = {"consul": 30.0}  # seconds until a lock that nobody renews can be had
OWN = """
listeners: [{name: web, bind: "$web"}]
services: {app: ["$a"]}
routes: {"/": app}
cluster: {engine: %s, name: front, node: %s, ttl: %gs, %s: %s}
"""
SHARED = """
listeners: [{name: web, bind: "${LB_TEST_WEB_%s}"}]
services: {app: ["%s"]}
routes: {"/": app}
"""
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%s"


def nobody():
    """Statuses of no server."""
    return Statuses(lambda *_: None, Events())


class Beside:
    """A node in this process: its cluster's part of control, and a folder. `runs`: the documents that it put
    in force, in their order."""

    def __init__(self, file: Path, state: Path) -> None:
        reading = read_valid(file)
        self.runs: list[str] = []
        self.path, self.generation = file, 0
        memory = memory_of(reading.spec, state)
        self.began, _ = recalled(file, reading, memory)
        self.clustering = Clustering(reading.spec.cluster, state, memory, self, nobody(), Events(), Traffic)

    async def adopt(self, shared):
        """As lb.control.reload.Reloader; there are no workers to tell."""
        self.runs.append(shared.text)
        self.generation += 1
        return SimpleNamespace(ok=True, generation=self.generation, problems=(), error="")

    async def start(self):
        self.clustering.prepare()
        await self.clustering.start()

    @property
    def leads(self):
        return self.clustering.electing.term is not None


class Days:
    """One engine. `seen`: state → operation → what happened."""

    def __init__(self, engine: str) -> None:
        self.engine, self.lease = engine, self.lease_of(engine)
        self.seen: dict[str, dict[str, object]] = {}
        self.folder = Path(tempfile.mkdtemp(prefix=f"lb-days-{engine}-"))
        self.letters = {letter: Origin(answer(OK % letter.encode())) for letter in "abcd"}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    @staticmethod
    def lease_of(engine):
        """Seconds."""
        return LEASE.get(engine, SHORT)

    def live(self):
        """All states; what was seen."""
        with contextlib.ExitStack() as stack:
            stack.callback(self._end)
            self._begin(stack)
            self._meet("reachable")
            if self.engine != "local":
                self._cut(True)
                self._meet("cut off")
                self._cut(False)
                self._back()
            getattr(self, "_redis" if self.engine == "redis" else "_away")()
        return self.seen

    def _begin(self, stack):
        if self.engine in ("consul", "etcd", "zookeeper"):
            several = Several(self.engine)
            self.servers = several.servers
            stack.callback(several.close)
            eventually(several.leader, 30, "no server leads")
        else:
            self.servers = [Server("redis") for _ in range(2)] if self.engine == "redis" else []
            for server in self.servers:
                stack.callback(server.close)
        if self.engine == "redis":
            self._order(1, "REPLICAOF", "127.0.0.1", self.servers[0].port)
            eventually(lambda: self._order(1, "INFO", "replication")["master_link_status"] == "up", 20)
        self.wires = [self._run(Wire(server.port).start()) for server in self.servers]
        stack.callback(lambda: [self._run(wire.stop()) for wire in self.wires])
        wired = [wire.port for wire in self.wires]
        self.s = Scenario(self._own("one", wired), quiet=True, **self.letters)
        self.web = f"LB_TEST_WEB_{self.engine.upper()}"
        os.environ[self.web] = self.s.names["web"]
        stack.callback(os.environ.pop, self.web)
        stack.enter_context(self.s)
        eventually(lambda: self.s.lb.metrics()["lb_cluster_leader"] == 1, 30, "the first node does not lead")
        self.beside = self._member("two", [server.port for server in self.servers], self.folder / "two")
        stack.callback(lambda: self._run(self.beside.clustering.stop()))

    def _end(self):
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _own(self, node, ports):
        section = json.dumps(SECTIONS[self.engine](ports, self.folder / "shared"))
        return OWN % (self.engine, node, self.lease, self.engine, section)

    def _member(self, node, ports, state):
        """Started; `state` is its state_dir."""
        state.mkdir(exist_ok=True)
        file = self.folder / f"{node}.yaml"
        file.write_text(self.s.render(self._own(node, ports)))
        member = Beside(file, state)
        self._run(member.start())
        return member

    def _run(self, work):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def _order(self, at, *words):
        import redis

        with redis.Redis(port=self.servers[at].port) as connection:
            return connection.execute_command(*words)

    # ------------------------------------------------------------------------------- the states

    def _cut(self, on):
        def do():
            for wire in self.wires:
                wire.cut = on
                wire.hang_up()

        self.changed = time.monotonic()
        self._loop.call_soon_threadsafe(do)

    def _back(self):
        """Everything is as it was, and somebody leads."""
        eventually(lambda: self._leaders() and self._reachable(), LAPSES.get(self.engine, 15), "not back")

    def _away(self):
        if self.engine == "local":
            self.changed = time.monotonic()
            (self.folder / "shared").rename(self.folder / "elsewhere")
            (self.folder / "shared").write_text("not a folder")
            self._meet("away")
            return
        self.changed = time.monotonic()
        for server in self.servers[1:]:
            server.stop()
        self._meet("no majority")
        self.changed = time.monotonic()
        self.servers[0].stop()
        self._meet("away")

    def _redis(self):
        # The replica misses the last publication, and takes over.
        self._order(1, "REPLICAOF", "127.0.0.1", self.s.names["closed"].rpartition(":")[2])
        eventually(lambda: self._order(0, "INFO", "replication")["connected_slaves"] == 0, 10)
        self._published("d")
        eventually(lambda: self.s.get().body == b"d", 10, "the revision is not taken over")
        self.changed = time.monotonic()
        self.servers[0].stop()
        self._meet("primary gone")
        self._order(1, "REPLICAOF", "NO", "ONE")
        for wire in self.wires:
            wire.server = self.servers[1].port
        eventually(lambda: self._reachable() and self._lb_leads(), 30, "it does not lead")
        self._meet("replica took over")
        self.changed = time.monotonic()
        self.servers[1].stop()
        self._meet("both gone")

    # ------------------------------------------------------------------------------- what happens

    def _meet(self, state):
        good = state in ("reachable", "replica took over")
        found = self.seen[state] = {}
        if not good:
            eventually(lambda: not self._leaders(beside=state != "cut off"), self.lease + 2, "leads on")
            found["leading"] = SimpleNamespace(ended=time.monotonic() - self.changed)
            eventually(lambda: not self._reachable(), 15, "it is not told")
        found["traffic"] = self.s.get().body.decode()
        found["before"] = self._revision()
        if good:
            fresh = "b" if state == "reachable" else "c"
            found["push"] = self._published(fresh)
            eventually(lambda: self.s.get().body.decode() == fresh, 15, "it is not put in force")
            found["traffic"] = fresh
            found["leading"] = SimpleNamespace(ended=None)
        found["start"], found["unread"] = self._starts(good)
        found["status"] = self._status() if not good else eventually(
            lambda: (said := self._status())[1]["engine"]["reachable"] and said, 15, "it is not told"
        )  # fmt: skip
        found["metrics"] = self.s.lb.metrics()
        found["history"] = self._ask("GET", "/api/v1/cluster/history")
        found["show"] = self._ask("GET", "/api/v1/cluster/revisions/1")[0]
        found["missed"] = self._ask("GET", "/api/v1/cluster/revisions/2")[0]
        found["diff"] = self._ask("GET", "/api/v1/cluster/diff/1/1")[0]
        if not good:
            found["push"] = self._push("a")
        found["rollback"] = self._ask("POST", "/api/v1/cluster/rollback/1")
        if good:
            eventually(lambda: self._revision() == found["rollback"][1]["revision"], 15, "it is not followed")
        if state == "cut off":
            eventually(lambda: self.beside.leads, LAPSES.get(self.engine, 15), "nobody leads")
        found["leading"].lb, found["leading"].beside = self._lb_leads(), self.beside.leads
        found["revision"] = self._revision()

    def _starts(self, good):
        """A node that starts with the first one's disk, and one that has nothing: what they begin with, and
        what they run when they heard the engine, or know that they do not; the history at the second one."""
        kept, empty = self.folder / "kept", self.folder / "empty"
        for folder in (kept, empty):
            shutil.rmtree(folder, ignore_errors=True)
        (own,) = (self.s.directory / "state").glob("*/cluster")
        eventually(lambda: _applied(own) == self._revision(), 5, "it is not kept")
        shutil.copytree(own, kept / "cluster")
        found = []
        for state in (kept, empty):
            member = self._member("three", [wire.port for wire in self.wires], state)
            follower = member.clustering.follower
            eventually(lambda: _has_looked(follower, good), 15, "it does not begin")  # noqa: B023
            began = member.began.spec.services["app"].servers[0].address
            text = member.runs[-1] if member.runs else began
            try:
                read = self._run(ClusterView(member.clustering).history())
            except Unavailable:
                read = None
            self._run(member.clustering.stop())
            found.append([letter for letter, origin in self.letters.items() if origin.address in text])
        return found, read

    def _published(self, letter):
        """A connection that broke with the engine may be noticed by the first order only."""
        eventually(lambda: self._push(letter) == publishing.OK, 10, "nothing is published")
        return publishing.OK

    def _push(self, letter):
        file = self.folder / f"{letter}.yaml"
        file.write_text(SHARED % (self.engine.upper(), self.letters[letter].address))
        signed = publishing.Signed(f"http://{self.s.names['admin']}", "ada", "")
        return publishing.push(signed, file, "current", {}, "")

    def _status(self):
        return self._ask("GET", "/api/v1/cluster")

    def _ask(self, method, path):
        code, text = self.s.lb.admin(method, path)
        try:
            return code, json.loads(text)
        except ValueError:
            return code, text

    def _revision(self):
        return int(self.s.lb.metrics()["lb_cluster_revision"])

    def _reachable(self):
        return self.s.lb.metrics()["lb_cluster_engine_reachable"] == 1

    def _lb_leads(self):
        return self.s.lb.metrics()["lb_cluster_leader"] == 1

    def _leaders(self, beside=True):
        return self._lb_leads() + (beside and self.beside.leads)


def _applied(folder):
    return json.loads((folder / "seen.json").read_text())["applied"]["revision"]


def _has_looked(follower, good):
    if good:
        return follower.running.revision and not follower.reached.error
    return follower.reached.error != "not asked yet"
