"""What a node starts with, and how it leads and follows by the local engine, without workers."""

from __future__ import annotations

import asyncio
import copy
from types import SimpleNamespace

import pytest

from lb.admin.view import Unavailable
from lb.cluster.contract import EngineError
from lb.cluster.memory import Mark
from lb.cluster.records import Stage, Traffic
from lb.cluster.shared import digest_of
from lb.config import Problem
from lb.control.clustering import FOLDER, Clustering, memory_of, recalled
from lb.control.clusterview import ClusterView
from lb.control.events import Events
from lb.control.loading import read_valid
from lb.control.statuses import Statuses

OWN = """
listeners: [{name: web, bind: "127.0.0.1:1"}]
services: {app: ["127.0.0.1:2"]}
routes: {"/": app}
cluster: {engine: local, name: front, node: one, ttl: 2s, local: {folder: "%s"}}
"""
SHARED = """
listeners: [{name: web, bind: "127.0.0.1:1"}]
services: {app: ["127.0.0.1:%d"]}
routes: {"/": app}
"""


@pytest.fixture
def file(tmp_path):
    place = tmp_path / "lb.yaml"
    place.write_text(OWN % (tmp_path / "shared"))
    return place


def first_server(reading):
    return reading.spec.services["app"].servers[0].address


def remembered(folder, data, mark=None):
    """A folder in which a node kept `data`."""
    reading = read_valid(folder / "lb.yaml")
    memory = memory_of(reading.spec, folder)
    mark = mark or Mark(4, 2, digest_of(data))
    memory.remember(mark, mark, data)
    memory.keep(mark)
    return memory_of(reading.spec, folder)


def test_a_node_without_a_cluster_remembers_nothing(tmp_path):
    place = tmp_path / "lb.yaml"
    place.write_text(SHARED % 3)
    reading = read_valid(place)
    assert memory_of(reading.spec, tmp_path) is None
    assert recalled(place, reading, None) == (reading, None)


def test_it_starts_by_what_ran_last(file, tmp_path):
    reading = read_valid(file)
    assert recalled(file, reading, memory_of(reading.spec, tmp_path)) == (reading, None)
    memory = remembered(tmp_path, (SHARED % 7).encode())
    found, shared = recalled(file, reading, memory)
    assert (first_server(found), shared.file) == ("127.0.0.1:7", "revision 4")


@pytest.mark.parametrize("data", [b"listners: []\n", b"\xff\xfe", b"[" * 3000, b""], ids=str)
def test_what_cannot_be_used_any_more_leaves_its_own_file(data, file, tmp_path):
    reading = read_valid(file)
    memory = remembered(tmp_path, data)
    found, shared = recalled(file, reading, memory)
    assert (first_server(found), shared) == ("127.0.0.1:2", None)
    assert memory.applied == Mark() and memory.seen.revision == 4, "what was seen is not forgotten"


def test_what_was_coming_and_cannot_be_used_leaves_what_ran_last(file, tmp_path):
    memory = remembered(tmp_path, (SHARED % 7).encode())
    memory.remember(mark := Mark(5, 2, digest_of(b"listners: []")), mark, b"listners: []")
    found, shared = recalled(file, read_valid(file), memory)
    assert (first_server(found), shared.file, memory.running.revision) == ("127.0.0.1:7", "revision 4", 4)


def test_a_document_that_was_changed_on_the_disk_is_not_used(file, tmp_path):
    memory = remembered(tmp_path, (SHARED % 7).encode())
    memory.path.write_text(SHARED % 8)
    found, shared = recalled(file, read_valid(file), memory)
    assert (first_server(found), shared) == ("127.0.0.1:2", None)


def test_a_memory_that_makes_no_sense_is_set_aside(file, tmp_path):
    remembered(tmp_path, (SHARED % 7).encode())
    (tmp_path / FOLDER / "seen.json").write_text("{")
    memory = memory_of(read_valid(file).spec, tmp_path)
    assert memory.seen == Mark()
    assert [found.read_text() for found in (tmp_path / FOLDER).glob("seen.json?*")] == ["{"]


def nobody():
    """Statuses of no server."""
    return Statuses(lambda *_: None, Events())


class Reloader:
    """As lb.control.reload.Reloader; `refuses`: the result's problems and error."""

    def __init__(self, path):
        self.path, self.generation, self.texts, self.refuses = path, 1, [], None

    async def adopt(self, shared):
        if self.refuses is not None:
            return SimpleNamespace(ok=False, generation=1, problems=self.refuses[0], error=self.refuses[1])
        self.texts.append(shared.text)
        self.generation += 1
        return SimpleNamespace(ok=True, generation=self.generation, problems=(), error="")


def alive(test):
    """A test with one node that leads."""

    def whole(file, tmp_path):
        async def life():
            spec = read_valid(file).spec
            reloader, events = Reloader(file), Events()
            node = Clustering(
                spec.cluster, tmp_path, memory_of(spec, tmp_path), reloader, nobody(), events, Traffic
            )
            node.prepare()
            await node.start()
            try:
                async with asyncio.timeout(10):
                    while node.electing.term is None:
                        await asyncio.sleep(0.01)
                    await test(node, reloader, events)
            finally:
                await node.stop()

        asyncio.run(life())

    whole.__name__ = test.__name__
    return whole


async def until(condition):
    while not condition():
        await asyncio.sleep(0.01)


@alive
async def test_a_part_that_ends_by_itself_begins_anew(node, reloader, events):
    parts = set(node._tasks)
    for task in parts:
        task.cancel()  # as a client library can
    await until(lambda: len(node._tasks) == len(parts) and not parts & node._tasks)
    said = await ClusterView(node).push((SHARED % 7).encode(), 0, "shared.yaml", "ada", "why", None)
    assert said.error == "", said
    await until(lambda: reloader.texts == [SHARED % 7])


@alive
async def test_it_publishes_follows_and_tells(node, reloader, events):
    view = ClusterView(node)
    said = await view.push((SHARED % 7).encode(), 0, "shared.yaml", "ada", "why", None)
    assert (said.error, said.revision) == ("", 1)
    await until(lambda: view.facts().revision == 1)
    assert reloader.texts == [SHARED % 7]
    status = await view.status()
    assert (status["role"], status["published"]["author"], status["running"]["revision"]) == (
        "leader",
        "ada",
        1,
    )
    assert ((await view.history())["revisions"][0]["revision"], await view.diff(1, 1)) == (1, "")
    assert (await view.document(1))[1] == SHARED % 7
    with pytest.raises(LookupError, match="no revision 2"):
        await view.document(2)
    said = await view.push(b"listners: []\n", 1, "bad.yaml", "ada", "", None)
    assert said.error == "invalid_configuration" and said.problems[0]["file"] == "bad.yaml"
    assert (await view.rollback(9, None, "ada", "")).error == "corrupt"
    assert (await view.push((SHARED % 8).encode(), 0, "x", "ada", "", None)).error == "conflict"
    assert (await view.resign("ada")).error == ""
    await until(lambda: node.electing.term is None)
    assert {(one.kind, one.reason) for one in events.last} >= {
        ("cluster_leader", "elected"), ("cluster_revision", "taken")
    }  # fmt: skip


@alive
async def test_a_revision_that_this_node_cannot_put_in_force_is_told(node, reloader, events):
    problems = [Problem("f", 1, 1, "routes", f"no {n}") for n in range(5)]
    reloader.refuses = (problems, "")
    await ClusterView(node).push((SHARED % 7).encode(), 0, "x", "ada", "", None)
    await until(lambda: "no 2" in node.follower.trouble)
    assert "no 3" not in node.follower.trouble
    assert ClusterView(node).facts().trouble and not reloader.texts


@alive
async def test_an_engine_that_is_silent_costs_one_timeout(node, reloader, events):
    """Three of them would be longer than `lb cluster status` waits."""
    view, asked, gate = ClusterView(node), [], asyncio.Event()
    await view.push((SHARED % 7).encode(), 0, "x", "ada", "", None)
    await view.push((SHARED % 8).encode(), 1, "x", "ada", "", Stage(first=["one"], watch=3600.0))
    await until(lambda: node.follower.head is not None and node.follower.head.stage is not None)

    async def silent(what):
        asked.append(what)
        await gate.wait()
        raise EngineError("no answer")

    node.shared = copy.copy(node.shared)  # the view's own: the desk asks too, as long as a rollout is tried
    node.shared.engine.holder = lambda: silent("holder")
    node.shared.nodes = lambda: silent("nodes")
    node.shared.progress = lambda _: silent("progress")
    status = asyncio.create_task(view.status())
    await until(lambda: sorted(asked) == ["holder", "nodes", "progress"])
    gate.set()
    assert (await status)["rollout"]["revision"] == 2


def test_without_the_engine_everything_that_is_read_says_so(file, tmp_path):
    (tmp_path / "shared").write_text("not a folder")

    async def life():
        spec = read_valid(file).spec
        node = Clustering(
            spec.cluster, tmp_path, memory_of(spec, tmp_path), Reloader(file), nobody(), Events(), Traffic
        )
        node.prepare()
        view = ClusterView(node)
        await node.follower.step()
        status = await view.status()
        assert (status["engine"]["reachable"], status["engine"]["age"], status["age"]) == (False, None, None)
        assert "Not a directory" in status["engine"]["error"]
        for call in (view.history(), view.document(1), view.diff(1, 2)):
            with pytest.raises(Unavailable):
                await call
        assert (await view.push(b"a", None, "", "", "", None)).error == "engine_away"
        assert view.facts().age is None and not view.facts().reachable
        await node.stop()

    asyncio.run(life())
