"""One engine from good days through every partition, and what each operation does in each of them.

Three lbs (asking.py), each of which reaches the engine over wires of its own, which can be cut. A fourth node is
started in every state, with what one of them has on its disk and with nothing: all that control makes of a
cluster (lb.control.clustering), without workers.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
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

from .asking import NODES, SPARE, Front
from .clusters import SECTIONS
from .harness import eventually

LEASE = {"consul": 10.0}  # seconds; the others:
SHORT = 4.0
LAPSES = {"consul": 30.0}  # seconds until a lock that nobody renews can be had; the others:
SOON = 15.0
WATCH = 8.0  # seconds, of a rollout that would go on by itself
LONG = 10.0  # of one whose engine has to be gone before, on busy cores too
GOOD = ("reachable", "replica took over")


class Member:
    """A node in this process: its cluster's part of control, and a folder. `runs`: the documents that it put
    in force, in their order."""

    def __init__(self, file: Path, state: Path) -> None:
        reading = read_valid(file)
        self.runs: list[str] = []
        self.path, self.generation = file, 0
        memory = memory_of(reading.spec, state)
        self.began, _ = recalled(file, reading, memory)
        nobody = Statuses(lambda *_: None, Events())
        self.clustering = Clustering(reading.spec.cluster, state, memory, self, nobody, Events(), Traffic)

    async def adopt(self, shared):
        """As lb.control.reload.Reloader; there are no workers to tell."""
        self.runs.append(shared.text)
        self.generation += 1
        return SimpleNamespace(ok=True, generation=self.generation, problems=(), error="")

    async def start(self):
        self.clustering.prepare()
        await self.clustering.start()


class Days:
    """One engine. `seen`: state → operation → what happened."""

    def __init__(self, engine: str) -> None:
        self.engine, self.lease = engine, self.lease_of(engine)
        self.lapses = LAPSES.get(engine, SOON)
        self.seen: dict[str, dict[str, object]] = {}
        self.folder = Path(tempfile.mkdtemp(prefix=f"lb-days-{engine}-"))
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
                self._trouble(self.lease + 8, "e", WATCH)
                cut = self._leads_and_tries_nothing()
                self._cut(cut, True)
                self._meet("cut off", [cut])
                self._cut(cut, False)
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
        self.wires = {
            node: [self._run(Wire(server.port).start()) for server in self.servers] for node in NODES
        }
        stack.callback(lambda: [self._run(wire.stop()) for wires in self.wires.values() for wire in wires])
        self.front = Front(stack, self.engine, self.lease, self._section)
        self.front.leader(30)

    def _end(self):
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _section(self, node):
        ports = [wire.port for wire in self.wires[node]]
        return SECTIONS[self.engine](ports, self.folder / "shared")

    def _run(self, work):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def _order(self, at, *words):
        import redis

        with redis.Redis(port=self.servers[at].port) as connection:
            return connection.execute_command(*words)

    # ------------------------------------------------------------------------------- the states

    def _trouble(self, seconds, letter, watch=LONG):
        """What is to be under way when the engine goes: an order, one that ends after these seconds, and a
        rollout that would go on by itself. All nodes saw all of it: what one missed is a case of its own
        (test_cluster_failover.py)."""
        front = self.front
        assert front.orders(SPARE[0], "drain") == 0
        assert front.orders(SPARE[1], "drain", for_=f"{seconds:g}s") == 0
        self.until = time.time() + seconds
        front.published(letter, first=self._first(), watch=f"{watch:g}s", requests="0", latency="999")
        self.runs, self.staged = front.traffic(), front.head()["revision"]
        eventually(lambda: all(self._saw_all(node) for node in NODES), 15, "they do not see it")
        self.changed, self.watch = time.monotonic(), watch

    def _saw_all(self, node):
        ordered = {one: self.front.ordered(one, [node])[node] for one in SPARE[:2]}
        return self.front.status(node)["seen"]["revision"] == self.staged and set(ordered.values()) == {
            "drain"
        }

    def _first(self):
        """A node that does not lead."""
        return next(node for node in NODES if node not in self.front.leaders())

    def _leads_and_tries_nothing(self):
        """The others could not go on with a rollout that is tried on the node that is cut off."""
        tries = self.front.head()["stage"]["first"]

        def found():
            leaders = self.front.leaders()
            if leaders and leaders[0] in tries:
                publishing.resign(self.front.signed(leaders[0]))
            return leaders and leaders[0] not in tries and leaders[0]

        return eventually(found, self.lapses, "who tries it leads")

    def _cut(self, node, on):
        def do():
            for wire in self.wires[node]:
                wire.cut = on
                wire.hang_up()

        self.changed = time.monotonic()
        self._loop.call_soon_threadsafe(do)

    def _back(self):
        """Everything is as it was, and somebody leads."""
        eventually(lambda: self.front.leaders() and self.front.reachable(), self.lapses, "not back")
        self.front.all_answer("e")

    def _away(self):
        self._trouble(self.lease + 8 if self.engine == "local" else 2 * self.lease + 20, "c")
        if self.engine == "local":
            (self.folder / "shared").rename(self.folder / "elsewhere")
            eventually(self._not_a_folder)
        else:
            for server in self.servers[1:]:
                server.stop()
            self._meet("no majority")
            self.changed = time.monotonic()
            self.servers[0].stop()
        self._meet("away")

    def _not_a_folder(self):
        """A node may make the folder again before something else is in its place."""
        try:
            return (self.folder / "shared").write_text("not a folder")
        except IsADirectoryError:
            shutil.rmtree(self.folder / "shared", ignore_errors=True)

    def _redis(self):
        # The replica misses the last publications and orders, and takes over.
        closed = self.front.all["one"].names["closed"]
        self._order(1, "REPLICAOF", "127.0.0.1", closed.rpartition(":")[2])
        eventually(lambda: self._order(0, "INFO", "replication")["connected_slaves"] == 0, 10)
        self.front.published("d")
        self._trouble(self.lease + 8, "e")
        self.servers[0].stop()
        self._meet("primary gone")
        self._order(1, "REPLICAOF", "NO", "ONE")
        for wires in self.wires.values():
            for wire in wires:
                wire.server = self.servers[1].port
        eventually(lambda: self.front.leaders() and self.front.reachable(), 30, "nobody leads")
        self._meet("replica took over")
        self._trouble(self.lease + 8, "e")
        self.servers[1].stop()
        self._meet("both gone")

    # ------------------------------------------------------------------------------- what happens

    def _meet(self, state, nodes=NODES):
        """`nodes`: those that are in this state."""
        found = self.seen[state] = {}
        front, node = self.front, nodes[0]
        if state in GOOD:
            self._good(found, state)
        else:
            self._bad(found, nodes)
        found["looks"] = front.seen(node, self.shown)
        found["missed"] = front.ask(node, "GET", f"/api/v1/cluster/revisions/{found['before']}")[0]
        found["alone"] = front.ordered_here(node)
        if state == "cut off":
            self._others(found, [one for one in NODES if one != node])
        found["here"] = front.traffic(nodes), front.head(node)["revision"], front.leaders(nodes)
        if state not in GOOD:
            found["over"] = self._over(nodes) if state != "no majority" else 0.0
            found["ordered"] = front.ordered(SPARE[0], nodes)

    def _good(self, found, state):
        front, fresh = self.front, "b" if state == "reachable" else "c"
        found["before"] = front.status("one")["seen"]["revision"]
        if state == "replica took over":
            eventually(lambda: "seen before" in front.status("one")["trouble"], 15, "it is not told")
            found["kept"] = self.runs == front.traffic(), front.ordered(SPARE[0])
            found["ends nothing"] = front.ends_nothing()
        found["push"] = front.published(fresh)
        found["published"] = front.head()
        self.shown = found["published"]["revision"]
        found["traffic"] = (front.traffic(), dict.fromkeys(NODES, fresh))
        found["start"], found["unread"] = self._starts("one", True)
        found["rollout"] = front.goes_on(), front.comes_back()
        found["promote"], found["abort"] = front.ended("promote", "d", "d"), front.ended("abort", "a", "d")
        found["rollback"] = front.ask("one", "POST", f"/api/v1/cluster/rollback/{self.shown}")
        front.all_answer(fresh)
        found["resign"] = front.resigned(self.lapses)
        for node in NODES:  # what is read once can be shown later
            front.ask(node, "GET", "/api/v1/cluster/history")
        found["leaders"] = front.leaders()
        found["order everywhere"] = front.orders(SPARE[1], "maintenance")
        eventually(lambda: set(front.ordered(SPARE[1]).values()) == {"maintenance"}, 10, "it is not obeyed")
        found["ordered"] = front.ordered(SPARE[1])
        assert front.orders(SPARE[1], "") == 0
        eventually(lambda: set(front.sharing().values()) == {3}, 15, "they do not share")
        left = len(front.checked.addresses)
        eventually(lambda: sum(front.here()) == 2 * left, 15, "they do not share the checks")
        found["asking"], found["doubt"] = front.asking(), front.one_sees_less()
        found["dies"] = front.dies()

    def _bad(self, found, nodes):
        front, node = self.front, nodes[0]
        found["ended"] = self._lapsed(nodes)
        eventually(lambda: not any(front.reachable([one]) for one in nodes), 15, "it is not told")
        found["before"], found["traffic"] = (
            self.staged,
            (front.traffic(nodes), {n: self.runs[n] for n in nodes}),
        )
        found["held"] = front.ordered(SPARE[0], nodes)
        found["start"], found["unread"] = self._starts(node, False)
        found["refused"] = front.refused(node)
        found["asking"] = front.asking()
        found["dies"] = front.dies(nodes)
        eventually(
            lambda: time.monotonic() > self.changed + self.watch, self.watch, ""
        )  # it would have gone on
        found["sharing"] = front.sharing(nodes)

    def _others(self, found, others):
        """What the nodes do that are not cut off."""
        front = self.front
        found["others lead"] = eventually(lambda: front.leaders(others), self.lapses, "nobody leads")
        eventually(lambda: front.head(others[0])["revision"] > self.staged, WATCH + 15, "it does not go on")
        assert front.head(others[0])["restores"] == self.staged, front.status(others[0])
        front.all_answer("e", others)
        found["others run"] = front.head(others[0])
        eventually(lambda: set(front.sharing(others).values()) == {2}, 15, "the others do not share")

    def _lapsed(self, nodes):
        """Seconds until none of the nodes leads, and until each is alone with its checks."""
        ended: dict[str, float] = {}

        def look():
            if "leading" not in ended and not self.front.leaders(nodes):
                ended["leading"] = time.monotonic() - self.changed
            if "sharing" not in ended and set(self.front.sharing(nodes).values()) == {1}:
                ended["sharing"] = time.monotonic() - self.changed
            return len(ended) == 2

        eventually(look, self.lease + 10, "they lead on, or share on")
        return ended

    def _over(self, nodes):
        """Seconds between the end of an order and when it held no more, or since when it was looked for."""
        began = time.time()
        eventually(lambda: set(self.front.ordered(SPARE[1], nodes).values()) == {""}, 90, "it does not end")
        return time.time() - max(began, self.until)

    def _starts(self, node, good):
        """A node that starts with this one's disk, and one that has nothing: what they begin with, and what
        they run when they heard the engine, or know that they do not; the history at the second one."""
        kept, empty = self.folder / "kept", self.folder / "empty"
        for folder in (kept, empty):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
        (own,) = (self.front.all[node].directory / "state").glob("*/cluster")
        running = self.front.metric(node, "revision")
        eventually(lambda: _applied(own) == running, 5, "it is not kept")
        shutil.copytree(own, kept / "cluster")
        file = self.folder / "four.yaml"
        s = self.front.all[node]
        file.write_text(s.render(self.front.own(node).replace(f"node: {node}", "node: four")))
        found = []
        for state in (kept, empty):
            member = Member(file, state)
            self._run(member.start())
            follower = member.clustering.follower
            eventually(lambda: _has_looked(follower, good), 15, "it does not begin")  # noqa: B023
            text = member.runs[-1] if member.runs else member.began.spec.services["app"].servers[0].address
            try:
                read = self._run(ClusterView(member.clustering).history())
            except Unavailable:
                read = None
            self._run(member.clustering.stop())
            letters = self.front.letters.items()
            found.append([letter for letter, origin in letters if origin.address in text])
        return found, read


def _applied(folder):
    return json.loads((folder / "seen.json").read_text())["applied"]["revision"]


def _has_looked(follower, good):
    if good:
        return follower.running.revision and not follower.reached.error
    return follower.reached.error != "not asked yet"
